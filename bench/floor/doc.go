// Command floor does the least that unpacking an image takes, with nothing
// around it: read the packed layers of an OCI layout from the page cache, hash
// them, inflate them, hash what comes out, and write the same tree with as few
// system calls as it takes, on all cores. It trusts the image: it is a
// measure, no tool.
//
//	floor LAYOUT TARGET
package main
