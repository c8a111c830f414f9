package main

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/lifepod/lifepod/image"
)

// short is the beginning of a digest: as many digits as Docker shows.
func short(digest string) string {
	const algorithm = len("sha256:")
	return digest[algorithm : algorithm+12]
}

// lines shows a line for each phase of each layer.
func lines(w io.Writer) func(image.Progress) {
	last := map[int]image.Phase{}
	return func(p image.Progress) {
		if last[p.Index] != p.Phase {
			fmt.Fprintf(w, "layer %d %s: %s, %d of %d bytes\n", p.Index+1, short(p.Layer), p.Phase, p.Bytes, p.Total)
		}
		last[p.Index] = p.Phase
	}
}

// layerBar is a layer's bar, with the phase beside it.
type layerBar struct {
	*mpb.Bar
	phase atomic.Pointer[image.Phase]
}

// bars shows a bar for each layer, until end is called.
func bars(w io.Writer) (show func(image.Progress), end func()) {
	all := map[int]*layerBar{}
	screen := mpb.New(mpb.WithOutput(w), mpb.WithWidth(60), mpb.WithAutoRefresh())
	show = func(p image.Progress) {
		b := all[p.Index]
		if b == nil {
			b = &layerBar{}
			b.phase.Store(&p.Phase)
			b.Bar = screen.AddBar(0, mpb.BarPriority(p.Index),
				mpb.PrependDecorators(decor.Name(short(p.Layer)), decor.Any(func(decor.Statistics) string { return string(*b.phase.Load()) }, decor.WC{W: len(image.Unpacking) + 1})),
				mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f", decor.WCSyncSpace)))
			b.SetTotal(p.Total, false)
			all[p.Index] = b
		}
		b.phase.Store(&p.Phase)
		b.SetCurrent(p.Bytes)
		if p.Phase == image.Done {
			b.SetTotal(p.Total, true)
		}
	}
	end = func() {
		for _, b := range all {
			b.Abort(false) // does nothing to one that is full
		}
		screen.Wait()
	}
	return show, end
}
