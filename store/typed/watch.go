package typed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/lifepod/lifepod/store"
)

// bookmarkEvery is how long a watch with bookmarks may be silent.
const bookmarkEvery = time.Minute

type yieldEvent = func(watch.Event, error) bool

// Watch implements Client.
func (s *Server) Watch(ctx context.Context, r Resource, namespace string, o metav1.ListOptions) iter.Seq2[watch.Event, error] {
	return func(yield func(watch.Event, error) bool) {
		w := &watching{s: s, r: r, namespace: namespace, o: o}
		var err error
		if err = checkList(o, true); err == nil {
			w.sel, err = newSelector(r, o)
		}
		if err == nil {
			w.since, err = revision(o.ResourceVersion)
		}
		if err != nil {
			yield(watch.Event{}, err)
			return
		}
		w.run(ctx, yield)
	}
}

// watching is one running Watch.
type watching struct {
	s         *Server
	r         Resource
	namespace string
	o         metav1.ListOptions
	sel       selector
	since     int64
}

func (w *watching) run(ctx context.Context, yield yieldEvent) {
	inner, cancel := ctx, context.CancelFunc(func() {})
	if w.o.TimeoutSeconds != nil && *w.o.TimeoutSeconds > 0 {
		inner, cancel = context.WithTimeout(ctx, time.Duration(*w.o.TimeoutSeconds)*time.Second)
	}
	defer cancel()
	initial := w.since == 0
	if w.o.SendInitialEvents != nil {
		initial = *w.o.SendInitialEvents
	}
	if initial && !w.present(ctx, yield) {
		return
	}
	so := store.WatchOptions{Since: w.since}
	if w.o.AllowWatchBookmarks {
		so.BookmarkEvery = bookmarkEvery
	}
	for ev, err := range w.s.Store.Watch(inner, w.r.prefix(w.namespace), so) {
		if err != nil {
			if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
				return // TimeoutSeconds
			}
			yield(watch.Event{}, w.apiError(err, ev))
			return
		}
		out, send, err := w.translate(ev)
		if err != nil {
			yield(watch.Event{}, err)
			return
		}
		if send && !yield(out, nil) {
			return
		}
		w.since = ev.Revision
	}
}

// present yields what is there, and moves the start behind it.
func (w *watching) present(ctx context.Context, yield yieldEvent) bool {
	list, now, err := w.s.list(ctx, w.r, w.namespace, w.sel)
	if err == nil && w.since > now {
		err = tooLarge(w.since, now)
	}
	if err != nil {
		yield(watch.Event{}, err)
		return false
	}
	for _, obj := range list.Items {
		if !yield(watch.Event{Type: watch.Added, Object: obj}, nil) {
			return false
		}
	}
	w.since = now
	if w.o.SendInitialEvents == nil || !w.o.AllowWatchBookmarks {
		return true
	}
	mark := w.bookmark(now)
	mark.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	return yield(watch.Event{Type: watch.Bookmark, Object: mark}, nil)
}

func (w *watching) bookmark(revision int64) Object {
	obj := w.r.New()
	obj.GetObjectKind().SetGroupVersionKind(w.r.Kind)
	obj.SetResourceVersion(version(revision))
	return obj
}

// translate says what a change is to someone who sees only what matches.
func (w *watching) translate(ev store.Event) (out watch.Event, send bool, err error) {
	if ev.Type == store.Bookmark {
		return watch.Event{Type: watch.Bookmark, Object: w.bookmark(ev.Revision)}, true, nil
	}
	var now, before Object
	if ev.Type == store.Put {
		if now, err = decode(w.r, ev.Item); err != nil {
			return watch.Event{}, false, err
		}
	}
	if ev.Prev != nil && (now == nil || !w.sel.everything()) {
		if before, err = decode(w.r, *ev.Prev); err != nil {
			return watch.Event{}, false, err
		}
	}
	is := now != nil && w.sel.matches(now)
	was := ev.Prev != nil && (before == nil || w.sel.matches(before))
	switch {
	case is && was:
		return watch.Event{Type: watch.Modified, Object: now}, true, nil
	case is:
		return watch.Event{Type: watch.Added, Object: now}, true, nil
	case was:
		before.SetResourceVersion(version(ev.Revision))
		return watch.Event{Type: watch.Deleted, Object: before}, true, nil
	}
	return watch.Event{}, false, nil
}

func (w *watching) apiError(err error, _ store.Event) error {
	switch {
	case errors.Is(err, store.ErrTooOld):
		return tooOld(w.since)
	case errors.Is(err, store.ErrFuture):
		now := int64(0)
		if _, rev, lerr := w.s.Store.List(context.Background(), w.r.prefix(w.namespace)); lerr == nil {
			now = rev
		}
		return tooLarge(w.since, now)
	}
	return fmt.Errorf("watch %s: %w", w.r.Plural, err)
}
