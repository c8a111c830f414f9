package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/containernetworking/cni/libcni"
)

// load reads the configuration in force: file, or the first by name in dir.
func load(dir, file string) (*libcni.NetworkConfigList, error) {
	if file == "" {
		files, err := libcni.ConfFiles(dir, []string{".conf", ".conflist", ".json"})
		if err != nil {
			return nil, err
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("no network config found in %s", dir)
		}
		file = slices.Min(files)
	}
	l, err := loadFile(file)
	if err != nil {
		return nil, fmt.Errorf("load the network configuration %s: %w", file, err)
	}
	return l, nil
}

func loadFile(file string) (*libcni.NetworkConfigList, error) {
	const most = 1 << 20
	if fi, err := os.Stat(file); err != nil {
		return nil, err
	} else if fi.Size() > most {
		return nil, fmt.Errorf("it has %d bytes, more than %d", fi.Size(), most)
	}
	if filepath.Ext(file) == ".conflist" {
		l, err := libcni.NetworkConfFromFile(file)
		if err != nil {
			return nil, err
		}
		return whole(l)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return fromPlugin(b)
}

// fromPlugin makes a list of a file that holds one plugin.
func fromPlugin(b []byte) (*libcni.NetworkConfigList, error) {
	p, err := libcni.NetworkPluginConfFromBytes(b)
	if err != nil {
		return nil, err
	}
	return fromMap(map[string]any{"name": p.Network.Name, "cniVersion": p.Network.CNIVersion, "plugins": []json.RawMessage{b}})
}

// whole makes the list's own bytes say all of it, also the plugins that came
// from other files, so that they are enough to take down what it set up.
func whole(l *libcni.NetworkConfigList) (*libcni.NetworkConfigList, error) {
	var m map[string]any
	if err := json.Unmarshal(l.Bytes, &m); err != nil {
		return nil, err
	}
	var ps []json.RawMessage
	for _, p := range l.Plugins {
		ps = append(ps, p.Bytes)
	}
	m["plugins"], m["cniVersion"], m["loadOnlyInlinedPlugins"] = ps, l.CNIVersion, true
	delete(m, "cniVersions")
	return fromMap(m)
}

func fromMap(m map[string]any) (*libcni.NetworkConfigList, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	l, err := libcni.NetworkConfFromBytes(b)
	if err == nil {
		err = check(l)
	}
	return l, err
}

func check(l *libcni.NetworkConfigList) error {
	if l.Name == "" {
		return errors.New("it has no name")
	}
	if len(l.Plugins) == 0 {
		return errors.New("it has no plugins")
	}
	for i, p := range l.Plugins {
		if p.Network.Type == "" || filepath.Base(p.Network.Type) != p.Network.Type {
			return fmt.Errorf("plugin %d: type %q is no program's name", i, p.Network.Type)
		}
	}
	return nil
}

// capable says whether a plugin of the list declares a capability.
func capable(l *libcni.NetworkConfigList, capability string) bool {
	return slices.ContainsFunc(l.Plugins, func(p *libcni.PluginConfig) bool { return p.Network.Capabilities[capability] })
}
