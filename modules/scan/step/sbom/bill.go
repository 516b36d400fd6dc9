// Package sbom makes software bills of materials of Trivy's reports: CycloneDX
// 1.6 and SPDX 2.3, both as JSON. The same reports give the same bytes, in
// whichever order they list what they found.
package sbom

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aquasecurity/trivy/pkg/digest"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/scan/utils"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/package-url/packageurl-go"

	"slipway/step"
)

const stage = "scan"

// Subject is what a bill is about: an image, or the source of one.
type Subject struct {
	// Name is the image's name, or the source's path in the repository.
	Name string
	// Digest is the image's, as sha256:…; empty for a source.
	Digest string
	// Revision is the Git tree id of the source, in hexadecimal SHA-1; empty
	// for an image, or when it is not known.
	Revision string
	// TrivyVersion is what the scanner calls its version.
	TrivyVersion string
	// Created is the time that the documents state. There is no clock behind
	// it: see Created.
	Created time.Time
}

func (s Subject) image() bool { return s.Digest != "" }

// Part is one report about a subject: of each platform's image, or of the
// source.
type Part struct {
	// Platform is os/architecture, or os/architecture/variant; empty for a
	// source.
	Platform string
	// Digest is that of the platform's image; empty for a source.
	Digest string
	Report *types.Report
}

// Role is what a package is.
type Role int

// The roles of packages.
const (
	// Library is a package that others use, and whatever else is none of the
	// following.
	Library Role = iota
	// Application is a target's own package: the main module of a Go program.
	Application
	// System is the distribution that an image is made of.
	System
)

// Package is one package of a subject.
type Package struct {
	// Ref names the package in its bill: its PURL, or TYPE/NAME@VERSION when
	// it has none; with # and a number where two would be called the same.
	Ref string
	// Type is Trivy's name of what the package comes as, such as gobinary.
	Type string
	Role Role
	// Name and Version as vulnerabilities name them; the version may be empty.
	Name, Version string
	// PURL is the package URL; empty when Trivy gives none.
	PURL string
	// Supplier is who maintains the package; may be empty.
	Supplier string
	// Hash is ALGORITHM:HEX, of the package as its database or Trivy's
	// analysis states it; empty when it is not known.
	Hash digest.Digest
	// Platforms are those whose image has the package.
	Platforms []string
	// Files are where the package was found, below the subject.
	Files []string
	// DependsOn are the Refs of the packages that this one needs.
	DependsOn []string

	licenses []license
}

// Bill is what a document lists.
type Bill struct {
	Subject Subject
	// Variants are the platforms' images of a subject that is an index.
	Variants []Variant
	// Packages are sorted by type, name, version and PURL.
	Packages []Package
}

// Variant is one platform's image.
type Variant struct{ Platform, Digest string }

// identity is what makes a package of two reports the same.
type identity struct {
	role                      Role
	kind, name, version, purl string
	hash                      digest.Digest
}

// entry is a package on its way.
type entry struct {
	supplier                   string
	licenses, platforms, files map[string]bool
	needs                      map[identity]bool
}

// Of makes the bill of a subject of all reports about it. It refuses a hash
// that no document could state.
func Of(subject Subject, parts []Part) (*Bill, error) {
	found := map[identity]*entry{}
	b := &Bill{Subject: subject}
	for _, part := range parts {
		if part.Digest != subject.Digest {
			b.Variants = append(b.Variants, Variant{Platform: part.Platform, Digest: part.Digest})
		}
		if err := gather(found, part); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(b.Variants, func(a, b Variant) int {
		return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Digest, b.Digest))
	})
	b.list(found)
	return b, nil
}

// gather adds the packages of one report.
func gather(found map[identity]*entry, part Part) error {
	add := func(id identity) *entry {
		e := found[id]
		if e == nil {
			e = &entry{
				licenses: map[string]bool{}, platforms: map[string]bool{}, files: map[string]bool{}, needs: map[identity]bool{},
			}
			found[id] = e
		}
		if part.Platform != "" {
			e.platforms[part.Platform] = true
		}
		return e
	}
	if os := part.Report.Metadata.OS; os != nil && os.Name != "" {
		add(identity{role: System, kind: string(os.Family), name: string(os.Family), version: os.Name})
	}
	for _, result := range part.Report.Results {
		if result.Class != types.ClassOSPkg && result.Class != types.ClassLangPkg {
			continue
		}
		// Dependencies are named by id, within one result.
		ids := map[string]identity{}
		for _, p := range result.Packages {
			id, err := identify(result, p)
			if err != nil {
				return err
			}
			ids[p.ID] = id
		}
		for _, p := range result.Packages {
			id, err := identify(result, p)
			if err != nil {
				return err
			}
			e := add(id)
			e.supplier = max(e.supplier, line(p.Maintainer))
			for _, l := range p.Licenses {
				if l = strings.TrimSpace(l); l != "" {
					e.licenses[l] = true
				}
			}
			if file := place(result, p); file != "" {
				e.files[file] = true
			}
			for _, need := range p.DependsOn {
				if other, ok := ids[need]; ok && need != "" && other != id {
					e.needs[other] = true
				}
			}
		}
	}
	return nil
}

// identify says which package this is. A hash that has another form than its
// algorithm gives is a fault.
func identify(result types.Result, p ftypes.Package) (identity, error) {
	id := identity{
		kind: string(result.Type), name: cmp.Or(line(p.Name), place(result, p), string(result.Type)),
		version: line(utils.FormatVersion(p)), hash: p.Digest,
	}
	if p.Relationship == ftypes.RelationshipRoot || p.Relationship == ftypes.RelationshipWorkspace {
		id.role = Application
	}
	if p.Identifier.PURL != nil {
		id.purl = p.Identifier.PURL.String()
	}
	if p.Digest != "" {
		size, ok := algorithms[p.Digest.Algorithm()]
		if value, err := hex.DecodeString(p.Digest.Encoded()); !ok || err != nil || len(value) != size.bytes {
			return identity{}, step.Infrastructure(stage, fmt.Sprintf("hash %.80q of package %s", p.Digest, id.name),
				"is of a kind that has no rule here, so no bill of materials can state it",
				"use the Trivy that modules/scan/trivy pins, or teach the scan step this algorithm")
		}
	}
	return id, nil
}

// place is the file that a package was found in. Packages of a distribution are
// in its database, and Trivy names the image there.
func place(result types.Result, p ftypes.Package) string {
	if result.Class == types.ClassOSPkg {
		return ""
	}
	return cmp.Or(p.FilePath, result.Target)
}

// list sorts what was found and gives each package its Ref.
func (b *Bill) list(found map[identity]*entry) {
	ids := make([]identity, 0, len(found))
	for id := range found {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b identity) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name), cmp.Compare(a.version, b.version),
			cmp.Compare(a.purl, b.purl), cmp.Compare(a.hash, b.hash), cmp.Compare(a.role, b.role))
	})
	refs, taken := map[identity]string{}, map[string]int{}
	for _, id := range ids {
		ref := cmp.Or(id.purl, strings.TrimSuffix(id.kind+"/"+id.name+"@"+id.version, "@"))
		taken[ref]++
		if n := taken[ref]; n > 1 {
			ref = fmt.Sprintf("%s#%d", ref, n)
		}
		refs[id] = ref
	}
	for _, id := range ids {
		e := found[id]
		p := Package{
			Ref: refs[id], Type: id.kind, Role: id.role, Name: id.name, Version: id.version, PURL: id.purl, Hash: id.hash,
			Supplier: e.supplier, Platforms: sorted(e.platforms), Files: sorted(e.files),
		}
		for need := range e.needs {
			p.DependsOn = append(p.DependsOn, refs[need])
		}
		slices.Sort(p.DependsOn)
		for _, text := range sorted(e.licenses) {
			l := readLicense(text)
			if l.expression == "" || !slices.ContainsFunc(p.licenses, func(o license) bool { return o.expression == l.expression }) {
				p.licenses = append(p.licenses, l)
			}
		}
		b.Packages = append(b.Packages, p)
	}
}

// heads are the packages that the subject itself needs: those that no other
// needs, and the first of each circle that nothing else leads to. From them,
// every package is reached.
func (b *Bill) heads() []string {
	needed, needs, reached := map[string]bool{}, map[string][]string{}, map[string]bool{}
	for _, p := range b.Packages {
		needs[p.Ref] = p.DependsOn
		for _, ref := range p.DependsOn {
			needed[ref] = true
		}
	}
	var heads []string
	take := func(ref string) {
		heads = append(heads, ref)
		for left := []string{ref}; len(left) > 0; {
			next := left[len(left)-1]
			left = left[:len(left)-1]
			if !reached[next] {
				reached[next] = true
				left = append(left, needs[next]...)
			}
		}
	}
	for _, p := range b.Packages {
		if !needed[p.Ref] {
			take(p.Ref)
		}
	}
	for _, p := range b.Packages {
		if !reached[p.Ref] {
			take(p.Ref)
		}
	}
	slices.Sort(heads)
	return heads
}

// Created is the time that documents about an image state: when the newest of
// its platforms' images says that it was created, to the second. The pipeline's
// own images say the start of 1970, which is also the time of an image that
// says none.
func Created(reports ...*types.Report) time.Time {
	created := time.Unix(0, 0).UTC()
	for _, report := range reports {
		if at := report.Metadata.ImageConfig.Created.UTC().Truncate(time.Second); at.After(created) {
			created = at
		}
	}
	return created
}

// Name is the name of an image by its source's path: apps/hello makes hello.
func Name(source string) string { return path.Base(source) }

// ociPURL is the package URL of an image, of the type oci.
func ociPURL(name, digest, platform string) string {
	var qualifiers packageurl.Qualifiers
	if parts := strings.SplitN(platform, "/", 3); len(parts) > 1 {
		qualifiers = packageurl.QualifiersFromMap(map[string]string{"arch": parts[1]})
	}
	return packageurl.NewPackageURL(packageurl.TypeOCI, "", strings.ToLower(name), digest, qualifiers, "").ToString()
}

// stamp is a time as both specifications write it.
func stamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05Z") }

// unencoded is the fault of a document that its library can't write.
func unencoded(document string, err error) error {
	return step.Infrastructure(stage, document+" document", "can't be written: "+err.Error(),
		"use the Trivy that modules/scan/trivy pins, and report this").Because(err)
}

// line is text on one line.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

func sorted(set map[string]bool) []string {
	list := make([]string, 0, len(set))
	for value := range set {
		list = append(list, value)
	}
	slices.Sort(list)
	return list
}
