package sbom

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/aquasecurity/trivy/pkg/digest"
	"github.com/google/uuid"
	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

const (
	noAssertion = "NOASSERTION"
	documentID  = common.ElementID("DOCUMENT")
	// namespace is the start of each document's own address; nothing is there.
	namespace = "https://slipway.dev/sbom/spdx/"
)

var checksums = map[digest.Algorithm]common.ChecksumAlgorithm{
	digest.MD5: common.MD5, digest.SHA1: common.SHA1, digest.SHA256: common.SHA256, digest.SHA512: common.SHA512,
}

// SPDX is the bill as an SPDX 2.3 document in JSON. Which platforms a package is
// on is said by relationships: the index contains the platforms' images, and
// each of those its packages. The namespace ends in the UUID of the document's
// content, as CycloneDX's serial number is.
func (b *Bill) SPDX() ([]byte, error) {
	d := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: documentID, DocumentName: b.Subject.Name,
		DocumentNamespace: namespace,
		CreationInfo: &spdx.CreationInfo{
			Creators: []common.Creator{
				{CreatorType: "Tool", Creator: "slipway-scan"},
				{CreatorType: "Tool", Creator: "trivy-" + b.Subject.TrivyVersion},
			},
			Created: stamp(b.Subject.Created),
		},
	}
	subject := b.spdxSubject()
	d.Packages = append(d.Packages, subject)
	relate(d, documentID, common.TypeRelationshipDescribe, subject.PackageSPDXIdentifier)

	// What holds the packages of a platform.
	holders := map[string]common.ElementID{}
	for _, v := range b.Variants {
		variant := spdxImage("Image-"+element(v.Platform), b.Subject.Name, v.Digest, v.Platform)
		variant.PackageComment = "platform: " + v.Platform
		d.Packages = append(d.Packages, variant)
		holders[v.Platform] = variant.PackageSPDXIdentifier
		relate(d, subject.PackageSPDXIdentifier, common.TypeRelationshipContains, variant.PackageSPDXIdentifier)
		relate(d, variant.PackageSPDXIdentifier, common.TypeRelationshipVariantOf, subject.PackageSPDXIdentifier)
	}
	others := map[string]*spdx.OtherLicense{}
	for _, p := range b.Packages {
		made := p.spdx()
		d.Packages = append(d.Packages, made)
		for _, platform := range p.Platforms {
			relate(d, cmp.Or(holders[platform], subject.PackageSPDXIdentifier), common.TypeRelationshipContains, made.PackageSPDXIdentifier)
		}
		for _, ref := range p.DependsOn {
			relate(d, made.PackageSPDXIdentifier, common.TypeRelationshipDependsOn, packageID(ref))
		}
		for _, l := range p.licenses {
			if l.expression == "" {
				others[l.reference()] = &spdx.OtherLicense{
					LicenseIdentifier: l.reference(), LicenseName: cmp.Or(l.name, noAssertion), ExtractedText: cmp.Or(l.text, l.name)}
			}
		}
	}
	if !b.Subject.image() {
		for _, ref := range b.heads() {
			relate(d, subject.PackageSPDXIdentifier, common.TypeRelationshipDependsOn, packageID(ref))
		}
	}
	for _, other := range others {
		d.OtherLicenses = append(d.OtherLicenses, other)
	}
	slices.SortFunc(d.OtherLicenses, func(a, b *spdx.OtherLicense) int { return cmp.Compare(a.LicenseIdentifier, b.LicenseIdentifier) })
	slices.SortFunc(d.Relationships, func(a, b *spdx.Relationship) int {
		return cmp.Or(cmp.Compare(a.RefA.ElementRefID, b.RefA.ElementRefID), cmp.Compare(a.Relationship, b.Relationship),
			cmp.Compare(a.RefB.ElementRefID, b.RefB.ElementRefID))
	})
	content, err := write(d)
	if err != nil {
		return nil, err
	}
	d.DocumentNamespace = namespace + uuid.NewSHA1(space, content).String()
	return write(d)
}

func write(d *spdx.Document) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Write(d, &out, json.Indent("  "), json.EscapeHTML(false)); err != nil {
		return nil, unencoded("SPDX", err)
	}
	return out.Bytes(), nil
}

func (b *Bill) spdxSubject() *spdx.Package {
	s := b.Subject
	if s.image() {
		return spdxImage("Image", s.Name, s.Digest, "")
	}
	p := spdxPackage("Source", s.Name, s.Revision, "SOURCE")
	if s.Revision != "" {
		p.PackageExternalReferences = []*spdx.PackageExternalReference{{
			Category: common.CategoryPersistentId, RefType: common.TypePersistentIdSwh, Locator: swhid(s.Revision)}}
	}
	return p
}

func spdxImage(id, name, digest, platform string) *spdx.Package {
	p := spdxPackage(common.ElementID(id), name, digest, "CONTAINER")
	p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: strings.TrimPrefix(digest, "sha256:")}}
	p.PackageExternalReferences = purlReference(ociPURL(name, digest, platform))
	return p
}

// spdxPackage says of a package that nobody has asserted what is not set later.
func spdxPackage(id common.ElementID, name, version, purpose string) *spdx.Package {
	return &spdx.Package{
		PackageSPDXIdentifier: id, PackageName: name, PackageVersion: version, PrimaryPackagePurpose: purpose,
		PackageSupplier:         &common.Supplier{Supplier: noAssertion},
		PackageDownloadLocation: noAssertion, PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion,
		PackageCopyrightText: noAssertion,
	}
}

func (p Package) spdx() *spdx.Package {
	// The schema has an underscore where the specification's text has a dash.
	purpose := map[Role]string{Library: "LIBRARY", Application: "APPLICATION", System: "OPERATING_SYSTEM"}[p.Role]
	made := spdxPackage(packageID(p.Ref), p.Name, p.Version, purpose)
	if p.Supplier != "" {
		made.PackageSupplier = &common.Supplier{SupplierType: "Organization", Supplier: p.Supplier}
	}
	if p.Hash != "" {
		made.PackageChecksums = []common.Checksum{{Algorithm: checksums[p.Hash.Algorithm()], Value: p.Hash.Encoded()}}
	}
	if len(p.Files) > 0 {
		made.PackageSourceInfo = "found in: " + strings.Join(p.Files, ", ")
	}
	if len(p.licenses) > 0 {
		made.PackageLicenseDeclared = conjunction(p.licenses)
	}
	if p.PURL != "" {
		made.PackageExternalReferences = purlReference(p.PURL)
	}
	return made
}

func purlReference(purl string) []*spdx.PackageExternalReference {
	return []*spdx.PackageExternalReference{{
		Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: purl}}
}

// conjunction is the SPDX licence expression that all licences hold; one that
// is not on SPDX's list stands there by its reference.
func conjunction(licenses []license) string {
	if len(licenses) == 1 && licenses[0].expression != "" {
		return licenses[0].expression
	}
	operands := map[string]bool{}
	for _, l := range licenses {
		operands[cmp.Or(l.operand(), l.reference())] = true
	}
	return strings.Join(sorted(operands), " AND ")
}

func relate(d *spdx.Document, a common.ElementID, relationship string, b common.ElementID) {
	d.Relationships = append(d.Relationships, &spdx.Relationship{
		RefA: common.DocElementID{ElementRefID: a}, Relationship: relationship, RefB: common.DocElementID{ElementRefID: b}})
}

// packageID is a package's identifier: the same in each document that has it.
func packageID(ref string) common.ElementID {
	sum := sha256.Sum256([]byte(ref))
	return common.ElementID("Package-" + hex.EncodeToString(sum[:8]))
}

// element replaces what an identifier must not hold by dashes (SPDX 2.3, 6.3).
func element(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, text)
}
