package render

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"slipway/step/printable"
	"slipway/step/result/scan"
)

// Delta is what differs between the findings of two images. It is about facts,
// not about the policy: the same two findings give the same delta, in the same
// order, whatever the policy says. Lists are never null in JSON.
type Delta struct {
	Packages          PackageDelta                   `json:"packages"`
	Vulnerabilities   Changes[scan.Vulnerability]    `json:"vulnerabilities"`
	Misconfigurations Changes[scan.Misconfiguration] `json:"misconfigurations"`
}

// PackageDelta is how the packages of two images differ, in the order of their
// type and name.
type PackageDelta struct {
	Added   []PackageChange `json:"added"`
	Removed []PackageChange `json:"removed"`
	Changed []PackageChange `json:"changed"`
}

// PackageChange is a package whose versions differ. An image may hold several
// versions of one package, so Before and After are all of them; what was added
// has nothing in Before, what was removed nothing in After.
type PackageChange struct {
	Class  string   `json:"class"`
	Type   string   `json:"type"`
	Name   string   `json:"name"`
	Before []string `json:"before"`
	After  []string `json:"after"`
}

// Changes are findings that only the image after has, that only the image
// before has, and that both have, as the image after has them. The worst is
// first.
type Changes[F any] struct {
	Introduced []F `json:"introduced"`
	Fixed      []F `json:"fixed"`
	Remaining  []F `json:"remaining"`
}

// Compare says what is new and what is gone in after. A vulnerability that
// stays in a package through an update, or moves with the package to another
// file, is neither; nor is a misconfiguration that moves to another line.
func Compare(before, after scan.Findings) Delta {
	return Delta{
		Packages: comparePackages(before.Packages, after.Packages),
		Vulnerabilities: changes(before.Vulnerabilities, after.Vulnerabilities, orderVulnerabilities,
			func(v scan.Vulnerability) [4]string { return [4]string{v.ID, v.Package, v.Target, v.Installed} },
			func(v scan.Vulnerability) [4]string { return [4]string{v.ID, v.Package, v.Target} },
			func(v scan.Vulnerability) [4]string { return [4]string{v.ID, v.Package} }),
		Misconfigurations: changes(before.Misconfigurations, after.Misconfigurations, orderMisconfigurations,
			func(m scan.Misconfiguration) [4]string {
				return [4]string{m.ID, m.File, m.Resource, fmt.Sprint(m.Line)}
			},
			func(m scan.Misconfiguration) [4]string { return [4]string{m.ID, m.File, m.Resource} }),
	}
}

func comparePackages(before, after []scan.Package) PackageDelta {
	all := map[[3]string]*PackageChange{}
	at := func(p scan.Package) *PackageChange {
		key := [3]string{p.Class, p.Type, p.Name}
		if all[key] == nil {
			all[key] = &PackageChange{Class: p.Class, Type: p.Type, Name: p.Name, Before: []string{}, After: []string{}}
		}
		return all[key]
	}
	for _, p := range before {
		c := at(p)
		c.Before = append(c.Before, p.Version)
	}
	for _, p := range after {
		c := at(p)
		c.After = append(c.After, p.Version)
	}
	d := PackageDelta{Added: []PackageChange{}, Removed: []PackageChange{}, Changed: []PackageChange{}}
	for _, key := range slices.SortedFunc(maps.Keys(all), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		c := *all[key]
		c.Before, c.After = distinct(c.Before), distinct(c.After)
		switch {
		case len(c.Before) == 0:
			d.Added = append(d.Added, c)
		case len(c.After) == 0:
			d.Removed = append(d.Removed, c)
		case !slices.Equal(c.Before, c.After):
			d.Changed = append(d.Changed, c)
		}
	}
	return d
}

func distinct(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// changes pairs the findings of both sides, each at most once, first those that
// agree in the strictest key, then in the next. What finds no partner is new or
// gone.
func changes[F any](before, after []F, order func(a, b F) int, keys ...func(F) [4]string) Changes[F] {
	c := Changes[F]{
		Introduced: slices.SortedStableFunc(slices.Values(after), order),
		Fixed:      slices.SortedStableFunc(slices.Values(before), order),
		Remaining:  []F{},
	}
	for _, key := range keys {
		had, kept := map[[4]string]int{}, map[[4]string]int{}
		for _, f := range c.Fixed {
			had[key(f)]++
		}
		introduced, fixed := []F{}, []F{}
		for _, f := range c.Introduced {
			if k := key(f); had[k] > kept[k] {
				kept[k]++
				c.Remaining = append(c.Remaining, f)
			} else {
				introduced = append(introduced, f)
			}
		}
		for _, f := range c.Fixed {
			if k := key(f); kept[k] > 0 {
				kept[k]--
			} else {
				fixed = append(fixed, f)
			}
		}
		c.Introduced, c.Fixed = introduced, fixed
	}
	slices.SortStableFunc(c.Remaining, order)
	return c
}

// rank orders the severities.
func rank(s scan.Severity) int { return slices.Index(scan.Severities, s) }

func orderVulnerabilities(a, b scan.Vulnerability) int {
	return cmp.Or(cmp.Compare(rank(b.Severity), rank(a.Severity)), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Package, b.Package),
		cmp.Compare(a.Target, b.Target), cmp.Compare(a.Installed, b.Installed))
}

func orderMisconfigurations(a, b scan.Misconfiguration) int {
	return cmp.Or(cmp.Compare(rank(b.Severity), rank(a.Severity)), cmp.Compare(a.ID, b.ID), cmp.Compare(a.File, b.File),
		cmp.Compare(a.Line, b.Line), cmp.Compare(a.Resource, b.Resource))
}

// Text is the delta for people: a line of counts for each kind, and below it a
// line for each change, + for what comes, - for what goes and ~ for what
// changes.
func (d Delta) Text() string {
	var b strings.Builder
	d.Packages.text(&b)
	count(&b, "vulnerabilities", d.Vulnerabilities, func(v scan.Vulnerability) string {
		mend := "no fixed version"
		if v.Fixed != "" {
			mend = "fixed in " + v.Fixed
		}
		return fmt.Sprintf("%s: %s in %s %s (%s), %s", v.Severity, v.ID, v.Package, v.Installed, v.Target, mend)
	})
	count(&b, "misconfigurations", d.Misconfigurations, func(m scan.Misconfiguration) string {
		return fmt.Sprintf("%s: %s in %s:%d: %s", m.Severity, m.ID, m.File, m.Line, m.Title)
	})
	return b.String()
}

func count[F any](b *strings.Builder, noun string, c Changes[F], line func(F) string) {
	fmt.Fprintf(b, "%s: %d introduced, %d fixed, %d remain\n", noun, len(c.Introduced), len(c.Fixed), len(c.Remaining))
	for _, f := range c.Introduced {
		b.WriteString("  + " + printable.Line(line(f)) + "\n")
	}
	for _, f := range c.Fixed {
		b.WriteString("  - " + printable.Line(line(f)) + "\n")
	}
}

func (d PackageDelta) text(b *strings.Builder) {
	fmt.Fprintf(b, "packages: %d added, %d removed, %d changed\n", len(d.Added), len(d.Removed), len(d.Changed))
	lines := map[string][]string{}
	add := func(mark string, list []PackageChange, versions func(PackageChange) string) {
		for _, c := range list {
			lines[c.Type] = append(lines[c.Type], "    "+mark+" "+printable.Line(c.Name+versions(c))+"\n")
		}
	}
	add("+", d.Added, func(c PackageChange) string { return versions(c.After) })
	add("-", d.Removed, func(c PackageChange) string { return versions(c.Before) })
	add("~", d.Changed, func(c PackageChange) string { return versions(c.Before) + " →" + versions(c.After) })
	for _, kind := range slices.Sorted(maps.Keys(lines)) {
		b.WriteString("  " + printable.Line(kind) + "\n")
		for _, line := range lines[kind] {
			b.WriteString(line)
		}
	}
}

// versions lists versions behind a space; a package may have none.
func versions(list []string) string {
	var named []string
	for _, v := range list {
		named = append(named, cmp.Or(v, "(no version)"))
	}
	return " " + strings.Join(named, ", ")
}
