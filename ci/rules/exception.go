package rules

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"slipway/step"
	"slipway/step/result/scan"
)

// Class is a kind of findings.
type Class string

const (
	// ClassVulnerability is a known vulnerability of a package. Only of this class an
	// app's own OpenVEX document can speak.
	ClassVulnerability Class = "vulnerability"
	// ClassMisconfiguration is a failed check of a manifest or of Terraform code.
	ClassMisconfiguration Class = "misconfiguration"
	// ClassIgnore is a comment that makes the scanner skip a check, scan.InlineIgnore.
	ClassIgnore Class = "ignore"
	// ClassSecret is a credential in a file; its id is the rule's that found it.
	ClassSecret Class = "secret"
	// ClassExecutable is an executable file that nothing identifies, UnknownExecutable.
	ClassExecutable Class = "executable"
	// ClassEndOfLife is a distribution past its end of life, EndOfLife.
	ClassEndOfLife Class = "endOfLife"
)

var classes = []Class{ClassVulnerability, ClassMisconfiguration, ClassIgnore, ClassSecret, ClassExecutable, ClassEndOfLife}

// The ids of findings about an image that Slipway names itself.
const (
	UnknownExecutable = "unknown-executable"
	EndOfLife         = "end-of-life"
)

// The ids that tell their class by how they begin: those of advisories, and those of the
// scanner's own checks.
var (
	advisoryID = regexp.MustCompile(`\A(CVE|GHSA|GO|GMS|PYSEC|RUSTSEC|NSWG-ECO|TEMP|DSA|DLA|USN|RHSA|ELSA|ALAS|SUSE|openSUSE|MAL)-`)
	checkID    = regexp.MustCompile(`\A(AVD-|(AWS|AZU|CLDSTK|DIG|DS|GCP|GIT|KCV|KSV|KUBE|NIF|OCI|OPNSTK)-?[0-9])`)
)

// classOf is the one class that an id can be of, or empty.
func classOf(id string) Class {
	switch {
	case id == UnknownExecutable:
		return ClassExecutable
	case id == EndOfLife:
		return ClassEndOfLife
	case id == scan.InlineIgnore:
		return ClassIgnore
	case advisoryID.MatchString(id):
		return ClassVulnerability
	case checkID.MatchString(id):
		return ClassMisconfiguration
	}
	return ""
}

func (e Exception) class() Class {
	if e.Class != "" {
		return e.Class
	}
	return classOf(e.ID)
}

// excusable is what an exception is asked about.
type excusable struct {
	class Class
	id    string
	// file is in the repository or, of an executable, in the image; empty for what is in
	// none.
	file, sha256 string
	// purls are those of a vulnerability's package.
	purls []string
}

// covers reports whether the exception is for a finding, in the package of this URL.
func (e Exception) covers(f excusable, purl string) bool {
	if e.class() != f.class || e.ID != f.id || e.SHA256 != "" && e.SHA256 != f.sha256 || e.Package != "" && !within(e.Package, purl) {
		return false
	}
	if f.class == ClassSecret || f.class == ClassExecutable {
		return e.Path == f.file
	}
	ok, _ := path.Match(e.Path, f.file) // a pattern that is none matches nothing
	return e.Path == "" || ok
}

// within reports whether a package URL is one that another means: of the same type,
// namespace and name, and of the version and the qualifiers that this has.
func within(meant, purl string) bool {
	m, err := packageurl.FromString(meant)
	if err != nil {
		return false
	}
	p, err := packageurl.FromString(purl)
	if err != nil || m.Type != p.Type || m.Namespace != p.Namespace || m.Name != p.Name {
		return false
	}
	if m.Type == packageurl.TypeGolang {
		m.Version, p.Version = strings.TrimPrefix(m.Version, "v"), strings.TrimPrefix(p.Version, "v")
	}
	qualifiers := p.Qualifiers.Map()
	return (m.Version == "" || m.Version == p.Version) &&
		!slices.ContainsFunc(m.Qualifiers, func(q packageurl.Qualifier) bool { return qualifiers[q.Key] != q.Value })
}

// validPackage checks a package URL that limits something to a package.
func validPackage(at, purl string) error {
	p, err := packageurl.FromString(purl)
	switch {
	case err != nil:
		return step.Input("config", fmt.Sprintf("%s %.200q", at, purl), "is not a package URL", "write it as the bill of materials has it, such as pkg:golang/golang.org/x/text@v0.3.7").Because(err)
	case p.Subpath != "":
		return step.Input("config", fmt.Sprintf("%s %.200q", at, purl), "names a part of a package, which no finding does", "leave out what follows the #")
	}
	return nil
}

// validClass checks that it is known what the exception is for.
func (e Exception) validClass(at string) error {
	known := classOf(e.ID)
	switch {
	case e.Class == "" && known == "":
		return step.Input("config", at+".class", fmt.Sprintf("is missing, and the id %.80q can be of more than one", e.ID),
			fmt.Sprintf("say what the exception is for: class: %s", oneOf(classes)))
	case e.Class != "" && !slices.Contains(classes, e.Class):
		return step.Input("config", fmt.Sprintf("%s.class %.80q", at, e.Class), "is not a class of findings", "use "+oneOf(classes))
	case known != "" && e.class() != known, known == "" && slices.Contains([]Class{ClassIgnore, ClassExecutable, ClassEndOfLife}, e.Class):
		return step.Input("config", fmt.Sprintf("%s.class %q", at, e.Class), fmt.Sprintf("has no finding %.80q", e.ID), "give the class and the id that the refusal names, or leave the class out")
	}
	return nil
}

// validLimits checks what the exception is limited to.
func (e Exception) validLimits(at string) error {
	class := e.class()
	for _, limit := range []struct {
		key, value string
		of         []Class
	}{
		{"path", e.Path, []Class{ClassMisconfiguration, ClassIgnore, ClassSecret, ClassExecutable}},
		{"sha256", e.SHA256, []Class{ClassExecutable}},
		{"package", e.Package, []Class{ClassVulnerability}},
	} {
		if limit.value != "" && !slices.Contains(limit.of, class) {
			return step.Input("config", fmt.Sprintf("%s.%s %.80q", at, limit.key, limit.value), fmt.Sprintf("limits nothing for %s, of class %s", e.ID, class),
				"leave it out; it is for class "+oneOf(limit.of))
		}
	}
	bad := path.IsAbs(e.Path) || e.Path != "" && path.Clean(e.Path) != e.Path
	reason, mend := "is not a path in the repository", "write it like gitops/platform/argocd/base/rbac.yaml; * stands for any part of one name"
	switch class {
	case ClassExecutable:
		bad = bad || e.Path == ""
		reason, mend = "is not a path in the image", "name the one file, like usr/local/bin/tool; there is no exception for several"
	case ClassSecret:
		bad = bad || e.Path == ""
		reason, mend = "is not a file of the repository", "name the one file, like apps/hello/testdata/key.pem; there is no exception for several"
	case ClassMisconfiguration, ClassIgnore:
		_, err := path.Match(e.Path, "")
		bad = bad || err != nil || e.Path == "" && class == ClassIgnore
	}
	if bad {
		return step.Input("config", fmt.Sprintf("%s.path %q", at, e.Path), reason, mend)
	}
	if e.SHA256 != "" && !sha256Pattern.MatchString(e.SHA256) {
		return step.Input("config", fmt.Sprintf("%s.sha256 %.80q", at, e.SHA256), "is not a SHA-256", "write 64 lower-case hexadecimal digits, as the refusal names them, or leave it out")
	}
	if e.Package != "" {
		return validPackage(at+".package", e.Package)
	}
	return nil
}

// oneOf lists names, with an or before the last.
func oneOf[T ~string](names []T) string {
	var b strings.Builder
	for n, name := range names {
		switch {
		case n > 0 && n == len(names)-1:
			b.WriteString(" or ")
		case n > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(name))
	}
	return b.String()
}
