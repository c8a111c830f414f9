package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	d := "sha256:" + strings.Repeat("a", 64)
	for in, want := range map[string]string{
		"busybox":                          "docker.io/library/busybox:latest",
		"busybox:1.36":                     "docker.io/library/busybox:1.36",
		"me/app":                           "docker.io/me/app:latest",
		"localhost/app":                    "localhost/app:latest",
		"localhost:5000/app":               "localhost:5000/app:latest",
		"127.0.0.1:5000/a/b/c:t":           "127.0.0.1:5000/a/b/c:t",
		"index.docker.io/library/x":        "docker.io/library/x:latest",
		"a.io/x@" + d:                      "a.io/x@" + d,
		"a.io/x:t@" + d:                    "a.io/x:t@" + d,
		"[::1]:5000/x":                     "[::1]:5000/x:latest",
		"":                                 "!",
		"UPPER":                            "!",
		"a:b:c":                            "!",
		"a@sha256:short":                   "!",
		strings.Repeat("a", 64):            "!", // an ID
		"a.io/" + strings.Repeat("b", 256): "!",
	} {
		got, err := Parse(in)
		var ne *NameError
		if errors.As(err, &ne) && ne.Reason() == ReasonInvalidName {
			if want != "!" {
				t.Errorf("Parse(%q): %v", in, err)
			}
			continue
		}
		if got.String() != want {
			t.Errorf("Parse(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestWithDefaultTag(t *testing.T) {
	d := "@sha256:" + strings.Repeat("a", 64)
	for in, want := range map[string]string{"busybox": "busybox:latest", "busybox:1": "busybox:1", "a.io/x" + d: "a.io/x" + d, "x:latest": "x:latest"} {
		if got, err := WithDefaultTag(in); got != want || err != nil {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	_, err := WithDefaultTag("a b")
	if got := InvalidNameMessage("a b", err); got != `Failed to apply default image tag "a b": couldn't parse image name "a b": invalid reference format` {
		t.Error(got)
	}
}

func TestDecide(t *testing.T) {
	for in, want := range map[string]When{"x": Always, "x:latest": Always, "x:1": IfNotPresent, "a b": IfNotPresent,
		"x@sha256:" + strings.Repeat("a", 64): IfNotPresent, "x:latest@sha256:" + strings.Repeat("a", 64): Always} {
		if got := Default(in); got != want {
			t.Errorf("Default(%q) = %s", in, got)
		}
	}
	never := Decision{Reason: "ErrImageNeverPull", Message: `Container image "x" is not present with pull policy of Never`}
	for _, c := range []struct {
		w       When
		present bool
		want    Decision
	}{
		{Always, true, Decision{Pull: true}}, {Always, false, Decision{Pull: true}},
		{IfNotPresent, true, Decision{}}, {IfNotPresent, false, Decision{Pull: true}},
		{Never, true, Decision{}}, {Never, false, never},
	} {
		if got := Decide(c.w, "x", c.present); got != c.want {
			t.Errorf("%s, present=%v: %+v", c.w, c.present, got)
		}
	}
}

type reasoned struct{ reason, text string }

func (r reasoned) Error() string  { return r.text }
func (r reasoned) Reason() string { return r.reason }

func TestMessages(t *testing.T) {
	for got, want := range map[string]string{
		PulledMessage("x:1", 1234567*time.Microsecond, 1999999*time.Microsecond, 42): `Successfully pulled image "x:1" in 1.234s (1.999s including waiting). Image size: 42 bytes.`,
		PullingMessage("x"):                                                         `Pulling image "x"`,
		FailedMessage("x", errors.New("e")):                                         `Failed to pull image "x": e`,
		Failed("x", errors.New("e")).String():                                       "ErrImagePull: e",
		Failed("x", errors.New("RegistryUnavailable: down")).String():               "RegistryUnavailable: image pull failed for x because the registry is unavailable: down",
		Failed("x", fmt.Errorf("a: %w", reasoned{ReasonSignature, "bad"})).String(): "SignatureValidationFailed: image pull failed for x because the signature validation failed: a: bad",
		BackingOff("x", Failed("x", errors.New("e"))).String():                      `ImagePullBackOff: Back-off pulling image "x": ErrImagePull: e`,
		BackingOff("x", Waiting{}).Message:                                          `Back-off pulling image "x"`,
		PresentMessage("x"):                                                         `Container image "x" already present on machine and can be accessed by the pod`,
		MissingSecretsMessage([]string{"a", "b"}):                                   `Unable to retrieve some image pull secrets (a, b); attempting to pull the image may not succeed.`,
		Failed("x", errors.New("[RegistryUnavailable: a, b]")).String():             "ErrImagePull: [RegistryUnavailable: a, b]",
		Failed("x", errors.New("SignatureValidationFailed")).String():               "SignatureValidationFailed: image pull failed for x because the signature validation failed",
		NeverPullMessage("x"):                                                       `Container image "x" is not present with pull policy of Never`,
		InspectMessage("x", errors.New("e")):                                        `Failed to inspect image "x": e`,
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	now := time.Unix(1e9, 0)
	var b Backoff
	if !b.Until(now).IsZero() {
		t.Error("no failure, but a wait")
	}
	var waits []time.Duration
	for range 8 {
		b = b.Failure(now)
		until := b.Until(now)
		waits = append(waits, until.Sub(now)/time.Second)
		now = until
		if !b.Until(now).IsZero() {
			t.Error("still waiting when the wait is over")
		}
	}
	if want := []time.Duration{10, 20, 40, 80, 160, 300, 300, 300}; !slices.Equal(waits, want) {
		t.Errorf("waits %v, want %v", waits, want)
	}
	if got := b.Failure(b.Since.Add(BackoffExpiry)); got.Delay != BackoffMax {
		t.Errorf("after %v: %v", BackoffExpiry, got.Delay)
	}
	if got := b.Failure(b.Since.Add(BackoffExpiry + 1)); got.Delay != BackoffInitial {
		t.Errorf("past the expiry: %v", got.Delay)
	}
}

func TestCollect(t *testing.T) {
	now := time.Unix(1e9, 0)
	at := func(minutes int) time.Time { return now.Add(-time.Duration(minutes) * time.Minute) }
	img := func(id string, size int64, seen, used int) Candidate {
		return Candidate{ID: id, Size: size, FirstSeen: at(seen), LastUsed: at(used)}
	}
	pinned, inUse := img("pinned", 50, 90, 90), img("used", 50, 90, 90)
	pinned.Pinned, inUse.InUse = true, true
	all := []Candidate{img("b", 5, 60, 20), img("a", 5, 60, 30), img("tie", 5, 70, 20), img("young", 5, 1, 1), pinned, inUse}
	for name, c := range map[string]struct {
		o         GCOptions
		available int64
		started   int
		want      string
		short     bool
	}{
		"below the threshold":  {GCOptions{}, 16, 9, "", false},
		"at the threshold":     {GCOptions{}, 15, 9, "a", false},
		"two go":               {GCOptions{}, 12, 9, "a tie", false},
		"not enough":           {GCOptions{}, 0, 9, "a tie b", true},
		"own thresholds":       {GCOptions{HighPercent: 50, LowPercent: 40}, 49, 9, "a tie b", false},
		"old ones go":          {GCOptions{MaxAge: 25 * time.Minute}, 50, 30, "a", false},
		"not so soon":          {GCOptions{MaxAge: 25 * time.Minute}, 50, 25, "", false},
		"old ones count":       {GCOptions{MaxAge: 25 * time.Minute}, 14, 30, "a", false},
		"more than there is":   {GCOptions{}, 200, 9, "", false},
		"young is old by rule": {GCOptions{MinAge: time.Second}, 0, 9, "a tie b young", false},
	} {
		got := Collect(now, at(c.started), c.o, Disk{100, c.available}, all)
		if s := strings.Join(got.Delete, " "); s != c.want || (got.Message != "") != c.short {
			t.Errorf("%s: %q %q, want %q", name, s, got.Message, c.want)
		}
	}
	full := Collect(now, now, GCOptions{}, Disk{3 << 30, 0}, nil)
	if !strings.HasPrefix(full.Message, "Insufficient free disk space on the node's image filesystem (100% of 3.0 GiB used). Failed to free sufficient space by deleting unused images (freed 0 bytes).") {
		t.Error(full.Message)
	}
	if got := strings.Join(Unused(now, GCOptions{}, all).Delete, " "); got != "a tie b" {
		t.Errorf("unused: %q", got)
	}
}

func FuzzParseReference(f *testing.F) {
	f.Add("busybox")
	f.Add("a.io:5000/b/c:t@sha256:" + strings.Repeat("a", 64))
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			return
		}
		if r.Domain == "" || r.Path == "" || r.Tag == "" && r.Digest == "" || strings.Contains(r.Path, "..") {
			t.Fatalf("Parse(%q) = %+v", s, r)
		}
		if again, err := Parse(r.String()); err != nil || again != r {
			t.Fatalf("%+v is written as %q and read as %+v, %v", r, r, again, err)
		}
	})
}
