package sbom

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/aquasecurity/trivy/pkg/clock"
	"github.com/aquasecurity/trivy/pkg/digest"
	"github.com/aquasecurity/trivy/pkg/sbom/core"
	"github.com/aquasecurity/trivy/pkg/sbom/cyclonedx"
	sbomio "github.com/aquasecurity/trivy/pkg/sbom/io"
	"github.com/aquasecurity/trivy/pkg/sbom/spdx"
	"github.com/google/uuid"
	"github.com/package-url/packageurl-go"
	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"slipway/step/result/scan"
)

// drawing is held while Trivy draws ids from a source of ours.
var drawing sync.Mutex

// derived makes the ids that Trivy draws, which are random otherwise, those of the
// bill, until the function that it returns is called.
func (b *Bill) derived(format byte) (end func()) {
	drawing.Lock()
	seed := b.seed
	seed[0] ^= format
	uuid.SetRand(rand.NewChaCha8(seed))
	return func() {
		uuid.SetRand(nil)
		drawing.Unlock()
	}
}

// CycloneDX is the bill as a CycloneDX 1.6 document in JSON (ECMA-424).
func (b *Bill) CycloneDX() ([]byte, error) {
	defer b.derived(1)()
	encoded, err := b.encode(sbomio.WithBOMRef())
	if err != nil {
		return nil, unencoded("CycloneDX", err)
	}
	marshaler := cyclonedx.NewMarshaler(b.subject.TrivyVersion)
	bom, err := marshaler.Marshal(b.at(), encoded)
	if err != nil {
		return nil, unencoded("CycloneDX", err)
	}
	// The library's newest version is a later one.
	bom.SpecVersion, bom.JSONSchema = cdx.SpecVersion1_6, "http://cyclonedx.org/schema/bom-1.6.schema.json"
	bom.Vulnerabilities = nil
	phase := cdx.LifecyclePhasePreBuild
	if b.subject.image() {
		phase = cdx.LifecyclePhasePostBuild
	}
	bom.Metadata.Lifecycles = &[]cdx.Lifecycle{{Phase: phase}}
	if b.subject.Revision != "" {
		bom.Metadata.Component.SWHID = &[]string{swhid(b.subject.Revision)}
	}
	for i := range *bom.Components {
		c := &(*bom.Components)[i]
		if c.Licenses == nil || len(*c.Licenses) != 1 || (*c.Licenses)[0].License == nil || (*c.Licenses)[0].License.ID == "" {
			continue
		}
		// Trivy knows identifiers that are newer than the specification's list, and
		// would make a document invalid; an expression may have any.
		c.Licenses = &cdx.Licenses{{Expression: (*c.Licenses)[0].License.ID}}
	}
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(bom); err != nil {
		return nil, unencoded("CycloneDX", err)
	}
	return out.Bytes(), nil
}

// SPDX is the bill as an SPDX 2.3 document in JSON.
func (b *Bill) SPDX() ([]byte, error) {
	defer b.derived(2)()
	encoded, err := b.encode()
	if err != nil {
		return nil, unencoded("SPDX", err)
	}
	d, err := spdx.NewMarshaler(b.subject.TrivyVersion).Marshal(b.at(), encoded)
	if err != nil {
		return nil, unencoded("SPDX", err)
	}
	for _, p := range d.Packages {
		switch p.PrimaryPackagePurpose {
		case spdx.PackagePurposeOS:
			p.PrimaryPackagePurpose = "OPERATING_SYSTEM" // as the schema writes it
		case spdx.PackagePurposeContainer, spdx.PackagePurposeSource:
			b.describe(p)
		}
	}
	// A file that holds several packages is one file.
	d.Files = slices.CompactFunc(d.Files, func(a, b *v2_3.File) bool { return a.FileSPDXIdentifier == b.FileSPDXIdentifier })
	var out bytes.Buffer
	if err := json.Write(d, &out, json.Indent("  "), json.EscapeHTML(false)); err != nil {
		return nil, unencoded("SPDX", err)
	}
	return out.Bytes(), nil
}

// describe adds to the subject of an SPDX document what Trivy leaves out.
func (b *Bill) describe(p *v2_3.Package) {
	p.PackageVersion = cmp.Or(b.subject.Digest, b.subject.Revision)
	if b.subject.image() {
		p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: strings.TrimPrefix(b.subject.Digest, "sha256:")}}
	} else if b.subject.Revision != "" {
		p.PackageExternalReferences = []*v2_3.PackageExternalReference{{
			Category: common.CategoryPersistentId, RefType: common.TypePersistentIdSwh, Locator: swhid(b.subject.Revision)}}
	}
}

// at is a context in which it is the time that the bill states.
func (b *Bill) at() context.Context { return clock.With(context.Background(), b.subject.Created) }

// encode is the bill in Trivy's own form, with the subject that it is about.
func (b *Bill) encode(options ...sbomio.EncoderOption) (*core.BOM, error) {
	bom, err := sbomio.NewEncoder(options...).Encode(b.report)
	if err != nil {
		return nil, err
	}
	root, s := bom.Root(), b.subject
	root.Version = cmp.Or(s.Digest, s.Revision)
	if s.image() {
		root.PkgIdentifier.PURL = ociPURL(s)
		root.PkgIdentifier.BOMRef = root.PkgIdentifier.PURL.String()
		root.Files = []core.File{{Digests: []digest.Digest{digest.Digest(s.Digest)}}}
		root.Properties = append(root.Properties, core.Property{Name: scan.PlatformProperty, Value: s.Platform, External: true})
	}
	reach(bom, root)
	return bom, nil
}

// reach makes the subject hold the first of each circle of packages that nothing
// else leads to. From it, every package is reached then.
func reach(bom *core.BOM, root *core.Component) {
	components := slices.Collect(maps.Values(bom.Components()))
	slices.SortFunc(components, func(a, b *core.Component) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.PkgIdentifier.UID, b.PkgIdentifier.UID))
	})
	reached := map[uuid.UUID]bool{}
	follow := func(id uuid.UUID) {
		for left := []uuid.UUID{id}; len(left) > 0; {
			next := left[len(left)-1]
			left = left[:len(left)-1]
			if reached[next] {
				continue
			}
			reached[next] = true
			for _, r := range bom.Relationships()[next] {
				left = append(left, r.Dependency)
			}
		}
	}
	follow(root.ID())
	for _, c := range components {
		if !reached[c.ID()] {
			bom.AddRelationship(root, c, core.RelationshipContains)
			follow(c.ID())
		}
	}
}

// ociPURL is the package URL of an image, of the type oci. It names no registry:
// the same image may lie in several.
func ociPURL(s Subject) *packageurl.PackageURL {
	var qualifiers packageurl.Qualifiers
	if parts := strings.SplitN(s.Platform, "/", 3); len(parts) > 1 {
		qualifiers = packageurl.QualifiersFromMap(map[string]string{"arch": parts[1]})
	}
	return packageurl.NewPackageURL(packageurl.TypeOCI, "", strings.ToLower(s.Name), s.Digest, qualifiers, "")
}

// swhid is a Git tree's persistent identifier (ISO/IEC 18670).
func swhid(revision string) string { return "swh:1:dir:" + revision }
