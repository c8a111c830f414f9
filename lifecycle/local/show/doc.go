// Package show shows the life of pods as it happens: to people on a terminal as a
// live panel under the events, to people elsewhere as lines, to programs as JSON
// lines.
//
//	out := show.New(os.Stdout, show.Options{})
//	defer out.Close()
//	h, err := node.Run(ctx, pod)
//	go out.Follow(ctx, h) // until the pod is gone
//
// Words are those of kubectl describe, and the timeline has the phases of
// [local.Phases]. Whatever comes from a container or a registry is shown without
// its control characters. [Record] is the format of the JSON lines.
package show
