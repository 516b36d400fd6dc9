package sbom

import (
	"bytes"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/aquasecurity/trivy/pkg/digest"
	"github.com/google/uuid"
)

// Names of the properties of components; a property may be there several times.
const (
	platformProperty = "slipway:platform"
	typeProperty     = "slipway:type"
)

// cyclonedxSchema is the address of the schema that a document follows.
const cyclonedxSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"

// space is the namespace of the documents' own UUIDs (RFC 9562, version 5).
var space = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://slipway.dev/sbom"))

// algorithms are the hash algorithms that Trivy uses.
var algorithms = map[digest.Algorithm]struct {
	bytes     int
	cyclonedx cdx.HashAlgorithm
}{
	digest.MD5:    {16, cdx.HashAlgoMD5},
	digest.SHA1:   {20, cdx.HashAlgoSHA1},
	digest.SHA256: {32, cdx.HashAlgoSHA256},
	digest.SHA512: {64, cdx.HashAlgoSHA512},
}

// CycloneDX is the bill as a CycloneDX 1.6 document in JSON (ECMA-424). Its
// serial number is the UUID of its content, so it names the subject's digest,
// its packages and the scanner all at once.
func (b *Bill) CycloneDX() ([]byte, error) {
	bom := cdx.NewBOM()
	// The library's newest version is a later one.
	bom.SpecVersion, bom.JSONSchema = cdx.SpecVersion1_6, cyclonedxSchema
	subject, phase := b.component(), cdx.LifecyclePhasePreBuild
	if b.Subject.image() {
		phase = cdx.LifecyclePhasePostBuild
	}
	bom.Metadata = &cdx.Metadata{
		Timestamp:  stamp(b.Subject.Created),
		Lifecycles: &[]cdx.Lifecycle{{Phase: phase}},
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{
			{Type: cdx.ComponentTypeApplication, Name: "slipway-scan"},
			{Type: cdx.ComponentTypeApplication, Name: "trivy", Version: b.Subject.TrivyVersion},
		}},
		Component: &subject,
	}
	components := []cdx.Component{}
	dependencies := []cdx.Dependency{dependency(subject.BOMRef, b.heads())}
	for _, p := range b.Packages {
		components = append(components, p.component())
		dependencies = append(dependencies, dependency(p.Ref, p.DependsOn))
	}
	bom.Components, bom.Dependencies = &components, &dependencies
	content, err := encode(bom)
	if err != nil {
		return nil, err
	}
	bom.SerialNumber = uuid.NewSHA1(space, content).URN()
	return encode(bom)
}

func encode(bom *cdx.BOM) ([]byte, error) {
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(bom); err != nil {
		return nil, unencoded("CycloneDX", err)
	}
	return out.Bytes(), nil
}

// component is the subject, with the images of its platforms.
func (b *Bill) component() cdx.Component {
	s := b.Subject
	if !s.image() {
		c := cdx.Component{BOMRef: "source:" + s.Name, Type: cdx.ComponentTypeApplication, Name: s.Name, Version: s.Revision}
		if s.Revision != "" {
			c.SWHID = &[]string{swhid(s.Revision)}
		}
		return c
	}
	c := image(s.Name, s.Digest, "")
	var variants []cdx.Component
	for _, v := range b.Variants {
		variant := image(s.Name, v.Digest, v.Platform)
		variant.Properties = properties(platformProperty, v.Platform)
		variants = append(variants, variant)
	}
	if len(variants) > 0 {
		c.Components = &variants
	}
	return c
}

func image(name, digest, platform string) cdx.Component {
	purl := ociPURL(name, digest, platform)
	return cdx.Component{
		BOMRef: purl, Type: cdx.ComponentTypeContainer, Name: name, Version: digest, PackageURL: purl,
		Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: strings.TrimPrefix(digest, "sha256:")}},
	}
}

func (p Package) component() cdx.Component {
	c := cdx.Component{
		BOMRef: p.Ref, Type: cdx.ComponentTypeLibrary, Name: p.Name, Version: p.Version, PackageURL: p.PURL,
		Licenses:   choices(p.licenses),
		Properties: properties(typeProperty, p.Type),
	}
	switch p.Role {
	case Application:
		c.Type = cdx.ComponentTypeApplication
	case System:
		c.Type = cdx.ComponentTypeOS
	}
	if p.Supplier != "" {
		c.Supplier = &cdx.OrganizationalEntity{Name: p.Supplier}
	}
	if p.Hash != "" {
		c.Hashes = &[]cdx.Hash{{Algorithm: algorithms[p.Hash.Algorithm()].cyclonedx, Value: p.Hash.Encoded()}}
	}
	*c.Properties = append(*properties(platformProperty, p.Platforms...), *c.Properties...)
	if len(p.Files) > 0 {
		occurrences := []cdx.EvidenceOccurrence{}
		for _, file := range p.Files {
			occurrences = append(occurrences, cdx.EvidenceOccurrence{Location: file})
		}
		c.Evidence = &cdx.Evidence{Occurrences: &occurrences}
	}
	return c
}

// choices are licences as CycloneDX has them: a list of identifiers and names,
// or, where that would lose something, a single expression. nil when there are
// none.
func choices(licenses []license) *cdx.Licenses {
	if len(licenses) == 0 {
		return nil
	}
	listed, expressed := true, true
	for _, l := range licenses {
		listed = listed && (l.id || l.expression == "")
		expressed = expressed && l.expression != ""
	}
	declared := cdx.LicenseAcknowledgementDeclared
	if expressed && !listed {
		return &cdx.Licenses{{Expression: conjunction(licenses), Acknowledgement: &declared}}
	}
	list := cdx.Licenses{}
	for _, l := range licenses {
		one := &cdx.License{Name: l.name, Acknowledgement: declared}
		switch {
		case l.id:
			one.Name, one.ID = "", l.expression
		case l.text != "":
			one.Name, one.Text = "licence text of the package", &cdx.AttachedText{Content: l.text}
		}
		list = append(list, cdx.LicenseChoice{License: one})
	}
	return &list
}

func dependency(ref string, on []string) cdx.Dependency {
	d := cdx.Dependency{Ref: ref}
	if len(on) > 0 {
		d.Dependencies = &on
	}
	return d
}

func properties(name string, values ...string) *[]cdx.Property {
	list := []cdx.Property{}
	for _, value := range values {
		list = append(list, cdx.Property{Name: name, Value: value})
	}
	return &list
}

// swhid is the SoftWare Hash IDentifier of a folder (ISO/IEC 18670): of a Git
// tree, it is the tree's id.
func swhid(tree string) string { return "swh:1:dir:" + tree }
