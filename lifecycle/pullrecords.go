package lifecycle

import (
	"context"
	"fmt"
	"time"

	"github.com/lifepod/lifepod/image/pullrecord"
)

// mustPull says whether the pod, to use an image that is there, has to ask the
// registry: it is private, and the pod has shown nothing that lets it in. What
// cannot be found out means that it must.
func (w *worker) mustPull(ctx context.Context, image, ref string) bool {
	if w.r.PullRecords == nil {
		return false
	}
	verdict, on := w.r.VerifyPulls.Decide(image, w.r.evidence(image, ref))
	if verdict != pullrecord.MustMatch {
		return verdict == pullrecord.MustPull
	}
	l, err := w.logins(ctx, image)
	if err != nil { // the pull will say it
		return true
	}
	ok, learn := on.Match(l.held())
	if learn != nil {
		if err := w.r.writePulled(image, ref, learn); err != nil {
			w.r.Log.Error(err, "write down who may use an image", "image", image)
		}
	}
	return !ok
}

// evidence is what is on record. The intent is looked at first: a pull writes its
// record before it takes that back.
func (r *Runner) evidence(image, ref string) pullrecord.Evidence {
	intended, err := r.PullRecords.Intended(image)
	if err == nil {
		var rec *pullrecord.Record
		if rec, err = r.PullRecords.Get(ref); err == nil {
			return pullrecord.Evidence{Intended: intended, Record: rec}
		}
	}
	r.Log.Error(err, "look who may use an image", "image", image)
	return pullrecord.Evidence{Unreadable: true}
}

// recorded runs a pull between its intent and its record. After a record that
// cannot be written the intent stays: the image is known to be pulled.
func (r *Runner) recorded(ctx context.Context, image string, pull func() (ref string, with pullrecord.Credentials, err error)) error {
	if r.PullRecords == nil {
		_, _, err := pull()
		return err
	}
	r.finishPulls(ctx, func(left string) bool { return pullrecord.Same(left, image) })
	end, err := r.PullRecords.Begin(image)
	if err != nil {
		return fmt.Errorf("Failed to record image pull intent for container image %q: %w", image, err) //nolint:staticcheck // Kubernetes' words
	}
	ref, with, err := pull()
	if err == nil {
		if werr := r.writePulled(image, ref, &with); werr != nil {
			r.Log.Error(werr, "write down a pull", "image", image)
			return nil
		}
	}
	if eerr := end(); eerr != nil {
		r.Log.Error(eerr, "take back the intent to pull", "image", image)
	}
	return err
}

func (r *Runner) writePulled(image, ref string, with *pullrecord.Credentials) (err error) {
	uerr := r.PullRecords.Update(ref, func(old *pullrecord.Record) *pullrecord.Record {
		var next *pullrecord.Record
		next, err = pullrecord.Merge(old, ref, image, with, time.Now())
		return next
	})
	if err != nil {
		return err
	}
	return uerr
}

// finishPulls writes records of images that were pulled by processes that died
// before they did: with unknown credentials. Those that are not there may still
// come, and keep their intents.
func (r *Runner) finishPulls(ctx context.Context, which func(image string) bool) {
	left, err := r.PullRecords.Unfinished()
	if err != nil {
		r.Log.Error(err, "list pulls that were not finished")
	}
	for _, image := range left {
		if !which(image) {
			continue
		}
		if err := r.finishPull(ctx, image); err != nil && ctx.Err() == nil {
			r.Log.Error(err, "finish a pull that was not finished", "image", image)
		}
	}
}

func (r *Runner) finishPull(ctx context.Context, image string) error {
	resp, err := r.Images.ImageStatus(ctx, imageSpec(tagged(image)), false)
	if err != nil || resp.GetImage() == nil {
		return err
	}
	end, err := r.PullRecords.Begin(image)
	if err != nil {
		return err
	}
	if err := r.writePulled(image, resp.GetImage().GetId(), nil); err != nil {
		return err // the intent stays
	}
	return end()
}

// PrunePullRecords forgets what is on record about images that are gone. It is
// called after images were removed; a new Runner does it by itself.
func (r *Runner) PrunePullRecords(ctx context.Context) error {
	if r.PullRecords == nil {
		return nil
	}
	refs, err := r.PullRecords.Refs()
	if err != nil { // those that are damaged
		r.Log.Error(err, "list pull records")
	}
	for _, ref := range refs {
		if there, err := r.there(ctx, ref); err != nil {
			return fmt.Errorf("prune pull records: %w", err)
		} else if there {
			continue
		}
		if err := r.forgetPulled(ctx, ref); err != nil {
			return fmt.Errorf("prune pull records: %w", err)
		}
	}
	return nil
}

// forgetPulled removes a record unless the image is there again: looked up while no
// pull can write it.
func (r *Runner) forgetPulled(ctx context.Context, ref string) (err error) {
	uerr := r.PullRecords.Update(ref, func(old *pullrecord.Record) *pullrecord.Record {
		var there bool
		if there, err = r.there(ctx, ref); there || err != nil {
			return old
		}
		return nil
	})
	if err != nil {
		return err
	}
	return uerr
}

func (r *Runner) there(ctx context.Context, ref string) (bool, error) {
	resp, err := r.Images.ImageStatus(ctx, imageSpec(ref), false)
	return resp.GetImage() != nil, err
}

// tidyPullRecords brings the records up to what the runtime has, at the start.
func (r *Runner) tidyPullRecords(ctx context.Context) {
	r.finishPulls(ctx, func(string) bool { return true })
	if err := r.PrunePullRecords(ctx); err != nil && ctx.Err() == nil {
		r.Log.Error(err, "forget images that are gone")
	}
}
