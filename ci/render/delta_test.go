package render_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/render"
	"slipway/step/result/scan"
)

func gobinary(name, version string) scan.Package {
	return scan.Package{Class: "lang-pkgs", Type: "gobinary", Name: name, Version: version}
}

func change(name string, before, after []string) render.PackageChange {
	return render.PackageChange{Class: "lang-pkgs", Type: "gobinary", Name: name, Before: before, After: after}
}

func TestComparePackages(t *testing.T) {
	none := []string{}
	for name, tc := range map[string]struct {
		before, after           []scan.Package
		added, removed, changed []render.PackageChange
	}{
		"nothing at all": {},
		"the same": {
			before: []scan.Package{gobinary("a", "v1"), gobinary("b", "v1")},
			after:  []scan.Package{gobinary("b", "v1"), gobinary("a", "v1")},
		},
		"never released": {
			after: []scan.Package{gobinary("b", "v1"), gobinary("a", "v1")},
			added: []render.PackageChange{change("a", none, []string{"v1"}), change("b", none, []string{"v1"})},
		},
		"added, removed and changed": {
			before:  []scan.Package{gobinary("old", "v1"), gobinary("kept", "v1"), gobinary("moved", "v1")},
			after:   []scan.Package{gobinary("new", "v1"), gobinary("moved", "v2"), gobinary("kept", "v1")},
			added:   []render.PackageChange{change("new", none, []string{"v1"})},
			removed: []render.PackageChange{change("old", []string{"v1"}, none)},
			changed: []render.PackageChange{change("moved", []string{"v1"}, []string{"v2"})},
		},
		"one of several versions": {
			before:  []scan.Package{gobinary("a", "v2"), gobinary("a", "v1"), gobinary("a", "v2")},
			after:   []scan.Package{gobinary("a", "v3"), gobinary("a", "v1")},
			changed: []render.PackageChange{change("a", []string{"v1", "v2"}, []string{"v1", "v3"})},
		},
		"another type of the same name": {
			before:  []scan.Package{gobinary("curl", "v1")},
			after:   []scan.Package{{Class: "os-pkgs", Type: "debian", Name: "curl", Version: "v1"}},
			added:   []render.PackageChange{{Class: "os-pkgs", Type: "debian", Name: "curl", Before: none, After: []string{"v1"}}},
			removed: []render.PackageChange{change("curl", []string{"v1"}, none)},
		},
		"a version where there was none": {
			before:  []scan.Package{gobinary("app", "")},
			after:   []scan.Package{gobinary("app", "v1")},
			changed: []render.PackageChange{change("app", []string{""}, []string{"v1"})},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := render.Compare(scan.Findings{Packages: tc.before}, scan.Findings{Packages: tc.after}).Packages
			assert.ElementsMatch(t, tc.added, d.Added)
			assert.ElementsMatch(t, tc.removed, d.Removed)
			assert.ElementsMatch(t, tc.changed, d.Changed)
			for _, list := range [][]render.PackageChange{d.Added, d.Removed, d.Changed} {
				assert.NotNil(t, list)
				assert.True(t, slices.IsSortedFunc(list, func(a, b render.PackageChange) int {
					return slices.Compare([]string{a.Class, a.Type, a.Name}, []string{b.Class, b.Type, b.Name})
				}))
			}
		})
	}
}

func TestCompareVulnerabilities(t *testing.T) {
	v := func(id, pkg, installed, target string) scan.Vulnerability {
		return scan.Vulnerability{ID: id, Package: pkg, Installed: installed, Target: target, Severity: scan.High}
	}
	type list = []scan.Vulnerability
	for name, tc := range map[string]struct{ before, after, introduced, fixed, remaining list }{
		"nothing at all": {},
		"the same":       {before: list{v("CVE-1", "a", "v1", "app")}, after: list{v("CVE-1", "a", "v1", "app")}, remaining: list{v("CVE-1", "a", "v1", "app")}},
		"never released": {after: list{v("CVE-1", "a", "v1", "app")}, introduced: list{v("CVE-1", "a", "v1", "app")}},
		"fixed":          {before: list{v("CVE-1", "a", "v1", "app")}, fixed: list{v("CVE-1", "a", "v1", "app")}},
		"one for another": {
			before: list{v("CVE-1", "a", "v1", "app")}, after: list{v("CVE-2", "a", "v2", "app")},
			introduced: list{v("CVE-2", "a", "v2", "app")}, fixed: list{v("CVE-1", "a", "v1", "app")},
		},
		"an update that leaves it": {
			before: list{v("CVE-1", "a", "v1", "app")}, after: list{v("CVE-1", "a", "v2", "app")}, remaining: list{v("CVE-1", "a", "v2", "app")},
		},
		"a renamed program": {
			before: list{v("CVE-1", "a", "v1", "app")}, after: list{v("CVE-1", "a", "v1", "server")}, remaining: list{v("CVE-1", "a", "v1", "server")},
		},
		"the same id in another package": {
			before: list{v("CVE-1", "a", "v1", "app")}, after: list{v("CVE-1", "b", "v1", "app")},
			introduced: list{v("CVE-1", "b", "v1", "app")}, fixed: list{v("CVE-1", "a", "v1", "app")},
		},
		"one of two programs": {
			before: list{v("CVE-1", "a", "v1", "one"), v("CVE-1", "a", "v1", "two")}, after: list{v("CVE-1", "a", "v1", "two")},
			fixed: list{v("CVE-1", "a", "v1", "one")}, remaining: list{v("CVE-1", "a", "v1", "two")},
		},
		"a second program": {
			before: list{v("CVE-1", "a", "v1", "two")}, after: list{v("CVE-1", "a", "v1", "one"), v("CVE-1", "a", "v1", "two")},
			introduced: list{v("CVE-1", "a", "v1", "one")}, remaining: list{v("CVE-1", "a", "v1", "two")},
		},
		"one of two versions": {
			before: list{v("CVE-1", "a", "v1", "app"), v("CVE-1", "a", "v2", "app")}, after: list{v("CVE-1", "a", "v2", "app")},
			fixed: list{v("CVE-1", "a", "v1", "app")}, remaining: list{v("CVE-1", "a", "v2", "app")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := render.Compare(scan.Findings{Vulnerabilities: tc.before}, scan.Findings{Vulnerabilities: tc.after}).Vulnerabilities
			assert.ElementsMatch(t, tc.introduced, d.Introduced)
			assert.ElementsMatch(t, tc.fixed, d.Fixed)
			assert.ElementsMatch(t, tc.remaining, d.Remaining)
			assert.Len(t, tc.after, len(d.Introduced)+len(d.Remaining), "every finding of the image after is in one list")
			assert.Len(t, tc.before, len(d.Fixed)+len(d.Remaining), "and every one of the image before")
		})
	}
}

func TestCompareMisconfigurations(t *testing.T) {
	m := func(id, file string, line int) scan.Misconfiguration {
		return scan.Misconfiguration{ID: id, File: file, Line: line, Severity: scan.Low}
	}
	type list = []scan.Misconfiguration
	for name, tc := range map[string]struct{ before, after, introduced, fixed, remaining list }{
		"the same":             {before: list{m("KSV-1", "a.yaml", 1)}, after: list{m("KSV-1", "a.yaml", 1)}, remaining: list{m("KSV-1", "a.yaml", 1)}},
		"on another line":      {before: list{m("KSV-1", "a.yaml", 1)}, after: list{m("KSV-1", "a.yaml", 9)}, remaining: list{m("KSV-1", "a.yaml", 9)}},
		"in another file":      {before: list{m("KSV-1", "a.yaml", 1)}, after: list{m("KSV-1", "b.yaml", 1)}, introduced: list{m("KSV-1", "b.yaml", 1)}, fixed: list{m("KSV-1", "a.yaml", 1)}},
		"once more, elsewhere": {before: list{m("KSV-1", "a.yaml", 1)}, after: list{m("KSV-1", "a.yaml", 1), m("KSV-1", "a.yaml", 9)}, introduced: list{m("KSV-1", "a.yaml", 9)}, remaining: list{m("KSV-1", "a.yaml", 1)}},
	} {
		t.Run(name, func(t *testing.T) {
			d := render.Compare(scan.Findings{Misconfigurations: tc.before}, scan.Findings{Misconfigurations: tc.after}).Misconfigurations
			assert.ElementsMatch(t, tc.introduced, d.Introduced)
			assert.ElementsMatch(t, tc.fixed, d.Fixed)
			assert.ElementsMatch(t, tc.remaining, d.Remaining)
		})
	}
}

// both are findings before and after with something of everything.
func both() (scan.Findings, scan.Findings) {
	before := scan.Findings{
		Packages: []scan.Package{
			gobinary("golang.org/x/text", "v0.3.7"), gobinary("golang.org/x/net", "v0.1.0"), gobinary("hello", ""),
			{Class: "os-pkgs", Type: "debian", Name: "libc6", Version: "2.36-9"},
		},
		Vulnerabilities: []scan.Vulnerability{
			{ID: "CVE-2", Package: "libc6", Installed: "2.36-9", Target: "debian 12", Severity: scan.Low},
			{ID: "CVE-1", Package: "golang.org/x/text", Installed: "v0.3.7", Fixed: "0.3.8", Target: "hello", Severity: scan.High, Title: "slow"},
		},
		Misconfigurations: []scan.Misconfiguration{{ID: "KSV-1", File: "a.yaml", Line: 3, Severity: scan.Medium, Title: "Root"}},
	}
	after := scan.Findings{
		Packages: []scan.Package{
			gobinary("golang.org/x/text", "v0.3.8"), gobinary("golang.org/x/sys", "v0.2.0"), gobinary("hello", "v1.0.0"),
			{Class: "os-pkgs", Type: "debian", Name: "libc6", Version: "2.36-10"},
		},
		Vulnerabilities: []scan.Vulnerability{
			{ID: "CVE-4", Package: "golang.org/x/sys", Installed: "v0.2.0", Target: "hello", Severity: scan.Medium},
			{ID: "CVE-3", Package: "golang.org/x/sys", Installed: "v0.2.0", Fixed: "0.2.1", Target: "hello", Severity: scan.Critical},
			{ID: "CVE-2", Package: "libc6", Installed: "2.36-10", Target: "debian 12", Severity: scan.Low},
		},
		Misconfigurations: []scan.Misconfiguration{{ID: "KSV-2", File: "a.yaml", Line: 5, Severity: scan.High, Title: "Privileged"}},
	}
	return before, after
}

func TestDeltaTextIsTheSameInAnyOrder(t *testing.T) {
	const want = `packages: 1 added, 1 removed, 3 changed
  debian
    ~ libc6 2.36-9 → 2.36-10
  gobinary
    + golang.org/x/sys v0.2.0
    - golang.org/x/net v0.1.0
    ~ golang.org/x/text v0.3.7 → v0.3.8
    ~ hello (no version) → v1.0.0
vulnerabilities: 2 introduced, 1 fixed, 1 remain
  + CRITICAL: CVE-3 in golang.org/x/sys v0.2.0 (hello), fixed in 0.2.1
  + MEDIUM: CVE-4 in golang.org/x/sys v0.2.0 (hello), no fixed version
  - HIGH: CVE-1 in golang.org/x/text v0.3.7 (hello), fixed in 0.3.8
misconfigurations: 1 introduced, 1 fixed, 0 remain
  + HIGH: KSV-2 in a.yaml:5: Privileged
  - MEDIUM: KSV-1 in a.yaml:3: Root
`
	before, after := both()
	delta := render.Compare(before, after)
	assert.Equal(t, want, delta.Text())
	for _, f := range []*scan.Findings{&before, &after} {
		slices.Reverse(f.Packages)
		slices.Reverse(f.Vulnerabilities)
		slices.Reverse(f.Misconfigurations)
	}
	given := slices.Clone(before.Vulnerabilities)
	assert.Equal(t, delta, render.Compare(before, after))
	assert.Equal(t, given, before.Vulnerabilities, "the findings stay as they are")
}

func TestDeltaOfNothingIsEmptyLists(t *testing.T) {
	data, err := json.Marshal(render.Compare(scan.Findings{}, scan.Findings{}))
	require.NoError(t, err)
	assert.JSONEq(t, `{
		"packages": {"added": [], "removed": [], "changed": []},
		"vulnerabilities": {"introduced": [], "fixed": [], "remaining": []},
		"misconfigurations": {"introduced": [], "fixed": [], "remaining": []}
	}`, string(data))
	assert.Equal(t, "packages: 0 added, 0 removed, 0 changed\n"+
		"vulnerabilities: 0 introduced, 0 fixed, 0 remain\n"+
		"misconfigurations: 0 introduced, 0 fixed, 0 remain\n", render.Compare(scan.Findings{}, scan.Findings{}).Text())
}
