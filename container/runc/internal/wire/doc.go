// Package wire is what an agent and the supervisor say to each other: frames on
// a stream socket, each a JSON message with at most [MaxFiles] descriptors.
//
// A connection carries many calls at once. The first message of either side is
// a hello with the protocol's version; after that the agent sends calls, each
// with an id of its own, and the supervisor answers each with zero or more
// [OpProgress] and one [OpDone]. Messages with id 0 are the supervisor's own:
// events, descriptors to hold, lines to log.
//
// Frames, hello and [OpUpgrade] are the same in all versions: an agent that meets
// a supervisor of another one can ask it to go on as the agent's own.
package wire
