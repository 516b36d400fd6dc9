// Package sbom makes software bills of materials of Trivy's reports: CycloneDX
// 1.6 and SPDX 2.3, both as JSON, with Trivy's own marshalers. The same report
// gives the same bytes, in whichever order it lists what was found.
package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aquasecurity/trivy/pkg/dependency"
	"github.com/aquasecurity/trivy/pkg/digest"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/licensing"
	"github.com/aquasecurity/trivy/pkg/licensing/expression"
	"github.com/aquasecurity/trivy/pkg/types"

	"slipway/step"
)

const stage = "scan"

// Subject is what a bill is about: one platform's image, or the source of one.
type Subject struct {
	// Name is the image's name, or the source's path in the repository.
	Name string
	// Platform is os/architecture, or os/architecture/variant; empty for a
	// source.
	Platform string
	// Digest is that of the image's own manifest, as sha256:…; empty for a source.
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

// Bill is what documents about a subject list.
type Bill struct {
	subject Subject
	report  types.Report
	// seed is the hash of both.
	seed [sha256.Size]byte
}

// Of makes the bill of a subject of the report about it, which stays as it is. It
// refuses a hash that no document could state.
func Of(subject Subject, report *types.Report) (*Bill, error) {
	b := &Bill{subject: subject, report: types.Report{
		SchemaVersion: report.SchemaVersion, ArtifactName: subject.Name, ArtifactType: ftypes.TypeFilesystem,
	}}
	if subject.image() {
		m := report.Metadata
		b.report.ArtifactType = ftypes.TypeContainerImage
		b.report.Metadata = types.Metadata{Size: m.Size, OS: m.OS, ImageID: m.ImageID, DiffIDs: m.DiffIDs, ImageConfig: m.ImageConfig}
	}
	for _, result := range report.Results {
		if result.Class != types.ClassOSPkg && result.Class != types.ClassLangPkg {
			continue
		}
		// What is known of vulnerabilities changes, while the image stays.
		kept := types.Result{Class: result.Class, Type: result.Type, Target: line(result.Target)}
		if result.Class == types.ClassOSPkg {
			kept.Target = string(result.Type) // in the report it is a path of this run
		}
		i := slices.IndexFunc(b.report.Results, func(r types.Result) bool { return compare(r, kept) == 0 })
		if i < 0 {
			i, b.report.Results = len(b.report.Results), append(b.report.Results, kept)
		}
		for _, p := range result.Packages {
			p, err := settled(kept, p)
			if err != nil {
				return nil, err
			}
			b.report.Results[i].Packages = append(b.report.Results[i].Packages, p)
		}
	}
	distribution := func(r types.Result) bool { return r.Class == types.ClassOSPkg }
	if os := b.report.Metadata.OS; os != nil && os.Name != "" && !slices.ContainsFunc(b.report.Results, distribution) {
		b.report.Results = append(b.report.Results, types.Result{Class: types.ClassOSPkg, Type: os.Family, Target: string(os.Family)})
	}
	slices.SortFunc(b.report.Results, compare)
	for i := range b.report.Results {
		r := &b.report.Results[i]
		slices.SortFunc(r.Packages, func(a, b ftypes.Package) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Identifier.UID, b.Identifier.UID))
		})
		r.Packages = slices.CompactFunc(r.Packages, func(a, b ftypes.Package) bool { return a.Identifier.UID == b.Identifier.UID })
	}
	data, err := json.Marshal(struct {
		Subject Subject
		Report  types.Report
	}{subject, b.report})
	if err != nil {
		return nil, unencoded("report", err)
	}
	b.seed = sha256.Sum256(data)
	return b, nil
}

func compare(a, b types.Result) int {
	return cmp.Or(cmp.Compare(a.Class, b.Class), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Target, b.Target))
}

// settled is a package as a document can state it: on one line, its lists sorted,
// and with an id that its content gives. A hash that has another form than its
// algorithm gives is a fault.
func settled(result types.Result, p ftypes.Package) (ftypes.Package, error) {
	p.FilePath, p.Maintainer, p.Version = line(p.FilePath), line(p.Maintainer), line(p.Version)
	p.Name = cmp.Or(line(p.Name), p.FilePath, result.Target)
	p.Licenses = licences(p.Licenses)
	p.DependsOn = slices.DeleteFunc(set(p.DependsOn), func(id string) bool { return id == p.ID })
	if p.Digest != "" {
		size, ok := sizes[p.Digest.Algorithm()]
		if value, err := hex.DecodeString(p.Digest.Encoded()); !ok || err != nil || len(value) != size {
			return p, step.Infrastructure(stage, fmt.Sprintf("hash %.80q of package %s", p.Digest, p.Name),
				"is of a kind that has no rule here, so no bill of materials can state it",
				"use the Trivy that modules/scan/trivy pins, or teach the scan step this algorithm")
		}
	}
	p.Identifier.UID, p.Identifier.BOMRef = "", ""
	p.Identifier.UID = dependency.UID(result.Target, p)
	return p, nil
}

// sizes are those of the hashes that Trivy uses, in bytes.
var sizes = map[digest.Algorithm]int{digest.MD5: 16, digest.SHA1: 20, digest.SHA256: 32, digest.SHA512: 64}

// licences are those of a package, all of which hold, as Trivy's marshalers state
// them right: one expression where SPDX's list has all of them, because joining
// alternatives to others needs their brackets; and as a text what is no
// expression, because it would take the others with it.
func licences(found []string) []string {
	var kept, expressions []string
	for _, text := range found {
		text = strings.TrimSpace(text)
		if strings.TrimPrefix(text, licensing.LicenseTextPrefix) == "" {
			continue
		}
		if !strings.HasPrefix(text, licensing.LicenseTextPrefix) {
			text = line(text)
			read, err := expression.Normalize(withs.Replace(text[:min(len(text), longest)]), licensing.NormalizeLicenseExpression, expression.NormalizeForSPDX)
			switch {
			case err != nil || len(text) > longest:
				text = licensing.LicenseTextPrefix + text
			case read.IsSPDXExpression():
				text = read.String()
				expressions = append(expressions, "("+text+")")
			}
		}
		kept = append(kept, text)
	}
	if len(kept) > 1 && len(kept) == len(expressions) {
		return []string{strings.Join(set(expressions), " AND ")}
	}
	return set(kept)
}

// longest is the most bytes that an expression may have: reading one takes time with
// the square of its length.
const longest = 1000

// withs is how Trivy reads names such as GPL-3.0-with-autoconf-exception.
var withs = strings.NewReplacer("-with-", " WITH ", "-WITH-", " WITH ")

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

// unencoded is the fault of a document that its library can't write.
func unencoded(document string, err error) error {
	return step.Infrastructure(stage, document+" document", "can't be written: "+err.Error(),
		"use the Trivy that modules/scan/trivy pins, and report this").Because(err)
}

// line is text on one line.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

// set is a list sorted, each once.
func set(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
