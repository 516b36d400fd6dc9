package sbom

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/aquasecurity/trivy/pkg/digest"
	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/scan/step/findings"
	"slipway/step"
)

var (
	index    = "sha256:" + strings.Repeat("1", 64)
	amd64    = "sha256:" + strings.Repeat("a", 64)
	arm64    = "sha256:" + strings.Repeat("b", 64)
	revision = strings.Repeat("7", 40)
)

const (
	libc       = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64&distro=debian-12.11"
	libgcc     = "pkg:deb/debian/libgcc-s1@12.2.0-14?arch=amd64&distro=debian-12.11"
	baseFiles  = "pkg:deb/debian/base-files@12.4%2Bdeb12u11?arch=amd64&distro=debian-12.11"
	tzdata     = "pkg:deb/debian/tzdata@2025b-0%2Bdeb12u1?arch=all&distro=debian-12.11"
	mainModule = "pkg:golang/slipway/apps/sample"
	stdlib     = "pkg:golang/stdlib@v1.26.8"
	text       = "pkg:golang/golang.org/x/text@v0.43.0"
	sys        = "pkg:golang/golang.org/x/sys@v0.48.0"
	inHouse    = "conda-pkg/in-house@1.0"
	system     = "debian/debian@12.11"
)

func recorded(t *testing.T, name string) *types.Report {
	t.Helper()
	report, err := findings.Read(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	return report
}

func bill(t *testing.T, subject Subject, parts ...Part) *Bill {
	t.Helper()
	subject.TrivyVersion, subject.Created = "0.74.0", time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)
	b, err := Of(subject, parts)
	require.NoError(t, err)
	return b
}

func imageBill(t *testing.T) *Bill {
	return bill(t, Subject{Name: "sample", Digest: index},
		Part{Platform: "linux/amd64", Digest: amd64, Report: recorded(t, "amd64")},
		Part{Platform: "linux/arm64", Digest: arm64, Report: recorded(t, "arm64")})
}

func sourceBill(t *testing.T) *Bill {
	return bill(t, Subject{Name: "apps/sample", Revision: revision}, Part{Report: recorded(t, "source")})
}

// documents are the bill in both formats.
func documents(t *testing.T, b *Bill) map[string][]byte {
	t.Helper()
	c, err := b.CycloneDX()
	require.NoError(t, err)
	s, err := b.SPDX()
	require.NoError(t, err)
	return map[string][]byte{"CycloneDX": c, "SPDX": s}
}

// readCycloneDX decodes a document, as whoever gets it would.
func readCycloneDX(t *testing.T, b *Bill) (cdx.BOM, map[string]cdx.Component) {
	t.Helper()
	var bom cdx.BOM
	require.NoError(t, cdx.NewBOMDecoder(bytes.NewReader(documents(t, b)["CycloneDX"]), cdx.BOMFileFormatJSON).Decode(&bom))
	components := map[string]cdx.Component{}
	for _, c := range *bom.Components {
		require.NotContains(t, components, c.BOMRef)
		components[c.BOMRef] = c
	}
	return bom, components
}

// readSPDX decodes a document; packages are by their PURL, or else their name,
// and relationships by them too.
func readSPDX(t *testing.T, b *Bill) (spdx.Document, map[string]*spdx.Package, []string) {
	t.Helper()
	var d spdx.Document
	require.NoError(t, json.ReadInto(bytes.NewReader(documents(t, b)["SPDX"]), &d))
	packages, names := map[string]*spdx.Package{}, map[common.ElementID]string{documentID: "document"}
	for _, p := range d.Packages {
		name := p.PackageName
		for _, reference := range p.PackageExternalReferences {
			if reference.RefType == "purl" {
				require.Equal(t, "PACKAGE-MANAGER", reference.Category)
				name = reference.Locator
			}
		}
		require.NotContains(t, names, p.PackageSPDXIdentifier)
		names[p.PackageSPDXIdentifier] = name
		packages[name] = p
	}
	var relationships []string
	for _, r := range d.Relationships {
		require.Contains(t, names, r.RefA.ElementRefID)
		require.Contains(t, names, r.RefB.ElementRefID)
		relationships = append(relationships, names[r.RefA.ElementRefID]+" "+r.Relationship+" "+names[r.RefB.ElementRefID])
	}
	return d, packages, relationships
}

func values(c cdx.Component, name string) []string {
	var list []string
	for _, p := range *c.Properties {
		if p.Name == name {
			list = append(list, p.Value)
		}
	}
	return list
}

const (
	indexPURL = "pkg:oci/sample@sha256:1111111111111111111111111111111111111111111111111111111111111111"
	amd64PURL = "pkg:oci/sample@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa?arch=amd64"
	arm64PURL = "pkg:oci/sample@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb?arch=arm64"
)

func TestCycloneDXOfAnImage(t *testing.T) {
	bom, components := readCycloneDX(t, imageBill(t))
	assert.Equal(t, cdx.SpecVersion1_6, bom.SpecVersion)
	assert.Equal(t, "http://cyclonedx.org/schema/bom-1.6.schema.json", bom.JSONSchema)
	assert.Equal(t, 1, bom.Version)
	assert.Equal(t, "2026-01-02T03:04:06Z", bom.Metadata.Timestamp)
	assert.Equal(t, []cdx.Lifecycle{{Phase: "post-build"}}, *bom.Metadata.Lifecycles)
	assert.Equal(t, []cdx.Component{{Type: "application", Name: "slipway-scan"}, {Type: "application", Name: "trivy", Version: "0.74.0"}},
		*bom.Metadata.Tools.Components)

	platform := func(digest, purl, name string) cdx.Component {
		return cdx.Component{
			BOMRef: purl, Type: "container", Name: "sample", Version: digest, PackageURL: purl,
			Hashes:     &[]cdx.Hash{{Algorithm: "SHA-256", Value: digest[len("sha256:"):]}},
			Properties: &[]cdx.Property{{Name: "slipway:platform", Value: name}},
		}
	}
	assert.Equal(t, &cdx.Component{
		BOMRef: indexPURL, Type: "container", Name: "sample", Version: index, PackageURL: indexPURL,
		Hashes:     &[]cdx.Hash{{Algorithm: "SHA-256", Value: strings.Repeat("1", 64)}},
		Components: &[]cdx.Component{platform(amd64, amd64PURL, "linux/amd64"), platform(arm64, arm64PURL, "linux/arm64")},
	}, bom.Metadata.Component)

	var refs []string
	for _, c := range *bom.Components {
		refs = append(refs, c.BOMRef)
	}
	arm := func(purl string) string { return strings.Replace(purl, "arch=amd64", "arch=arm64", 1) }
	assert.Equal(t, []string{
		inHouse, baseFiles, arm(baseFiles), system, libc, arm(libc), libgcc, arm(libgcc), tzdata, sys, text, mainModule, stdlib,
	}, refs)
	assert.Equal(t, cdx.Component{
		BOMRef: libc, Type: "library", Name: "libc6", Version: "2.36-9+deb12u10", PackageURL: libc,
		Supplier: &cdx.OrganizationalEntity{Name: "GNU Libc Maintainers <debian-glibc@lists.debian.org>"},
		Hashes:   &[]cdx.Hash{{Algorithm: "MD5", Value: "3a5e54b4a2e3c2b8a1b5d6f7c8d9e0f1"}},
		Licenses: &cdx.Licenses{
			{License: &cdx.License{ID: "GPL-2.0-only", Acknowledgement: "declared"}},
			{License: &cdx.License{ID: "LGPL-2.1-only", Acknowledgement: "declared"}},
			{License: &cdx.License{Name: "custom terms of glibc", Acknowledgement: "declared"}},
		},
		Properties: &[]cdx.Property{{Name: "slipway:platform", Value: "linux/amd64"}, {Name: "slipway:type", Value: "debian"}},
	}, components[libc])
	assert.Equal(t, cdx.Component{
		BOMRef: text, Type: "library", Name: "golang.org/x/text", Version: "v0.43.0", PackageURL: text,
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: "BSD-3-Clause", Acknowledgement: "declared"}}},
		Properties: &[]cdx.Property{
			{Name: "slipway:platform", Value: "linux/amd64"}, {Name: "slipway:platform", Value: "linux/arm64"}, {Name: "slipway:type", Value: "gobinary"}},
		Evidence: &cdx.Evidence{Occurrences: &[]cdx.EvidenceOccurrence{{Location: "app"}}},
	}, components[text])
	assert.Equal(t, cdx.ComponentTypeApplication, components[mainModule].Type)
	assert.Equal(t, cdx.ComponentTypeOS, components[system].Type)
	assert.Equal(t, &cdx.Licenses{{License: &cdx.License{
		Name: "licence text of the package", Text: &cdx.AttachedText{Content: "Runtime Library Exception\nand more"}, Acknowledgement: "declared",
	}}}, components[libgcc].Licenses)

	needs := map[string][]string{}
	for _, d := range *bom.Dependencies {
		needs[d.Ref] = nil
		if d.Dependencies != nil {
			needs[d.Ref] = *d.Dependencies
		}
	}
	assert.Len(t, needs, len(components)+1)
	assert.ElementsMatch(t, []string{inHouse, baseFiles, arm(baseFiles), tzdata, system, mainModule}, needs[indexPURL])
	assert.Equal(t, []string{sys, text, stdlib}, needs[mainModule])
	assert.Equal(t, []string{libgcc}, needs[libc])
	assert.Equal(t, []string{libc}, needs[libgcc])
	assert.Nil(t, needs[text])
}

func TestSPDXOfAnImage(t *testing.T) {
	d, packages, relationships := readSPDX(t, imageBill(t))
	assert.Equal(t, "SPDX-2.3", d.SPDXVersion)
	assert.Equal(t, "CC0-1.0", d.DataLicense)
	assert.Equal(t, "sample", d.DocumentName)
	assert.Equal(t, "2026-01-02T03:04:06Z", d.CreationInfo.Created)
	assert.Equal(t, []common.Creator{{CreatorType: "Tool", Creator: "slipway-scan"}, {CreatorType: "Tool", Creator: "trivy-0.74.0"}},
		d.CreationInfo.Creators)

	subject := packages[indexPURL]
	assert.Equal(t, "sample", subject.PackageName)
	assert.Equal(t, index, subject.PackageVersion)
	assert.Equal(t, "CONTAINER", subject.PrimaryPackagePurpose)
	assert.Equal(t, []common.Checksum{{Algorithm: "SHA256", Value: strings.Repeat("1", 64)}}, subject.PackageChecksums)
	assert.Equal(t, "platform: linux/arm64", packages[arm64PURL].PackageComment)

	p := packages[libc]
	require.Len(t, d.OtherLicenses, 3)
	names := map[string]*spdx.OtherLicense{}
	for _, other := range d.OtherLicenses {
		names[other.LicenseName] = other
	}
	assert.Equal(t, "libc6", p.PackageName)
	assert.Equal(t, "2.36-9+deb12u10", p.PackageVersion)
	assert.Equal(t, "GPL-2.0-only AND LGPL-2.1-only AND "+names["custom terms of glibc"].LicenseIdentifier, p.PackageLicenseDeclared)
	assert.Equal(t, "NOASSERTION", p.PackageLicenseConcluded)
	assert.Equal(t, []common.Checksum{{Algorithm: "MD5", Value: "3a5e54b4a2e3c2b8a1b5d6f7c8d9e0f1"}}, p.PackageChecksums)
	assert.Equal(t, &common.Supplier{SupplierType: "Organization", Supplier: "GNU Libc Maintainers <debian-glibc@lists.debian.org>"}, p.PackageSupplier)
	assert.False(t, p.FilesAnalyzed)
	assert.Equal(t, names["NOASSERTION"].LicenseIdentifier, packages[libgcc].PackageLicenseDeclared)
	assert.Equal(t, "Runtime Library Exception\nand more", names["NOASSERTION"].ExtractedText)
	assert.Equal(t, names["public-domain"].LicenseIdentifier, packages[tzdata].PackageLicenseDeclared)
	assert.Equal(t, "BSD-3-Clause", packages[text].PackageLicenseDeclared)
	assert.Equal(t, "NOASSERTION", packages[stdlib].PackageLicenseDeclared)
	assert.Equal(t, "found in: app", packages[text].PackageSourceInfo)
	assert.Equal(t, "OPERATING_SYSTEM", packages["debian"].PrimaryPackagePurpose)
	assert.Equal(t, "APPLICATION", packages[mainModule].PrimaryPackagePurpose)

	assert.Subset(t, relationships, []string{
		"document DESCRIBES " + indexPURL,
		indexPURL + " CONTAINS " + amd64PURL, amd64PURL + " VARIANT_OF " + indexPURL,
		indexPURL + " CONTAINS " + arm64PURL, arm64PURL + " VARIANT_OF " + indexPURL,
		amd64PURL + " CONTAINS " + libc, amd64PURL + " CONTAINS debian", arm64PURL + " CONTAINS debian",
		amd64PURL + " CONTAINS " + text, arm64PURL + " CONTAINS " + text,
		mainModule + " DEPENDS_ON " + text, mainModule + " DEPENDS_ON " + sys, mainModule + " DEPENDS_ON " + stdlib,
		libc + " DEPENDS_ON " + libgcc, libgcc + " DEPENDS_ON " + libc, baseFiles + " DEPENDS_ON " + libc,
	})
	// Of 13 packages, 5 are on both platforms: debian, tzdata, and the Go program
	// with two modules.
	count := map[string]int{}
	for _, r := range relationships {
		switch {
		case strings.HasPrefix(r, amd64PURL+" CONTAINS "):
			count["amd64"]++
		case strings.HasPrefix(r, arm64PURL+" CONTAINS "):
			count["arm64"]++
		case strings.HasPrefix(r, "document "):
			count["document"]++
		}
	}
	assert.Equal(t, map[string]int{"amd64": 9, "arm64": 9, "document": 1}, count)
}

func TestAPackageOnOnePlatformSaysSo(t *testing.T) {
	b := imageBill(t)
	_, components := readCycloneDX(t, b)
	assert.Equal(t, []string{"linux/arm64"}, values(components[sys], "slipway:platform"))
	assert.Equal(t, []string{"linux/amd64"}, values(components[inHouse], "slipway:platform"))
	assert.Equal(t, []string{"linux/amd64", "linux/arm64"}, values(components[stdlib], "slipway:platform"))

	_, _, relationships := readSPDX(t, b)
	assert.Contains(t, relationships, arm64PURL+" CONTAINS "+sys)
	assert.NotContains(t, relationships, amd64PURL+" CONTAINS "+sys)
	assert.Contains(t, relationships, amd64PURL+" CONTAINS in-house")
	assert.NotContains(t, relationships, arm64PURL+" CONTAINS in-house")
}

func TestAPackageWithoutPURL(t *testing.T) {
	b := imageBill(t)
	_, components := readCycloneDX(t, b)
	declared := cdx.LicenseAcknowledgementDeclared
	assert.Equal(t, cdx.Component{
		BOMRef: inHouse, Type: "library", Name: "in-house", Version: "1.0",
		Hashes:     &[]cdx.Hash{{Algorithm: "SHA-1", Value: strings.Repeat("0a", 20)}},
		Licenses:   &cdx.Licenses{{Expression: "MIT OR Apache-2.0", Acknowledgement: &declared}},
		Properties: &[]cdx.Property{{Name: "slipway:platform", Value: "linux/amd64"}, {Name: "slipway:type", Value: "conda-pkg"}},
		Evidence:   &cdx.Evidence{Occurrences: &[]cdx.EvidenceOccurrence{{Location: "opt/conda-meta/in-house.json"}}},
	}, components[inHouse])

	_, packages, _ := readSPDX(t, b)
	assert.Empty(t, packages["in-house"].PackageExternalReferences)
	assert.Equal(t, "MIT OR Apache-2.0", packages["in-house"].PackageLicenseDeclared)
}

func TestAnImageThatIsNoIndexHoldsItsPackagesItself(t *testing.T) {
	b := bill(t, Subject{Name: "sample", Digest: amd64}, Part{Platform: "linux/amd64", Digest: amd64, Report: recorded(t, "amd64")})
	bom, components := readCycloneDX(t, b)
	assert.Nil(t, bom.Metadata.Component.Components)
	assert.Equal(t, []string{"linux/amd64"}, values(components[text], "slipway:platform"))
	_, _, relationships := readSPDX(t, b)
	assert.Contains(t, relationships, strings.TrimSuffix(amd64PURL, "?arch=amd64")+" CONTAINS "+text)
}

func TestDocumentsOfASource(t *testing.T) {
	const client, perks = "pkg:golang/github.com/prometheus/client_golang@v1.25.0", "pkg:golang/github.com/beorn7/perks@v1.0.1"
	b := sourceBill(t)
	bom, components := readCycloneDX(t, b)
	assert.Equal(t, &cdx.Component{
		BOMRef: "source:apps/sample", Type: "application", Name: "apps/sample", Version: revision, SWHID: &[]string{"swh:1:dir:" + revision},
	}, bom.Metadata.Component)
	assert.Equal(t, []cdx.Lifecycle{{Phase: "pre-build"}}, *bom.Metadata.Lifecycles)
	assert.Equal(t, cdx.Component{
		BOMRef: perks, Type: "library", Name: "github.com/beorn7/perks", Version: "v1.0.1", PackageURL: perks,
		Properties: &[]cdx.Property{{Name: "slipway:type", Value: "gomod"}},
		Evidence:   &cdx.Evidence{Occurrences: &[]cdx.EvidenceOccurrence{{Location: "go.mod"}}},
	}, components[perks])
	assert.Equal(t, []cdx.Dependency{
		{Ref: "source:apps/sample", Dependencies: &[]string{mainModule}},
		{Ref: perks}, {Ref: client}, {Ref: text},
		{Ref: mainModule, Dependencies: &[]string{perks, client, text}},
	}, *bom.Dependencies)

	_, packages, relationships := readSPDX(t, b)
	assert.Equal(t, []*spdx.PackageExternalReference{{Category: "PERSISTENT-ID", RefType: "swh", Locator: "swh:1:dir:" + revision}},
		packages["apps/sample"].PackageExternalReferences)
	assert.Equal(t, "SOURCE", packages["apps/sample"].PrimaryPackagePurpose)
	assert.ElementsMatch(t, []string{
		"document DESCRIBES apps/sample", "apps/sample DEPENDS_ON " + mainModule,
		mainModule + " DEPENDS_ON " + perks, mainModule + " DEPENDS_ON " + client, mainModule + " DEPENDS_ON " + text,
	}, relationships)
}

func TestASourceWithoutManifestsHasNoPackages(t *testing.T) {
	b := bill(t, Subject{Name: "apps/bare"}, Part{Report: &types.Report{SchemaVersion: 2}})
	bom, components := readCycloneDX(t, b)
	assert.Empty(t, components)
	assert.Equal(t, []cdx.Dependency{{Ref: "source:apps/bare"}}, *bom.Dependencies)
	assert.Contains(t, string(documents(t, b)["CycloneDX"]), `"components": []`)
	d, _, relationships := readSPDX(t, b)
	assert.Len(t, d.Packages, 1)
	assert.Equal(t, []string{"document DESCRIBES apps/bare"}, relationships)
}

// shuffled is a report in another order.
func shuffled(t *testing.T, name string, random *rand.Rand) *types.Report {
	report := recorded(t, name)
	mix(random, report.Results)
	for _, result := range report.Results {
		mix(random, result.Packages)
		for _, p := range result.Packages {
			mix(random, p.Licenses)
			mix(random, p.DependsOn)
		}
	}
	return report
}

func mix[E any](random *rand.Rand, list []E) {
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

func TestTheSameReportsGiveTheSameBytes(t *testing.T) {
	image, source := documents(t, imageBill(t)), documents(t, sourceBill(t))
	for seed := range uint64(32) {
		random := rand.New(rand.NewPCG(seed, 0))
		parts := []Part{
			{Platform: "linux/amd64", Digest: amd64, Report: shuffled(t, "amd64", random)},
			{Platform: "linux/arm64", Digest: arm64, Report: shuffled(t, "arm64", random)},
		}
		mix(random, parts)
		for format, data := range documents(t, bill(t, Subject{Name: "sample", Digest: index}, parts...)) {
			require.Equal(t, string(image[format]), string(data), "%s, seed %d", format, seed)
		}
		for format, data := range documents(t, bill(t, Subject{Name: "apps/sample", Revision: revision}, Part{Report: shuffled(t, "source", random)})) {
			require.Equal(t, string(source[format]), string(data), "%s, seed %d", format, seed)
		}
	}
}

// A document's own name is that of its content: no two documents share one.
func TestEachDocumentHasANameOfItsOwn(t *testing.T) {
	names := map[string]string{}
	name := func(what string, b *Bill) {
		bom, _ := readCycloneDX(t, b)
		d, _, _ := readSPDX(t, b)
		assert.Regexp(t, `\Aurn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\z`, bom.SerialNumber)
		assert.Regexp(t, `\Ahttps://slipway\.dev/sbom/spdx/[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\z`, d.DocumentNamespace)
		for _, id := range []string{strings.TrimPrefix(bom.SerialNumber, "urn:uuid:"), strings.TrimPrefix(d.DocumentNamespace, namespace)} {
			require.NotContains(t, names, id, what)
			names[id] = what
		}
	}
	name("image", imageBill(t))
	name("source", sourceBill(t))
	other := imageBill(t)
	other.Subject.Digest = "sha256:" + strings.Repeat("2", 64)
	name("another digest", other)
	other = imageBill(t)
	other.Subject.TrivyVersion = "0.74.1"
	name("another Trivy", other)
	other = imageBill(t)
	other.Packages[0].Version = "1.1"
	name("another package", other)
}

func TestEveryPackageIsReachedFromTheSubject(t *testing.T) {
	circle := &types.Report{Results: types.Results{{Class: types.ClassLangPkg, Type: "npm", Packages: ftypes.Packages{
		{ID: "c", Name: "c", DependsOn: []string{"d", "c", "unknown"}}, {ID: "d", Name: "d", DependsOn: []string{"c"}},
		{ID: "a", Name: "a", DependsOn: []string{"b"}}, {ID: "b", Name: "b", DependsOn: []string{""}}, {Name: "e"},
	}}}}
	b := bill(t, Subject{Name: "apps/sample"}, Part{Report: circle})
	assert.Equal(t, []string{"npm/a", "npm/c", "npm/e"}, b.heads())
	assert.Equal(t, []string{"npm/d"}, b.Packages[2].DependsOn)
}

func TestPackagesThatDifferInTheirHashAreTwo(t *testing.T) {
	one := ftypes.Package{Name: "a", Version: "1", Digest: "sha1:ffffffffffffffffffffffffffffffffffffffff"}
	two := ftypes.Package{Name: "a", Version: "1", Digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000"}
	b := bill(t, Subject{Name: "apps/sample"}, Part{Report: &types.Report{Results: types.Results{
		{Class: types.ClassLangPkg, Type: "jar", Target: "x", Packages: ftypes.Packages{two, one, one}},
	}}})
	require.Len(t, b.Packages, 2)
	assert.Equal(t, "jar/a@1", b.Packages[0].Ref)
	assert.Equal(t, one.Digest, b.Packages[0].Hash)
	assert.Equal(t, "jar/a@1#2", b.Packages[1].Ref)
	assert.Equal(t, two.Digest, b.Packages[1].Hash)
	follows(t, b)
}

func TestAHashOfAnUnknownKindIsRefused(t *testing.T) {
	for _, hash := range []string{"crc32:00000000", "sha256:00", "sha1:" + strings.Repeat("z", 40), "0a"} {
		report := &types.Report{Results: types.Results{{Class: types.ClassLangPkg, Type: "jar", Packages: ftypes.Packages{
			{Name: "a", Digest: digest.Digest(hash)},
		}}}}
		_, err := Of(Subject{Name: "apps/sample"}, []Part{{Report: report}})
		fault, ok := step.AsFault(err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, step.KindInfrastructure, fault.Kind)
		assert.Equal(t, "scan", fault.Stage)
		assert.Equal(t, `hash "`+hash+`" of package a`, fault.Input)
		assert.Contains(t, fault.Reason, "no bill of materials can state it")
		assert.NotEmpty(t, fault.Mend)
	}
}

func TestLicences(t *testing.T) {
	for text, want := range map[string]license{
		"MIT":                            {name: "MIT", expression: "MIT", id: true},
		"GPL-2.0":                        {name: "GPL-2.0", expression: "GPL-2.0-only", id: true},
		"GPL-2.0-or-later":               {name: "GPL-2.0-or-later", expression: "GPL-2.0-or-later", id: true},
		"FSL-1.1-MIT":                    {name: "FSL-1.1-MIT", expression: "FSL-1.1-MIT"},
		"MIT or Apache-2.0":              {name: "MIT or Apache-2.0", expression: "MIT OR Apache-2.0"},
		"GPL-3.0 WITH GCC-exception-3.1": {name: "GPL-3.0 WITH GCC-exception-3.1", expression: "GPL-3.0-only WITH GCC-exception-3.1"},
		"MIT AND unheard-of":             {name: "MIT AND unheard-of"},
		"see  the\nfile":                 {name: "see the file"},
		"((":                             {name: "(("},
		"text://All rights reserved":     {text: "All rights reserved"},
	} {
		assert.Equal(t, want, readLicense(text), text)
	}
	assert.Equal(t, "(MIT OR Apache-2.0) AND ISC", conjunction([]license{readLicense("ISC"), readLicense("MIT OR Apache-2.0")}))
}

func TestCreatedIsTheNewestImages(t *testing.T) {
	assert.Equal(t, time.Unix(0, 0).UTC(), Created())
	assert.Equal(t, time.Unix(0, 0).UTC(), Created(&types.Report{}))
	assert.Equal(t, time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC), Created(recorded(t, "amd64"), recorded(t, "arm64")))
	assert.Equal(t, Created(recorded(t, "amd64"), recorded(t, "arm64")), Created(recorded(t, "arm64"), recorded(t, "amd64")))
}
