// Package npm fetches what an npm lock file pins, so that npm ci needs no network.
// It reads lock files only, and runs nothing of an app's.
package npm

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"slipway/step"
)

// Stage is the stage of this package's faults.
const Stage = "build"

// anew is how a lock file is made anew.
const anew = "run npm install in the lock file's folder with npm 7 or newer, and commit the lock file"

// pinned is a tarball that lock files name.
type pinned struct {
	name, version string
	// path is the tarball's in the registry that the lock file names, url where it
	// is fetched.
	path, url string
	// integrity is the lock file's; algorithm and sums are what counts of it.
	integrity, algorithm string
	sums                 []string
	// at is the lock file and the entry.
	at string
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

// maxRefusals is how many entries of a lock file a refusal names.
const maxRefusals = 20

// parse reads a lock file of version 2 or 3 and returns the tarballs that it pins, in
// the order of their entries.
//
// Faults are KindInput for what is no such file or is inconsistent, KindPolicy for
// packages that are not pinned or lie elsewhere than in the registry; they name each.
func parse(file string, content []byte, registry *url.URL, most int) ([]pinned, error) {
	var lock struct {
		Version  int              `json:"lockfileVersion"`
		Packages map[string]entry `json:"packages"`
	}
	if err := json.Unmarshal(content, &lock); err != nil {
		return nil, step.Input(Stage, file, "is no lock file of npm: "+err.Error(), anew).Because(err)
	}
	if lock.Version != 2 && lock.Version != 3 || lock.Packages == nil {
		return nil, step.Input(Stage, file, fmt.Sprintf("has lockfileVersion %d, and 2 or 3 is needed", lock.Version), anew)
	}
	if len(lock.Packages) > most {
		return nil, step.Policy(Stage, file, fmt.Sprintf("names %d packages, more than %d", len(lock.Packages), most), "depend on fewer packages")
	}
	var all []pinned
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
		p.at = fmt.Sprintf("%s: %.200q", file, key)
		all = append(all, p)
	}
	if len(refusals) > 0 {
		if more := len(refusals) - maxRefusals; more > 0 {
			refusals = append(refusals[:maxRefusals], fmt.Sprintf("and %d more", more))
		}
		return nil, step.Policy(Stage, file, "names packages that are not pinned, or not in a registry such as "+registry.Redacted(),
			"take each from that registry, where npm install notes its sha512 (a lock file can be left out by .dockerignore)", refusals...)
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
func (e entry) pin(key string, registry *url.URL) (pinned, string) {
	p := pinned{name: e.Name, version: e.Version, integrity: e.Integrity}
	if p.name == "" {
		_, p.name, _ = cutLast("/"+key, "/node_modules/")
	}
	if len(p.name) > 214 || !packageName.MatchString(p.name) {
		return p, fmt.Sprintf("is no name of a package: %.80q", p.name)
	}
	if len(p.version) > 256 || !versionName.MatchString(p.version) {
		return p, fmt.Sprintf("has no version: %.80q", p.version)
	}
	if reason := p.locate(e.Resolved, registry); reason != "" {
		return p, reason
	}
	if e.Integrity == "" {
		return p, "has no integrity"
	}
	return p, p.sum()
}

// locate says where the package is fetched.
func (p *pinned) locate(resolved string, registry *url.URL) (reason string) {
	// Where every registry has it, below its own path.
	usual := "/" + p.name + "/-/" + path.Base(p.name) + "-" + p.version + ".tgz"
	if resolved == "" {
		// npm leaves it out where it is told to.
		p.path, p.url = usual, registry.JoinPath(usual).String()
		return ""
	}
	from, err := url.Parse(resolved)
	switch {
	case err != nil || from.Host == "" || from.User != nil || from.RawQuery != "" || from.Fragment != "" || from.Opaque != "":
		return fmt.Sprintf("comes from %.200q, which is no plain address of a registry", redacted(resolved))
	case len(from.Path) > 1024 || !plainPath.MatchString(from.Path):
		return fmt.Sprintf("comes from %.200q, whose path is not plain", resolved)
	}
	p.path = from.Path
	base := strings.TrimSuffix(registry.Path, "/")
	switch {
	case from.Scheme == registry.Scheme && from.Host == registry.Host && strings.HasPrefix(from.Path, base+"/"):
		p.url = from.String()
	case from.Scheme == "https" && strings.HasSuffix(from.Path, usual):
		// Another registry's address of the very package: the platform's has it, too, and
		// the integrity says whether it is the same. The other one is not asked.
		p.url = registry.JoinPath(usual).String()
	default:
		return fmt.Sprintf("comes from %.200q, which is neither in the platform's registry nor a registry's address of %s@%s", resolved, p.name, p.version)
	}
	return ""
}

// redacted is an address without a password.
func redacted(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return address
}

// algorithms are the hashes that pin, the strongest first, by their length in bytes.
var algorithms = []struct {
	name string
	size int
}{{"sha512", 64}, {"sha384", 48}, {"sha256", 32}}

// sum reads the integrity: of its strongest algorithm, any sum may be the file's.
func (p *pinned) sum() (reason string) {
	for _, algorithm := range algorithms {
		for _, word := range strings.Fields(p.integrity) {
			name, sum, _ := strings.Cut(word, "-")
			if name != algorithm.name {
				continue
			}
			sum, _, _ = strings.Cut(sum, "?")
			bytes, err := base64.StdEncoding.DecodeString(sum)
			if err != nil || len(bytes) != algorithm.size {
				return fmt.Sprintf("has an integrity that is no %s: %.200q", algorithm.name, word)
			}
			p.algorithm, p.sums = algorithm.name, append(p.sums, string(bytes))
		}
		if p.sums != nil {
			return ""
		}
	}
	return fmt.Sprintf("is pinned by %.80q only, which is no sha256, sha384 or sha512", p.integrity)
}

// cutLast cuts around the last instance of sep.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
