package sbom

import (
	"bytes"
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
	"slipway/step/result/scan"
)

var (
	amd64    = "sha256:" + strings.Repeat("a", 64)
	arm64    = "sha256:" + strings.Repeat("b", 64)
	digests  = map[string]string{"amd64": amd64, "arm64": arm64}
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
	amd64PURL  = "pkg:oci/sample@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa?arch=amd64"
	documentID = common.ElementID("DOCUMENT")
)

func recorded(t *testing.T, name string) *types.Report {
	t.Helper()
	report, err := findings.Read(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	return report
}

func bill(t *testing.T, subject Subject, report *types.Report) *Bill {
	t.Helper()
	subject.TrivyVersion, subject.Created = "0.74.0", time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)
	b, err := Of(subject, report)
	require.NoError(t, err)
	return b
}

func imageBill(t *testing.T, architecture string) *Bill {
	t.Helper()
	return bill(t, Subject{Name: "sample", Platform: "linux/" + architecture, Digest: digests[architecture]}, recorded(t, architecture))
}

func sourceBill(t *testing.T) *Bill {
	t.Helper()
	return bill(t, Subject{Name: "apps/sample", Revision: revision}, recorded(t, "source"))
}

// documents are the bill in both formats.
func documents(t *testing.T, b *Bill) map[scan.SBOMFormat][]byte {
	t.Helper()
	c, err := b.CycloneDX()
	require.NoError(t, err)
	s, err := b.SPDX()
	require.NoError(t, err)
	return map[scan.SBOMFormat][]byte{scan.CycloneDX: c, scan.SPDX: s}
}

// name is how tests call a component: by its PURL, or else by its name.
func name(c cdx.Component) string {
	if c.PackageURL != "" {
		return c.PackageURL
	}
	return c.Name
}

// readCycloneDX decodes a document, as whoever gets it would. Each reference must
// be one component's, and lead to one.
func readCycloneDX(t *testing.T, b *Bill) (bom cdx.BOM, components map[string]cdx.Component, needs map[string][]string) {
	t.Helper()
	require.NoError(t, cdx.NewBOMDecoder(bytes.NewReader(documents(t, b)[scan.CycloneDX]), cdx.BOMFileFormatJSON).Decode(&bom))
	components, needs = map[string]cdx.Component{}, map[string][]string{}
	names := map[string]string{bom.Metadata.Component.BOMRef: name(*bom.Metadata.Component)}
	for _, c := range *bom.Components {
		require.NotContains(t, names, c.BOMRef)
		names[c.BOMRef] = name(c)
		components[name(c)] = c
	}
	for _, d := range *bom.Dependencies {
		require.Contains(t, names, d.Ref)
		if d.Dependencies != nil {
			for _, ref := range *d.Dependencies {
				require.Contains(t, names, ref)
				needs[names[d.Ref]] = append(needs[names[d.Ref]], names[ref])
			}
		}
	}
	return bom, components, needs
}

// readSPDX decodes a document; packages are by their PURL, or else their name,
// and relationships by them too.
func readSPDX(t *testing.T, b *Bill) (spdx.Document, map[string]*spdx.Package, []string) {
	t.Helper()
	var d spdx.Document
	require.NoError(t, json.ReadInto(bytes.NewReader(documents(t, b)[scan.SPDX]), &d))
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
	for _, f := range d.Files {
		require.NotContains(t, names, f.FileSPDXIdentifier)
		names[f.FileSPDXIdentifier] = f.FileName
	}
	var relationships []string
	for _, r := range d.Relationships {
		require.Contains(t, names, r.RefA.ElementRefID)
		require.Contains(t, names, r.RefB.ElementRefID)
		relationships = append(relationships, names[r.RefA.ElementRefID]+" "+r.Relationship+" "+names[r.RefB.ElementRefID])
	}
	return d, packages, relationships
}

func TestCycloneDXOfAnImage(t *testing.T) {
	bom, components, needs := readCycloneDX(t, imageBill(t, "amd64"))
	assert.Equal(t, cdx.SpecVersion1_6, bom.SpecVersion)
	assert.Equal(t, "http://cyclonedx.org/schema/bom-1.6.schema.json", bom.JSONSchema)
	assert.Equal(t, 1, bom.Version)
	assert.Equal(t, "2026-01-02T03:04:06+00:00", bom.Metadata.Timestamp)
	assert.Equal(t, []cdx.Lifecycle{{Phase: "post-build"}}, *bom.Metadata.Lifecycles)
	assert.Nil(t, bom.Vulnerabilities)
	require.Len(t, *bom.Metadata.Tools.Components, 1)
	assert.Equal(t, "trivy", (*bom.Metadata.Tools.Components)[0].Name)
	assert.Equal(t, "0.74.0", (*bom.Metadata.Tools.Components)[0].Version)

	assert.Equal(t, &cdx.Component{
		BOMRef: amd64PURL, Type: "container", Name: "sample", Version: amd64, PackageURL: amd64PURL,
		Hashes: &[]cdx.Hash{{Algorithm: "SHA-256", Value: strings.Repeat("a", 64)}},
		Properties: &[]cdx.Property{
			{Name: "aquasecurity:trivy:SchemaVersion", Value: "2"}, {Name: "slipway:platform", Value: "linux/amd64"}},
	}, bom.Metadata.Component)

	assert.Equal(t, cdx.Component{
		BOMRef: libc, Type: "library", Name: "libc6", Version: "2.36-9+deb12u10", PackageURL: libc,
		Supplier: &cdx.OrganizationalEntity{Name: "GNU Libc Maintainers <debian-glibc@lists.debian.org>"},
		Hashes:   &[]cdx.Hash{{Algorithm: "MD5", Value: "3a5e54b4a2e3c2b8a1b5d6f7c8d9e0f1"}},
		Licenses: &cdx.Licenses{
			{License: &cdx.License{ID: "GPL-2.0-only"}},
			{License: &cdx.License{ID: "LGPL-2.1-only"}},
			{License: &cdx.License{Name: "custom-terms-of-glibc"}},
		},
		Properties: &[]cdx.Property{
			{Name: "aquasecurity:trivy:PkgID", Value: "libc6@2.36-9+deb12u10"}, {Name: "aquasecurity:trivy:PkgType", Value: "debian"}},
	}, components[libc])
	assert.Equal(t, &cdx.Licenses{{Expression: "BSD-3-Clause"}}, components[text].Licenses)
	assert.Equal(t, &cdx.Licenses{{License: &cdx.License{Name: "Runtime Library Exception\nand more"}}}, components[libgcc].Licenses)
	assert.Equal(t, cdx.ComponentTypeOS, components["debian"].Type)
	assert.Equal(t, "12.11", components["debian"].Version)
	assert.Equal(t, cdx.ComponentTypeApplication, components["app"].Type)
	assert.Len(t, components, 10)

	assert.ElementsMatch(t, []string{"app", "debian", "in-house"}, needs[amd64PURL])
	assert.ElementsMatch(t, []string{baseFiles, tzdata}, needs["debian"])
	assert.ElementsMatch(t, []string{mainModule}, needs["app"])
	assert.ElementsMatch(t, []string{text, stdlib}, needs[mainModule])
	assert.Equal(t, []string{libgcc}, needs[libc])
	assert.Equal(t, []string{libc}, needs[libgcc])
	assert.Nil(t, needs[text])
}

func TestSPDXOfAnImage(t *testing.T) {
	d, packages, relationships := readSPDX(t, imageBill(t, "amd64"))
	assert.Equal(t, "SPDX-2.3", d.SPDXVersion)
	assert.Equal(t, "CC0-1.0", d.DataLicense)
	assert.Equal(t, "sample", d.DocumentName)
	assert.Equal(t, "2026-01-02T03:04:06Z", d.CreationInfo.Created)
	assert.Contains(t, d.CreationInfo.Creators, common.Creator{CreatorType: "Tool", Creator: "trivy-0.74.0"})

	subject := packages[amd64PURL]
	assert.Equal(t, "sample", subject.PackageName)
	assert.Equal(t, amd64, subject.PackageVersion)
	assert.Equal(t, "CONTAINER", subject.PrimaryPackagePurpose)
	assert.Equal(t, []common.Checksum{{Algorithm: "SHA256", Value: strings.Repeat("a", 64)}}, subject.PackageChecksums)
	var comments []string
	for _, a := range subject.Annotations {
		comments = append(comments, a.AnnotationComment)
	}
	assert.Contains(t, comments, "slipway:platform: linux/amd64")

	p := packages[libc]
	require.Len(t, d.OtherLicenses, 3)
	names := map[string]*spdx.OtherLicense{}
	for _, other := range d.OtherLicenses {
		names[other.LicenseName] = other
	}
	assert.Equal(t, "libc6", p.PackageName)
	assert.Equal(t, "2.36-9+deb12u10", p.PackageVersion)
	assert.Equal(t, "GPL-2.0-only AND LGPL-2.1-only AND "+names["custom-terms-of-glibc"].LicenseIdentifier, p.PackageLicenseDeclared)
	assert.Equal(t, []common.Checksum{{Algorithm: "MD5", Value: "3a5e54b4a2e3c2b8a1b5d6f7c8d9e0f1"}}, p.PackageChecksums)
	assert.Equal(t, &common.Supplier{SupplierType: "Organization", Supplier: "GNU Libc Maintainers <debian-glibc@lists.debian.org>"}, p.PackageSupplier)
	assert.False(t, p.FilesAnalyzed)
	assert.Equal(t, names["NOASSERTION"].LicenseIdentifier, packages[libgcc].PackageLicenseDeclared)
	assert.Equal(t, "Runtime Library Exception\nand more", names["NOASSERTION"].ExtractedText)
	assert.Equal(t, names["public-domain"].LicenseIdentifier, packages[tzdata].PackageLicenseDeclared)
	assert.Equal(t, "BSD-3-Clause", packages[text].PackageLicenseDeclared)
	assert.Equal(t, "NOASSERTION", packages[stdlib].PackageLicenseDeclared)
	assert.Equal(t, "package found in: app", packages[text].PackageSourceInfo)
	assert.Equal(t, "OPERATING_SYSTEM", packages["debian"].PrimaryPackagePurpose)

	assert.ElementsMatch(t, []string{
		"document DESCRIBES " + amd64PURL,
		amd64PURL + " CONTAINS debian", amd64PURL + " CONTAINS app", amd64PURL + " CONTAINS in-house", "in-house CONTAINS opt/conda-meta/in-house.json",
		"debian CONTAINS " + baseFiles, "debian CONTAINS " + tzdata, "app CONTAINS " + mainModule,
		mainModule + " DEPENDS_ON " + text, mainModule + " DEPENDS_ON " + stdlib,
		libc + " DEPENDS_ON " + libgcc, libgcc + " DEPENDS_ON " + libc, baseFiles + " DEPENDS_ON " + libc,
	}, relationships)
}

func TestAPackageOfOnePlatformIsInItsBill(t *testing.T) {
	for architecture, has := range map[string]map[string]bool{"amd64": {sys: false, "in-house": true, stdlib: true}, "arm64": {sys: true, "in-house": false, stdlib: true}} {
		bom, components, _ := readCycloneDX(t, imageBill(t, architecture))
		_, packages, _ := readSPDX(t, imageBill(t, architecture))
		assert.Equal(t, digests[architecture], bom.Metadata.Component.Version)
		for name, is := range has {
			_, component := components[name]
			_, listed := packages[name]
			assert.Equal(t, is, component, "%s on %s", name, architecture)
			assert.Equal(t, is, listed, "%s on %s", name, architecture)
		}
	}
}

func TestAPackageWithoutPURL(t *testing.T) {
	b := imageBill(t, "amd64")
	_, components, _ := readCycloneDX(t, b)
	c := components["in-house"]
	assert.Equal(t, "1.0", c.Version)
	assert.Equal(t, &[]cdx.Hash{{Algorithm: "SHA-1", Value: strings.Repeat("0a", 20)}}, c.Hashes)
	assert.Equal(t, &cdx.Licenses{{Expression: "MIT OR Apache-2.0"}}, c.Licenses)
	assert.Contains(t, *c.Properties, cdx.Property{Name: "aquasecurity:trivy:FilePath", Value: "opt/conda-meta/in-house.json"})

	_, packages, _ := readSPDX(t, b)
	assert.Empty(t, packages["in-house"].PackageExternalReferences)
	assert.Equal(t, "MIT OR Apache-2.0", packages["in-house"].PackageLicenseDeclared)
}

func TestAPackageWithoutANameIsCalledByItsFile(t *testing.T) {
	_, components, _ := readCycloneDX(t, bill(t, Subject{Name: "apps/sample"}, &types.Report{Results: types.Results{
		{Class: types.ClassLangPkg, Type: "jar", Target: "Java", Packages: ftypes.Packages{{FilePath: "lib/a.jar"}}},
		{Class: types.ClassLangPkg, Type: "gomod", Target: "go.mod", Packages: ftypes.Packages{{Version: "v1"}}},
	}}))
	assert.Equal(t, cdx.ComponentTypeLibrary, components["lib/a.jar"].Type)
	assert.Len(t, components, 2, "the file and the package are called the same")
	assert.Contains(t, components, "go.mod")
}

func TestADistributionWithoutPackagesIsNamed(t *testing.T) {
	report := recorded(t, "amd64")
	report.Results = report.Results[1:]
	_, components, needs := readCycloneDX(t, bill(t, Subject{Name: "sample", Platform: "linux/amd64", Digest: amd64}, report))
	assert.Equal(t, "12.11", components["debian"].Version)
	assert.Contains(t, needs[amd64PURL], "debian")
}

func TestDocumentsOfASource(t *testing.T) {
	const client, perks = "pkg:golang/github.com/prometheus/client_golang@v1.25.0", "pkg:golang/github.com/beorn7/perks@v1.0.1"
	b := sourceBill(t)
	bom, components, needs := readCycloneDX(t, b)
	assert.Equal(t, "apps/sample", bom.Metadata.Component.Name)
	assert.Equal(t, cdx.ComponentTypeApplication, bom.Metadata.Component.Type)
	assert.Equal(t, revision, bom.Metadata.Component.Version)
	assert.Equal(t, &[]string{"swh:1:dir:" + revision}, bom.Metadata.Component.SWHID)
	assert.Equal(t, []cdx.Lifecycle{{Phase: "pre-build"}}, *bom.Metadata.Lifecycles)
	assert.Equal(t, "v1.0.1", components[perks].Version)
	assert.Len(t, components, 5)
	assert.Equal(t, []string{"go.mod"}, needs["apps/sample"])
	assert.Equal(t, []string{mainModule}, needs["go.mod"])
	assert.ElementsMatch(t, []string{perks, client, text}, needs[mainModule])

	_, packages, relationships := readSPDX(t, b)
	assert.Equal(t, []*spdx.PackageExternalReference{{Category: "PERSISTENT-ID", RefType: "swh", Locator: "swh:1:dir:" + revision}},
		packages["apps/sample"].PackageExternalReferences)
	assert.Equal(t, "SOURCE", packages["apps/sample"].PrimaryPackagePurpose)
	assert.Equal(t, revision, packages["apps/sample"].PackageVersion)
	assert.ElementsMatch(t, []string{
		"document DESCRIBES apps/sample", "apps/sample CONTAINS go.mod", "go.mod CONTAINS " + mainModule,
		mainModule + " DEPENDS_ON " + perks, mainModule + " DEPENDS_ON " + client, mainModule + " DEPENDS_ON " + text,
	}, relationships)
}

func TestASourceWithoutManifestsHasNoPackages(t *testing.T) {
	b := bill(t, Subject{Name: "apps/bare"}, &types.Report{SchemaVersion: 2})
	bom, components, needs := readCycloneDX(t, b)
	assert.Empty(t, components)
	assert.Empty(t, needs)
	assert.Nil(t, bom.Metadata.Component.SWHID)
	assert.Contains(t, string(documents(t, b)[scan.CycloneDX]), `"components": []`)
	d, _, relationships := readSPDX(t, b)
	assert.Len(t, d.Packages, 1)
	assert.Empty(t, d.Packages[0].PackageExternalReferences)
	assert.Equal(t, []string{"document DESCRIBES apps/bare"}, relationships)
}

func TestEveryPackageIsReachedFromTheSubject(t *testing.T) {
	circle := &types.Report{Results: types.Results{{Class: types.ClassLangPkg, Type: "npm", Target: "package-lock.json", Packages: ftypes.Packages{
		{ID: "d", Name: "d", DependsOn: []string{"c"}}, {ID: "c", Name: "c", DependsOn: []string{"d", "c", "unknown", "d"}},
		{ID: "a", Name: "a", DependsOn: []string{"b"}}, {ID: "b", Name: "b", DependsOn: []string{""}}, {Name: "e"},
	}}}}
	b := bill(t, Subject{Name: "apps/sample"}, circle)
	_, _, needs := readCycloneDX(t, b)
	assert.ElementsMatch(t, []string{"package-lock.json", "c"}, needs["apps/sample"])
	assert.ElementsMatch(t, []string{"a", "e"}, needs["package-lock.json"])
	assert.Equal(t, []string{"d"}, needs["c"])
	assert.Equal(t, []string{"c"}, needs["d"])
	_, _, relationships := readSPDX(t, b)
	assert.Contains(t, relationships, "apps/sample CONTAINS c")
	follows(t, b)
}

func TestPackagesThatDifferInTheirHashAreTwo(t *testing.T) {
	one := ftypes.Package{Name: "a", Version: "1", FilePath: "a.jar", Digest: "sha1:ffffffffffffffffffffffffffffffffffffffff"}
	two := ftypes.Package{Name: "a", Version: "1", FilePath: "b.jar", Digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000"}
	b := bill(t, Subject{Name: "apps/sample"}, &types.Report{Results: types.Results{
		{Class: types.ClassLangPkg, Type: "jar", Target: "x", Packages: ftypes.Packages{two, one, one}},
		{Class: types.ClassLangPkg, Type: "jar", Target: "x", Packages: ftypes.Packages{one}},
	}})
	bom, _, _ := readCycloneDX(t, b)
	require.Len(t, *bom.Components, 2)
	assert.ElementsMatch(t, []string{"SHA-1", "SHA-256"}, []string{string((*(*bom.Components)[0].Hashes)[0].Algorithm), string((*(*bom.Components)[1].Hashes)[0].Algorithm)})
	follows(t, b)
}

func TestAFileThatHoldsPackagesIsListedOnce(t *testing.T) {
	const hash = "sha1:ffffffffffffffffffffffffffffffffffffffff"
	b := bill(t, Subject{Name: "apps/sample"}, &types.Report{Results: types.Results{{Class: types.ClassLangPkg, Type: "jar", Target: "Java", Packages: ftypes.Packages{
		{Name: "a", Version: "1", FilePath: "shaded.jar", Digest: hash}, {Name: "b", Version: "1", FilePath: "shaded.jar", Digest: hash},
	}}}})
	d, _, relationships := readSPDX(t, b)
	assert.Len(t, d.Files, 1)
	assert.Subset(t, relationships, []string{"a CONTAINS shaded.jar", "b CONTAINS shaded.jar"})
	follows(t, b)
}

func TestAHashOfAnUnknownKindIsRefused(t *testing.T) {
	for _, hash := range []string{"crc32:00000000", "sha256:00", "sha1:" + strings.Repeat("z", 40), "0a"} {
		report := &types.Report{Results: types.Results{{Class: types.ClassLangPkg, Type: "jar", Packages: ftypes.Packages{
			{Name: "a", Digest: digest.Digest(hash)},
		}}}}
		_, err := Of(Subject{Name: "apps/sample"}, report)
		fault, ok := step.AsFault(err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, step.KindInfrastructure, fault.Kind)
		assert.Equal(t, "scan", fault.Stage)
		assert.Equal(t, `hash "`+hash+`" of package a`, fault.Input)
		assert.Contains(t, fault.Reason, "no bill of materials can state it")
		assert.NotEmpty(t, fault.Mend)
	}
}

func TestCreatedIsTheNewestImages(t *testing.T) {
	assert.Equal(t, time.Unix(0, 0).UTC(), Created())
	assert.Equal(t, time.Unix(0, 0).UTC(), Created(&types.Report{}))
	assert.Equal(t, time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC), Created(recorded(t, "amd64"), recorded(t, "arm64")))
	assert.Equal(t, Created(recorded(t, "amd64"), recorded(t, "arm64")), Created(recorded(t, "arm64"), recorded(t, "amd64")))
}

// A distribution is named where the image says its release, once.
func TestTheDistributionOfAnImageWithoutItsPackages(t *testing.T) {
	for name, c := range map[string]struct {
		os      *ftypes.OS
		results types.Results
		want    int
	}{
		"a release":          {&ftypes.OS{Family: ftypes.Debian, Name: "12.11"}, nil, 1},
		"no release":         {&ftypes.OS{Family: ftypes.Debian}, nil, 0},
		"no distribution":    {nil, nil, 0},
		"its packages, too":  {&ftypes.OS{Family: ftypes.Debian, Name: "12.11"}, types.Results{{Class: types.ClassOSPkg, Type: ftypes.Debian, Target: "x"}}, 1},
		"only other results": {&ftypes.OS{Family: ftypes.Debian, Name: "12.11"}, types.Results{{Class: types.ClassLangPkg, Type: ftypes.GoBinary, Target: "x"}}, 1},
	} {
		_, components, _ := readCycloneDX(t, bill(t, Subject{Name: "sample", Platform: "linux/amd64", Digest: amd64}, &types.Report{SchemaVersion: 2, Metadata: types.Metadata{OS: c.os}, Results: c.results}))
		systems := 0
		for _, component := range components {
			if component.Type == cdx.ComponentTypeOS {
				systems++
			}
		}
		assert.Equal(t, c.want, systems, name)
	}
}
