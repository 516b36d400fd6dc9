package main

import (
	"encoding/json"
	"net/url"

	"slipway/step/result/build"
)

// packument is what a registry says about a package: as much of it as npm needs to
// find a version that a lock file names without its address.
type packument struct {
	Name     string             `json:"name"`
	DistTags map[string]string  `json:"dist-tags"`
	Versions map[string]version `json:"versions"`
}

type version struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Dist    struct {
		Tarball   string `json:"tarball"`
		Integrity string `json:"integrity"`
	} `json:"dist"`
}

// npmPages are what npm asks about packages.
func npmPages(packages []build.Package, base string) (map[string]page, error) {
	all := map[string]*packument{}
	for _, p := range packages {
		known := all["/"+p.Name]
		if known == nil {
			known = &packument{Name: p.Name, DistTags: map[string]string{}, Versions: map[string]version{}}
			all["/"+p.Name] = known
		}
		v := version{Name: p.Name, Version: p.Version}
		v.Dist.Tarball, v.Dist.Integrity = base+(&url.URL{Path: p.Path}).EscapedPath(), p.Integrity
		known.Versions[p.Version], known.DistTags["latest"] = v, p.Version
	}
	pages := map[string]page{}
	for path, about := range all {
		content, err := json.Marshal(about)
		if err != nil {
			return nil, err
		}
		pages[path] = page{"application/json", content}
	}
	return pages, nil
}

// npmSettings have npm ask the registry at an address.
func npmSettings(address string) []setting {
	return []setting{
		{"npm_config_registry", address + "/", true},
		{"npm_config_replace_registry_host", "always", true},
		{"npm_config_noproxy", "127.0.0.1", true},
		{"npm_config_audit", "false", false},
		{"npm_config_fund", "false", false},
		{"npm_config_update_notifier", "false", false},
	}
}
