package hosts

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
	"golang.org/x/net/http/httpguts"
)

// file is a hosts.toml: mirrors by URL, and the server, which comes last.
type file struct {
	entry
	Server string           `toml:"server"`
	Host   map[string]entry `toml:"host"`
}

// entry is what a hosts.toml says about one host. Where a field is any, there
// are several ways to write it.
type entry struct {
	Capabilities []string       `toml:"capabilities"`
	CA           any            `toml:"ca"`
	Client       any            `toml:"client"`
	SkipVerify   *bool          `toml:"skip_verify"`
	Header       map[string]any `toml:"header"`
	OverridePath bool           `toml:"override_path"`
	DialTimeout  string         `toml:"dial_timeout"`
}

// maxFile bounds a hosts.toml, in bytes.
const maxFile = 1 << 20

// Parse reads a hosts.toml that lies in dir, which relative names of files begin
// at. The hosts are in the order in which to try them. The last is the server
// itself; its Host is empty where the file names none, and [Complete] fills it
// in.
func Parse(b []byte, dir string) ([]Host, error) {
	if len(b) > maxFile {
		return nil, fmt.Errorf("more than %d bytes", maxFile)
	}
	var f file
	if err := toml.NewDecoder(bytes.NewReader(b)).DisallowUnknownFields().Decode(&f); err != nil {
		return nil, explain(err)
	}
	order, err := order(b)
	if err != nil {
		return nil, err
	}
	var all []Host
	for _, url := range order {
		e, ok := f.Host[url]
		if !ok {
			return nil, fmt.Errorf("host %q is not a table of its own: write [host.%[1]q]", shown(url))
		}
		h, err := e.host(url, dir)
		if err != nil {
			return nil, fmt.Errorf("host %q: %w", shown(url), err)
		}
		if h.Host == "" {
			return nil, fmt.Errorf("host %q names no host", shown(url))
		}
		all = append(all, h)
	}
	for url := range f.Host {
		if !slices.Contains(order, url) {
			return nil, fmt.Errorf("host %q is not a table of its own: write [host.%[1]q]", shown(url))
		}
	}
	last, err := f.host(f.Server, dir)
	if err != nil && f.Server != "" {
		err = fmt.Errorf("server %q: %w", shown(f.Server), err)
	}
	return append(all, last), err
}

// shown is a URL, or what should be one, for an error: without the user and the
// password that it may hold.
func shown(url string) string {
	i := strings.LastIndex(url, "@")
	if i < 0 {
		return url
	}
	scheme, _, ok := strings.Cut(url[:i], "://")
	if !ok {
		return "…" + url[i:]
	}
	return scheme + "://…" + url[i:]
}

// explain names the line and the key of what TOML could not read.
func explain(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		row, _ := strict.Errors[0].Position()
		return fmt.Errorf("line %d: unknown key %q", row, shown(strings.Join(strict.Errors[0].Key(), ".")))
	}
	var dec *toml.DecodeError
	if errors.As(err, &dec) {
		row, _ := dec.Position()
		return fmt.Errorf("line %d: %w", row, err)
	}
	return err
}

// order lists the keys of the tables [host.KEY] as the file has them, each once.
func order(b []byte) ([]string, error) {
	var keys []string
	var p unstable.Parser
	p.Reset(b)
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.Table {
			continue
		}
		var parts []string
		for it := e.Key(); it.Next(); {
			parts = append(parts, string(it.Node().Data))
		}
		if len(parts) >= 2 && parts[0] == "host" && !slices.Contains(keys, parts[1]) {
			keys = append(keys, parts[1])
		}
	}
	return keys, p.Error()
}

// host reads an entry. An empty url leaves the address to Complete.
func (e entry) host(server, dir string) (Host, error) {
	h := Host{SkipVerify: e.SkipVerify}
	steps := []func(*Host) error{
		func(h *Host) error { return e.address(h, server) }, e.capabilities, e.header, e.timeout,
		func(h *Host) (err error) { h.CAs, err = files("ca", e.CA, dir); return err },
		func(h *Host) (err error) { h.Clients, err = pairs(e.Client, dir); return err },
	}
	for _, step := range steps {
		if err := step(&h); err != nil {
			return Host{}, err
		}
	}
	return h, nil
}

func (e entry) address(h *Host, server string) error {
	if server == "" {
		return nil
	}
	if !strings.HasPrefix(server, "http") {
		server = "https://" + server
	}
	u, err := url.Parse(server)
	switch {
	case err != nil:
		return errors.New("is no URL")
	case u.Scheme != "http" && u.Scheme != "https": // containerd would ask a host without a name
		return errors.New("begins with http, but not with http:// or https://: write one of them before the host")
	case u.Host == "":
		return errors.New("names no host")
	case u.User != nil:
		return errors.New("holds a user; credentials do not belong here")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("has more than a path after the host")
	}
	h.Scheme, h.Host, h.Path = u.Scheme, u.Host, u.Path
	if h.Path != "" {
		h.Path = path.Clean(h.Path)
	}
	if !e.OverridePath && !strings.HasSuffix(h.Path, "/v2") {
		h.Path = strings.TrimSuffix(h.Path, "/") + "/v2"
	}
	return nil
}

func (e entry) capabilities(h *Host) error {
	if len(e.Capabilities) == 0 {
		h.Can = all
	}
	for _, c := range e.Capabilities {
		switch strings.ToLower(c) {
		case "pull":
			h.Can |= Pull
		case "resolve":
			h.Can |= Resolve
		case "push":
			h.Can |= Push
		case "referrers":
			h.Can |= Referrers
		default:
			return fmt.Errorf("capability %q is none of pull, resolve, push, referrers", c)
		}
	}
	return nil
}

func (e entry) header(h *Host) error {
	if e.Header == nil {
		return nil
	}
	h.Header = http.Header{}
	for _, name := range slices.Sorted(maps.Keys(e.Header)) { // a and A are one
		values, err := texts(e.Header[name])
		if err != nil {
			return fmt.Errorf("header %q %w", name, err)
		}
		if !httpguts.ValidHeaderFieldName(name) || strings.EqualFold(name, "Host") {
			return fmt.Errorf("header %q cannot be set", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("header %q has a value that cannot be sent", name)
			}
			h.Header.Add(name, v)
		}
	}
	return nil
}

func (e entry) timeout(h *Host) error {
	if e.DialTimeout == "" {
		return nil
	}
	d, err := time.ParseDuration(e.DialTimeout)
	if err != nil || d < 0 {
		return fmt.Errorf(`dial_timeout %q is no duration like "3s"`, e.DialTimeout)
	}
	h.DialTimeout = d
	return nil
}

var errTexts = errors.New("is neither a string nor a list of strings")

// texts reads a string or a list of them.
func texts(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case []any:
		out := make([]string, len(v))
		for i := range v {
			var ok bool
			if out[i], ok = v[i].(string); !ok {
				return nil, errTexts
			}
		}
		return out, nil
	}
	return nil, errTexts
}

func files(key string, v any, dir string) ([]string, error) {
	if v == nil {
		return nil, nil
	}
	names, err := texts(v)
	if err != nil {
		return nil, fmt.Errorf("%s %w", key, err)
	}
	for i := range names {
		names[i] = within(names[i], dir)
	}
	return names, nil
}

// pairs reads one file, a list of files, or a list of pairs of files.
func pairs(v any, dir string) ([][2]string, error) {
	list, ok := v.([]any)
	if !ok && v != nil {
		list = []any{v}
	}
	var out [][2]string
	for _, p := range list {
		names, err := texts(p)
		_, alone := p.(string)
		if err != nil || !alone && len(names) != 2 {
			return nil, errors.New("client is none of a file, a list of files, a list of pairs of files")
		}
		pair := [2]string{within(names[0], dir)}
		if len(names) == 2 && names[1] != "" {
			pair[1] = within(names[1], dir)
		}
		out = append(out, pair)
	}
	return out, nil
}

func within(name, dir string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
