package database

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	dbtypes "github.com/aquasecurity/trivy-db/pkg/types"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	bolt "go.etcd.io/bbolt"

	"slipway/step"
)

// Coverage is which advisories a database holds.
type Coverage struct {
	// sources are the keys of the database's data-source bucket, such as
	// "go::The Go Vulnerability Database" or "debian 12", and for each release of
	// Red Hat's whose repositories it knows one like "Red Hat 9".
	sources []string
	// names are what the database calls the origins of its advisories.
	names []string
	path  string
}

// Red Hat's advisories are one source for all releases. Which of them concern a
// package is told by the repositories that it may have come from.
const redHat = "Red Hat"

var redHatRepository = regexp.MustCompile(`\Arhel-([0-9]+)-`)

func cover(path string) (*Coverage, error) {
	db, err := bolt.Open(path, 0o444, &bolt.Options{ReadOnly: true, Timeout: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	c := &Coverage{path: path}
	return c, db.View(func(tx *bolt.Tx) error {
		bucket := tx.Bucket([]byte("data-source"))
		if bucket == nil {
			return nil
		}
		if cpes := tx.Bucket([]byte(redHat + " CPE")); cpes != nil && tx.Bucket([]byte(redHat)) != nil {
			if repositories := cpes.Bucket([]byte("repository")); repositories != nil {
				if err := repositories.ForEach(func(key, _ []byte) error {
					if release := redHatRepository.FindSubmatch(key); release != nil {
						c.sources = append(c.sources, redHat+" "+string(release[1]))
					}
					return nil
				}); err != nil {
					return err
				}
			}
		}
		names := map[string]bool{}
		err := bucket.ForEach(func(key, value []byte) error {
			// A source without a bucket of its own has no advisory.
			if tx.Bucket(key) == nil {
				return nil
			}
			c.sources = append(c.sources, string(key))
			var about dbtypes.DataSource
			if err := json.Unmarshal(value, &about); err != nil {
				return fmt.Errorf("source %q: %w", key, err)
			}
			names[cmp.Or(about.Name, string(key))] = true
			return nil
		})
		c.names = slices.Sorted(maps.Keys(names))
		return err
	})
}

// ecosystems are the advisories that Trivy asks for each type of package file.
var ecosystems = map[ftypes.LangType]string{
	ftypes.GoBinary: "go", ftypes.GoModule: "go",
	ftypes.Npm: "npm", ftypes.Yarn: "npm", ftypes.Pnpm: "npm", ftypes.Bun: "npm", ftypes.NodePkg: "npm", ftypes.JavaScript: "npm",
	ftypes.Pip: "pip", ftypes.Pipenv: "pip", ftypes.Poetry: "pip", ftypes.Uv: "pip", ftypes.PyLock: "pip", ftypes.PythonPkg: "pip",
	ftypes.Jar: "maven", ftypes.Pom: "maven", ftypes.Gradle: "maven", ftypes.Sbt: "maven",
	ftypes.NuGet: "nuget", ftypes.DotNetCore: "nuget", ftypes.PackagesProps: "nuget",
	ftypes.Bundler: "rubygems", ftypes.GemSpec: "rubygems",
	ftypes.Cargo: "cargo", ftypes.RustBinary: "cargo",
	ftypes.Composer: "composer", ftypes.ComposerVendor: "composer",
	ftypes.Hex: "erlang", ftypes.Conan: "conan", ftypes.Pub: "pub", ftypes.Swift: "swift",
	ftypes.Cocoapods: "cocoapods", ftypes.Bitnami: "bitnami", ftypes.Julia: "julia",
}

// Check refuses a report of an image that holds packages the database has no
// advisories for: Trivy would find nothing in them, whatever they are.
func (c *Coverage) Check(platform string, report *types.Report) error {
	for _, result := range report.Results {
		if len(result.Packages) == 0 {
			continue
		}
		prefix := ecosystems[result.Type] + "::"
		if result.Class == types.ClassOSPkg {
			prefix = system(report.Metadata.OS, result.Packages)
		}
		if prefix != "" && prefix != "::" && c.has(prefix) {
			continue
		}
		return step.Infrastructure(stage, fmt.Sprintf("%s:%s", platform, result.Target),
			fmt.Sprintf("holds %d packages of type %s, for which the vulnerability database has no advisories, so there is no verdict", len(result.Packages), result.Type),
			"use a database that covers them, such as the official one, or build without them")
	}
	return nil
}

// system is how a database names an operating system's advisories; empty for one
// that this package does not know.
func system(os *ftypes.OS, packages ftypes.Packages) string {
	if os == nil {
		return ""
	}
	major, rest, _ := strings.Cut(os.Name, ".")
	minor, _, _ := strings.Cut(rest, ".")
	switch os.Family {
	case ftypes.Debian:
		return "debian " + major
	case ftypes.Ubuntu:
		return "ubuntu " + major + "." + minor
	case ftypes.Alpine:
		return "alpine " + major + "." + minor
	case ftypes.Rocky:
		return "rocky " + major
	case ftypes.Alma:
		return "alma " + major
	case ftypes.Wolfi:
		return "wolfi"
	case ftypes.Chainguard:
		return "chainguard"
	case ftypes.RedHat, ftypes.CentOS:
		// Trivy knows by itself which repositories the packages of these releases
		// come from. Those of another it looks up nowhere, unless they say so.
		if !slices.Contains([]string{"6", "7", "8", "9"}, major) &&
			slices.ContainsFunc(packages, func(p ftypes.Package) bool { return p.BuildInfo == nil || len(p.BuildInfo.ContentSets) == 0 }) {
			return ""
		}
		return redHat + " " + major
	}
	return ""
}

// GoModules are those of the modules that the database has an advisory for, in
// whichever version.
func (c *Coverage) GoModules(modules []string) (map[string]bool, error) {
	db, err := bolt.Open(c.path, 0o444, &bolt.Options{ReadOnly: true, Timeout: 10 * time.Second})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	known := map[string]bool{}
	return known, db.View(func(tx *bolt.Tx) error {
		for _, source := range c.sources {
			bucket := tx.Bucket([]byte(source))
			if !strings.HasPrefix(source, "go::") || bucket == nil {
				continue
			}
			for _, module := range modules {
				if module != "" && bucket.Bucket([]byte(module)) != nil {
					known[module] = true
				}
			}
		}
		return nil
	})
}

// has says whether a source is prefix, or a language's source with prefix.
func (c *Coverage) has(prefix string) bool {
	for _, source := range c.sources {
		if source == prefix || strings.HasSuffix(prefix, "::") && strings.HasPrefix(source, prefix) {
			return true
		}
	}
	return false
}
