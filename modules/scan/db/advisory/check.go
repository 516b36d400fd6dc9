package advisory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/aquasecurity/trivy-db/pkg/vulnsrc/osv"
	debian "github.com/knqyf263/go-deb-version"

	"slipway/step"
)

// entry is as much of an OSV record as is checked.
type entry struct {
	ID        string     `json:"id"`
	Withdrawn string     `json:"withdrawn"`
	Affected  []affected `json:"affected"`
}

type affected struct {
	Package struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
	} `json:"package"`
	Ranges   []versionRange `json:"ranges"`
	Versions []string       `json:"versions"`
}

// versionRange is an entry of affected[].ranges
// (https://ossf.github.io/osv-schema/#affectedranges-field).
type versionRange struct {
	Type   string  `json:"type"`
	Events []event `json:"events"`
}

type event struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
}

// check reads every advisory below folder as the OSV format asks for, since the
// builder and the scanner themselves skip what they do not understand. It counts
// them, and those of them that are not withdrawn.
func check(folder string) (count, usable int, err error) {
	err = filepath.WalkDir(folder, func(path string, file fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if file.IsDir() || filepath.Ext(path) != ".json" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var advisory entry
		if err := json.Unmarshal(data, &advisory); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		if err := advisory.check(); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
		count++
		if advisory.Withdrawn == "" {
			usable++
		}
		return nil
	})
	if err == nil && count == 0 {
		err = errors.New("no file ends in .json")
	}
	if err != nil {
		return 0, 0, step.Input(stage, "--advisories "+folder, "is no folder of advisories: "+err.Error(),
			"give a folder of .json files in the OSV format, about packages of "+strings.Join(ecosystems, ", ")).Because(err)
	}
	return count, usable, nil
}

func (e entry) check() error {
	if e.ID == "" || len(e.Affected) == 0 {
		return errors.New("has no id or affects nothing")
	}
	seen := map[string]bool{}
	for _, a := range e.Affected {
		name := a.Package.Ecosystem
		if system, _, ok := strings.Cut(name, ":"); ok {
			name = system + ":"
		}
		if !slices.ContainsFunc(ecosystems, func(known string) bool { return strings.EqualFold(known, name) }) {
			return fmt.Errorf("is about a package of %q", a.Package.Ecosystem)
		}
		if a.Package.Name == "" {
			return errors.New("is about a package without a name")
		}
		if strings.EqualFold(name, debianSystem) {
			if err := a.debian(); err != nil {
				return err
			}
			key := a.Package.Ecosystem + " " + a.Package.Name
			if seen[key] {
				return fmt.Errorf("names %s twice", key)
			}
			seen[key] = true
			continue
		}
		if len(a.Ranges)+len(a.Versions) == 0 {
			return errors.New("affected[] has neither ranges nor versions")
		}
		for _, r := range a.Ranges {
			if err := r.check(a.Package.Ecosystem); err != nil {
				return err
			}
		}
	}
	return nil
}

// check refuses a range whose events are not in the order of the versions, or whose
// versions are none. The builder reads events one after the other: an end without a
// beginning would be taken for the end of another range, or stop the program.
func (r versionRange) check(ecosystem string) error {
	if r.Type == "GIT" {
		return nil
	}
	introduced := false
	var last osv.VersionRange
	for _, event := range r.Events {
		switch {
		case event.Introduced != "":
			introduced = true
			last = osv.NewVersionRange(ecosystem, event.Introduced)
		case event.Fixed+event.LastAffected != "" && !introduced:
			return fmt.Errorf("affected[].ranges[].events ends at %q before anything is introduced", event.Fixed+event.LastAffected)
		case event.Fixed != "":
			last.SetFixed(event.Fixed)
		case event.LastAffected != "":
			last.SetLastAffected(event.LastAffected)
		default:
			continue
		}
		// A range that can't be read contains nothing, whatever the version.
		if _, err := last.Contains("1.0.0"); err != nil {
			return fmt.Errorf("affected[].ranges[].events can't be compared with a version: %w", err)
		}
	}
	if !introduced {
		return errors.New("affected[].ranges[].events introduces nothing")
	}
	return nil
}

// debianSystem is how OSV's ecosystems of Debian begin; a major release follows.
const debianSystem = "Debian:"

var majorRelease = regexp.MustCompile(`\A[1-9][0-9]{0,2}\z`)

// debian refuses what Trivy's advisories of a distribution can't say: everything
// below one version is affected, or every version is.
func (a affected) debian() error {
	if !majorRelease.MatchString(a.Package.Ecosystem[len(debianSystem):]) {
		return fmt.Errorf("%q is no release such as Debian:12", a.Package.Ecosystem)
	}
	if len(a.Ranges) != 1 || len(a.Versions) > 0 {
		return fmt.Errorf("has not one range of versions of %s in %s", a.Package.Name, a.Package.Ecosystem)
	}
	events := a.Ranges[0].Events
	if a.Ranges[0].Type != "ECOSYSTEM" || len(events) == 0 || len(events) > 2 || events[0] != (event{Introduced: "0"}) {
		return fmt.Errorf("has a range of %s in %s that does not begin at 0, or is in parts", a.Package.Name, a.Package.Ecosystem)
	}
	if len(events) == 2 {
		if events[1] != (event{Fixed: events[1].Fixed}) {
			return fmt.Errorf("has a range of %s in %s that ends in no fixed version", a.Package.Name, a.Package.Ecosystem)
		}
		if !debian.Valid(events[1].Fixed) {
			return fmt.Errorf("%q is no version of a Debian package", events[1].Fixed)
		}
	}
	return nil
}
