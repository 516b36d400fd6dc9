// Package npm reads npm's lock files.
package npm

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"slipway/build/step/packages"
	"slipway/step"
	"slipway/step/result/build"
)

// anew is how a lock file is made anew.
const anew = "run npm install in the lock file's folder with npm 7 or newer, and commit the lock file"

// Source is npm's lock files: of each folder the one that npm would take.
type Source struct {
	// Registry is the base of the addresses that packages are fetched from; empty for
	// none.
	Registry string
}

// Origin is of packages.Source.
func (s Source) Origin() packages.Origin {
	return packages.Origin{Manager: build.NPM, What: "npm registry", Address: s.Registry, Setting: "build.npm.registry", Anew: anew}
}

// Pin is of packages.Source. Faults are parse's, and KindInput where the platform has
// no registry.
func (s Source) Pin(_ context.Context, app *packages.App, client *packages.Client) ([]packages.Pinned, error) {
	var all []packages.Pinned
	for _, file := range locks(app.Files) {
		if client == nil {
			return nil, s.Origin().Missing(file)
		}
		content, err := app.Lock(file)
		if err != nil {
			return nil, err
		}
		pinned, err := parse(file, content, client.Base, app.Packages)
		if err != nil {
			return nil, err
		}
		all = append(all, pinned...)
	}
	return all, nil
}

// locks are the paths of the lock files that npm would take, in order.
func locks(files []string) []string {
	found := map[string]string{}
	for _, file := range files {
		dir, name := path.Split(file)
		if i := slices.Index(build.LockFiles, name); i >= 0 && (found[dir] == "" || i == 0) {
			found[dir] = file
		}
	}
	return slices.Sorted(maps.Values(found))
}

// entry is what a lock file says about a folder of packages.
type entry struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Resolved  string `json:"resolved"`
	Integrity string `json:"integrity"`
	Link      bool   `json:"link"`
	InBundle  bool   `json:"inBundle"`
	Optional  bool   `json:"optional"`
	OS        list   `json:"os"`
	CPU       list   `json:"cpu"`
}

// list is one name or several.
type list []string

// UnmarshalJSON is of json.Unmarshaler.
func (l *list) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*l = list{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

// parse reads a lock file of version 2 or 3 and returns the tarballs that it pins, in
// the order of their entries.
//
// Faults are KindInput for what is no such file or is inconsistent, KindPolicy for
// packages that are not pinned or lie elsewhere than in the registry; they name each.
func parse(file string, content []byte, registry *url.URL, most int) ([]packages.Pinned, error) {
	var lock struct {
		Version  int              `json:"lockfileVersion"`
		Packages map[string]entry `json:"packages"`
	}
	if err := json.Unmarshal(content, &lock); err != nil {
		return nil, step.Input(packages.Stage, file, "is no lock file of npm: "+err.Error(), anew).Because(err)
	}
	if lock.Version != 2 && lock.Version != 3 || lock.Packages == nil {
		return nil, step.Input(packages.Stage, file, fmt.Sprintf("has lockfileVersion %d, and 2 or 3 is needed", lock.Version), anew)
	}
	if len(lock.Packages) > most {
		return nil, step.Policy(packages.Stage, file, fmt.Sprintf("names %d packages, more than %d", len(lock.Packages), most), "depend on fewer packages")
	}
	var all []packages.Pinned
	var refusals []string
	for _, key := range slices.Sorted(maps.Keys(lock.Packages)) {
		e := lock.Packages[key]
		if e.local(key) || e.Optional && !e.wanted() {
			continue
		}
		p, reason := e.pin(key, registry)
		if reason != "" {
			refusals = append(refusals, fmt.Sprintf("%.200q %s", key, reason))
			continue
		}
		p.At = fmt.Sprintf("%s: %.200q", file, key)
		all = append(all, p)
	}
	if len(refusals) > 0 {
		return nil, step.Policy(packages.Stage, file, "names packages that are not pinned, or not in a registry such as "+registry.Redacted(),
			"take each from that registry, where npm install notes its sha512 (a lock file can be left out by .dockerignore)", packages.Few(refusals)...)
	}
	return all, nil
}

// local says whether npm takes the entry from the app's own folder, or from the
// tarball of another package.
func (e entry) local(key string) bool {
	if e.Link || e.InBundle {
		return true
	}
	// A workspace, or the app itself.
	if !strings.Contains("/"+key, "/node_modules/") {
		return true
	}
	inside, ok := strings.CutPrefix(e.Resolved, "file:")
	if !ok {
		return false
	}
	inside = path.Clean(inside)
	return !path.IsAbs(inside) && inside != ".." && !strings.HasPrefix(inside, "../")
}

// wanted says whether an optional package is for a platform that images are for: npm
// leaves out those of others.
func (e entry) wanted() bool {
	return listed(e.OS, "linux") && (listed(e.CPU, "x64") || listed(e.CPU, "arm64"))
}

// listed is npm's rule for os and cpu: one of the names, or none of those with a !.
func listed(names []string, name string) bool {
	only := false
	for _, n := range names {
		not, negated := strings.CutPrefix(n, "!")
		switch {
		case negated && not == name:
			return false
		case n == name || n == "any":
			return true
		case !negated:
			only = true
		}
	}
	return !only
}

var (
	// packageName is one that a registry may have, also an old one.
	packageName = regexp.MustCompile(`\A(@[A-Za-z0-9~_-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~_-][A-Za-z0-9._~!'()*-]*\z`)
	versionName = regexp.MustCompile(`\A[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+-]*\z`)
	// plainPath is the path of an address that says the same to whoever reads it.
	plainPath = regexp.MustCompile(`\A(/[A-Za-z0-9@~_!'()*+=,-][A-Za-z0-9@._~!'()*+=,-]*)+\z`)
)

// pin returns what an entry names, or why it is refused.
func (e entry) pin(key string, registry *url.URL) (packages.Pinned, string) {
	p := packages.Pinned{Name: e.Name, Version: e.Version, Integrity: e.Integrity}
	if p.Name == "" {
		_, p.Name, _ = cutLast("/"+key, "/node_modules/")
	}
	if len(p.Name) > 214 || !packageName.MatchString(p.Name) {
		return p, fmt.Sprintf("is no name of a package: %.80q", p.Name)
	}
	if len(p.Version) > 256 || !versionName.MatchString(p.Version) {
		return p, fmt.Sprintf("has no version: %.80q", p.Version)
	}
	if reason := locate(&p, e.Resolved, registry); reason != "" {
		return p, reason
	}
	if e.Integrity == "" {
		return p, "has no integrity"
	}
	return p, sum(&p)
}

// locate says where the package is fetched.
func locate(p *packages.Pinned, resolved string, registry *url.URL) (reason string) {
	// Where every registry has it, below its own path.
	usual := "/" + p.Name + "/-/" + path.Base(p.Name) + "-" + p.Version + ".tgz"
	if resolved == "" {
		// npm leaves it out where it is told to.
		p.Path, p.URL = usual, registry.JoinPath(usual).String()
		return ""
	}
	from, err := url.Parse(resolved)
	switch {
	case err != nil || from.Host == "" || from.User != nil || from.RawQuery != "" || from.Fragment != "" || from.Opaque != "":
		return fmt.Sprintf("comes from %.200q, which is no plain address of a registry", packages.Redacted(resolved))
	case len(from.Path) > 1024 || !plainPath.MatchString(from.Path):
		return fmt.Sprintf("comes from %.200q, whose path is not plain", resolved)
	}
	p.Path = from.Path
	base := strings.TrimSuffix(registry.Path, "/")
	switch {
	case from.Scheme == registry.Scheme && from.Host == registry.Host && strings.HasPrefix(from.Path, base+"/"):
		p.URL = from.String()
	case from.Scheme == "https" && strings.HasSuffix(from.Path, usual):
		// Another registry's address of the very package: the platform's has it, too, and
		// the integrity says whether it is the same. The other one is not asked.
		p.URL = registry.JoinPath(usual).String()
	default:
		return fmt.Sprintf("comes from %.200q, which is neither in the platform's registry nor a registry's address of %s@%s", resolved, p.Name, p.Version)
	}
	return ""
}

// algorithms are the hashes that pin, the strongest first, by their length in bytes.
var algorithms = []struct {
	name string
	size int
}{{"sha512", 64}, {"sha384", 48}, {"sha256", 32}}

// sum reads the integrity: of its strongest algorithm, any sum may be the file's.
func sum(p *packages.Pinned) (reason string) {
	for _, algorithm := range algorithms {
		for _, word := range strings.Fields(p.Integrity) {
			name, encoded, _ := strings.Cut(word, "-")
			if name != algorithm.name {
				continue
			}
			encoded, _, _ = strings.Cut(encoded, "?")
			bytes, err := base64.StdEncoding.DecodeString(encoded)
			if err != nil || len(bytes) != algorithm.size {
				return fmt.Sprintf("has an integrity that is no %s: %.200q", algorithm.name, word)
			}
			p.Algorithm, p.Sums = algorithm.name, append(p.Sums, string(bytes))
		}
		if p.Sums != nil {
			return ""
		}
	}
	return fmt.Sprintf("is pinned by %.80q only, which is no sha256, sha384 or sha512", p.Integrity)
}

// cutLast cuts around the last instance of sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
