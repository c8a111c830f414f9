package pullrecord

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	now   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	mine  = Secret{UID: "u", Namespace: "n", Name: "s", Hash: "h"}
	agent = ServiceAccount{UID: "u", Namespace: "n", Name: "a"}
)

const app = "example/app:1"

func TestPolicy(t *testing.T) {
	list := Policy{NeverVerifyAllowlistedImages, []string{"example/app", "registry.example/team/*", "registry.example:5000/one"}}
	for _, c := range []struct {
		p               Policy
		image           string
		came, preloaded bool // required of what a pod's pull brought, and of what was there before
	}{
		{Policy{}, app, true, false},
		{Policy{Mode: NeverVerifyPreloadedImages}, app, true, false},
		{Policy{Mode: NeverVerify}, app, false, false},
		{Policy{Mode: AlwaysVerify}, app, true, true},
		{list, "example/app", false, false},
		{list, "example/app:tag", false, false},
		{list, "example/app:tag@sha256:" + strings.Repeat("a", 64), false, false},
		{list, "docker.io/example/app", true, true}, // patterns mean the spelling
		{list, "example/apple", true, true},
		{list, "registry.example/team/x:1", false, false},
		{list, "registry.example/team/x/y", false, false},
		{list, "registry.example/team", true, true},
		{list, "registry.example/teams/x", true, true},
		{list, "registry.example:5000/one:1", false, false},
		{list, "NOT A NAME", true, true},
		{Policy{Mode: NeverVerifyAllowlistedImages}, app, true, true},
	} {
		if err := c.p.Check(); err != nil {
			t.Error(err)
		}
		if came, pre := c.p.Requires(c.image, true), c.p.Requires(c.image, false); came != c.came || pre != c.preloaded {
			t.Errorf("%+v, %s: %v, preloaded %v", c.p, c.image, came, pre)
		}
	}
}

func TestPolicyCheck(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                    "the supplied pattern is too short",
		"*":                   "only patterns ending with '/*' are allowed",
		"/*":                  "at least registry hostname is required",
		" a.io/x":             "leading/trailing spaces are not allowed",
		"a.io/x ":             "leading/trailing spaces are not allowed",
		"a.io/*/x":            "only patterns ending with '/*' are allowed",
		"*.a.io/*":            "only patterns ending with '/*' are allowed",
		"a.io/x*":             "only patterns ending with '/*' are allowed",
		"a.io/x:tag":          "neither tag nor digest is accepted",
		"a.io/x:tag/UPPER!":   "failed to parse as an image name",
		"a.io/x@sha256:short": "failed to parse as an image name",
	} {
		err := Policy{NeverVerifyAllowlistedImages, []string{"a.io/fine", pattern}}.Check()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", pattern, err, want)
		}
	}
	for _, p := range []Policy{{Mode: "Sometimes"}, {Allowlist: []string{"a.io/x"}}, {AlwaysVerify, []string{"a.io/x"}}} {
		if err := p.Check(); err == nil {
			t.Errorf("%+v: no error", p)
		}
	}
}

func on(c Credentials) *Record {
	return &Record{ImageRef: "ref", Credentials: map[string]Credentials{"example/app": c}}
}

// The whole table of the kubelet's MustAttemptImagePull, up to the credentials.
func TestDecide(t *testing.T) {
	for name, c := range map[string]struct {
		mode  Mode
		image string
		e     Evidence
		want  Verdict
	}{
		"preloaded":                        {"", app, Evidence{}, MayUse},
		"preloaded, always":                {AlwaysVerify, app, Evidence{}, MustPull},
		"preloaded, not on the list":       {NeverVerifyAllowlistedImages, app, Evidence{}, MustPull},
		"about to be pulled":               {"", app, Evidence{Intended: true}, MustPull},
		"about to be pulled, never":        {NeverVerify, app, Evidence{Intended: true}, MayUse},
		"everyone's":                       {"", app, Evidence{Record: on(Credentials{Everyone: true})}, MayUse},
		"everyone's, always":               {AlwaysVerify, app, Evidence{Record: on(Credentials{Everyone: true})}, MayUse},
		"a secret's":                       {"", app, Evidence{Record: on(Credentials{Secrets: []Secret{mine}})}, MustMatch},
		"a secret's, never":                {NeverVerify, app, Evidence{Record: on(Credentials{Secrets: []Secret{mine}})}, MayUse},
		"a service account's":              {"", app, Evidence{Record: on(Credentials{ServiceAccounts: []ServiceAccount{agent}})}, MustMatch},
		"pulled, nobody knows with what":   {"", app, Evidence{Record: &Record{ImageRef: "ref"}}, MustPull},
		"pulled with none of what is said": {"", app, Evidence{Record: on(Credentials{})}, MustPull},
		"pulled under another name":        {"", "example/other:1", Evidence{Record: on(Credentials{Everyone: true})}, MustPull},
		"pulled by another spelling":       {"", "docker.io/" + app, Evidence{Record: on(Credentials{Everyone: true})}, MustPull},
		"by digest, what a tag pulled":     {"", "example/app@sha256:" + strings.Repeat("a", 64), Evidence{Record: on(Credentials{Everyone: true})}, MayUse},
		"a name that is none":              {AlwaysVerify, "NO NAME", Evidence{Record: on(Credentials{Everyone: true})}, MustPull},
		"records that cannot be read":      {NeverVerify, app, Evidence{Unreadable: true}, MustPull},
		"records that cannot be read 2":    {"", app, Evidence{Unreadable: true, Record: on(Credentials{Everyone: true})}, MustPull},
		"a record and an intent":           {"", app, Evidence{Intended: true, Record: on(Credentials{Everyone: true})}, MayUse},
	} {
		if got, _ := (Policy{Mode: c.mode}).Decide(c.image, c.e); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestMatch(t *testing.T) {
	rotated, moved, foreign, unhashed := mine, mine, mine, mine
	rotated.Hash = "new"
	moved.Namespace = "elsewhere"
	foreign.Name, foreign.Hash = "foreign", "foreign"
	unhashed.Hash = ""
	nameless := unhashed
	nameless.Name = "foreign"
	many := make([]Secret, maxLearned)
	for i := range many {
		many[i] = Secret{Name: fmt.Sprint(i), Hash: fmt.Sprint("hash ", i)}
	}
	full := slices.Concat(many[1:], []Secret{mine})
	for name, c := range map[string]struct {
		on    Credentials
		have  Held
		want  bool
		learn *Secret
	}{
		"the same secret":                     {Credentials{Secrets: []Secret{mine}}, Held{Secrets: []Secret{mine}}, true, nil},
		"none":                                {Credentials{Secrets: []Secret{mine}}, Held{}, false, nil},
		"another":                             {Credentials{Secrets: []Secret{mine}}, Held{Secrets: []Secret{foreign}}, false, nil},
		"the secret with other credentials":   {Credentials{Secrets: []Secret{mine}}, Held{Secrets: []Secret{rotated}}, true, &rotated},
		"the credentials in another secret":   {Credentials{Secrets: []Secret{mine}}, Held{Secrets: []Secret{moved}}, true, &moved},
		"the second of two":                   {Credentials{Secrets: []Secret{foreign, mine}}, Held{Secrets: []Secret{{Name: "x", Hash: "x"}, mine}}, true, nil},
		"no hash is no match":                 {Credentials{Secrets: []Secret{unhashed}}, Held{Secrets: []Secret{nameless}}, false, nil},
		"no hash, the same secret":            {Credentials{Secrets: []Secret{unhashed}}, Held{Secrets: []Secret{mine}}, true, &mine},
		"full: the credentials elsewhere":     {Credentials{Secrets: full}, Held{Secrets: []Secret{moved}}, true, nil},
		"full: the secret, others in it":      {Credentials{Secrets: full}, Held{Secrets: []Secret{rotated}}, false, nil},
		"full: the same":                      {Credentials{Secrets: full}, Held{Secrets: []Secret{mine}}, true, nil},
		"one less than full":                  {Credentials{Secrets: full[1:]}, Held{Secrets: []Secret{rotated}}, true, &rotated},
		"the service account":                 {Credentials{ServiceAccounts: []ServiceAccount{agent}}, Held{ServiceAccount: &agent}, true, nil},
		"another service account":             {Credentials{ServiceAccounts: []ServiceAccount{agent}}, Held{ServiceAccount: &ServiceAccount{UID: "v", Namespace: "n", Name: "a"}}, false, nil},
		"a secret is no service account":      {Credentials{ServiceAccounts: []ServiceAccount{agent}}, Held{Secrets: []Secret{mine}}, false, nil},
		"a foreign secret, and the account":   {Credentials{Secrets: []Secret{mine}, ServiceAccounts: []ServiceAccount{agent}}, Held{Secrets: []Secret{foreign}, ServiceAccount: &agent}, true, nil},
		"what is not known matches nothing":   {Credentials{}, Held{Secrets: []Secret{mine}, ServiceAccount: &agent}, false, nil},
		"an empty secret matches no unhashed": {Credentials{Secrets: []Secret{unhashed}}, Held{Secrets: []Secret{{}}}, false, nil},
	} {
		ok, learn := c.on.Match(c.have)
		var want *Credentials
		if c.learn != nil {
			want = &Credentials{Secrets: []Secret{*c.learn}}
		}
		if ok != c.want || !reflect.DeepEqual(learn, want) {
			t.Errorf("%s: %v, learn %+v", name, ok, learn)
		}
	}
}

func TestMerge(t *testing.T) {
	other, rotated := mine, mine
	other.Name = "a"
	rotated.Hash = "new"
	secrets := func(s ...Secret) *Credentials { return &Credentials{Secrets: s} }
	accounts := &Credentials{ServiceAccounts: []ServiceAccount{agent}}
	everyone := &Credentials{Everyone: true}
	for name, c := range map[string]struct {
		old  *Record
		with *Credentials
		want Credentials
		same bool
	}{
		"the first":                        {nil, secrets(mine), *secrets(mine), false},
		"the first, nobody's":              {nil, nil, Credentials{}, false},
		"another secret, sorted":           {on(*secrets(mine)), secrets(other), *secrets(other, mine), false},
		"the same again":                   {on(*secrets(mine)), secrets(mine), *secrets(mine), true},
		"rotated":                          {on(*secrets(mine)), secrets(rotated), *secrets(rotated), false},
		"nothing new":                      {on(*secrets(mine)), nil, *secrets(mine), true},
		"nothing at all":                   {on(*secrets(mine)), &Credentials{}, *secrets(mine), true},
		"now everyone's":                   {on(*secrets(mine)), everyone, *everyone, false},
		"everyone's stays so":              {on(*everyone), secrets(mine), *everyone, true},
		"a service account beside secrets": {on(*secrets(mine)), accounts, Credentials{Secrets: secrets(mine).Secrets, ServiceAccounts: accounts.ServiceAccounts}, false},
		"the same account again":           {on(*accounts), accounts, *accounts, true},
		"the first of a bare record":       {&Record{ImageRef: "ref"}, secrets(mine), *secrets(mine), false},
	} {
		var before *Record
		if c.old != nil {
			b := *c.old
			before = &b
		}
		got, err := Merge(c.old, "ref", app, c.with, now)
		if err != nil || !reflect.DeepEqual(got.Credentials["example/app"], c.want) || (got == c.old) != c.same {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if got != c.old && (got.LastUpdated != now || got.ImageRef != "ref") {
			t.Errorf("%s: %+v", name, got)
		}
		if c.old != nil && !reflect.DeepEqual(c.old, before) {
			t.Errorf("%s: the old record was written to", name)
		}
	}
	r := on(*everyone)
	if got, err := Merge(r, "ref", "NO NAME", everyone, now); got != r || err == nil {
		t.Errorf("a name that is none: %+v, %v", got, err)
	}
	two, err := Merge(r, "ref", "example/two@sha256:"+strings.Repeat("a", 64), secrets(mine), now)
	if err != nil || len(two.Credentials) != 2 || len(r.Credentials) != 1 || !reflect.DeepEqual(two.Credentials["example/two"], *secrets(mine)) {
		t.Errorf("two names: %+v, %v", two, err)
	}
}

func TestNames(t *testing.T) {
	d := "sha256:" + strings.Repeat("a", 64)
	for in, want := range map[string]string{
		"app": "app", "app:1": "app", "a.io/app:1@" + d: "a.io/app", "a.io/app@" + d: "a.io/app", "a.io:5000/app": "a.io:5000/app",
		"localhost:5000/app:1": "localhost:5000/app", "[::1]:5000/x:1": "[::1]:5000/x", "": "!", "UPPER": "!",
		"a:b:c": "!", "app@sha256:short": "!",
	} {
		got, err := Repository(in)
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	if got := FileName("docker.io/testing/test:latest"); got != "sha256-aef2af226629a35d5f3ef0fdbb29fdbebf038d0acd8850590e8c48e1e283aa56" {
		t.Error(got)
	}
}
