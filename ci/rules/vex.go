package rules

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/package-url/packageurl-go"

	"slipway/step"
)

// VEXFile is an app's OpenVEX document, in its folder.
const VEXFile = "openvex.json"

// vexContext is the @context of the versions of OpenVEX that are read.
var vexContext = regexp.MustCompile(`\Ahttps://openvex\.dev/ns/v0\.2\.[0-9]+\z`)

// Statuses and justifications of not_affected (OpenVEX specification 0.2.0).
const notAffected = "not_affected"

var (
	statuses       = []string{notAffected, "affected", "fixed", "under_investigation"}
	justifications = []string{
		"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
		"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
	}
)

// vexDocument has every key of the specification's schema: another one is refused, for
// it may be meant to say less.
type vexDocument struct {
	Context     string         `json:"@context"`
	ID          string         `json:"@id"`
	Author      string         `json:"author"`
	Role        string         `json:"role"`
	Timestamp   string         `json:"timestamp"`
	LastUpdated string         `json:"last_updated"`
	Version     any            `json:"version"`
	Tooling     any            `json:"tooling"`
	Statements  []vexStatement `json:"statements"`
}

type vexStatement struct {
	ID            string `json:"@id"`
	Version       any    `json:"version"`
	Vulnerability struct {
		ID          string   `json:"@id"`
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Aliases     []string `json:"aliases"`
	} `json:"vulnerability"`
	Products        []vexProduct `json:"products"`
	Status          string       `json:"status"`
	StatusNotes     string       `json:"status_notes"`
	Justification   string       `json:"justification"`
	Impact          string       `json:"impact_statement"`
	Action          string       `json:"action_statement"`
	ActionTimestamp string       `json:"action_statement_timestamp"`
	Timestamp       string       `json:"timestamp"`
	LastUpdated     string       `json:"last_updated"`
	Supplier        string       `json:"supplier"`
}

type vexProduct struct {
	vexComponent
	Subcomponents []vexComponent `json:"subcomponents"`
}

type vexComponent struct {
	ID          string            `json:"@id"`
	Identifiers map[string]string `json:"identifiers"`
	Hashes      map[string]string `json:"hashes"`
}

// VEX are the statements of an app's OpenVEX document about one image, the newest
// first: the first that is about a vulnerability in a package decides. Of two that were
// made at the same time, not_affected is the weaker.
type VEX []vexSaid

type vexSaid struct {
	// names are the vulnerability's.
	names []string
	// packages are the package URLs of the subcomponents; empty means all of the image.
	packages []string
	at       time.Time
	// exception is what not_affected makes, without id and package; another status makes
	// none, and ends an older one.
	exception *Exception
}

// About is the image that an OpenVEX document has to speak of.
type About struct {
	// App is the image's name, and Repository where it is published.
	App, Repository string
	Digest          string
}

// ParseVEX reads an app's OpenVEX document (0.2). OpenVEX knows no end, so a statement
// of not_affected holds for maxAge from its day, which can't lie ahead of now. where
// names the document in faults.
//
// Other statuses make no exception: what is affected, under investigation or fixed
// is the scanner's to say. But they end what an older statement says. What is not
// understood is a fault, and so is not_affected for another image's name, or without a
// justification. A statement about another digest or repository is about another image.
func ParseVEX(where string, image About, data []byte, maxAge time.Duration, now time.Time) (VEX, error) {
	bad := func(input, reason, mend string) error { return step.Input("config", where+input, reason, mend) }
	if maxAge <= 0 {
		return nil, bad("", "is not read while scan.policy.vexMaxAge is not set", "say in slipway.yaml how long an OpenVEX statement holds, such as 2160h")
	}
	doc, err := decodeVEX(data)
	if err != nil {
		return nil, bad("", "can't be read: "+err.Error(), "write an OpenVEX 0.2 document, with nothing in it that the specification does not have")
	}
	if !vexContext.MatchString(doc.Context) {
		return nil, bad(fmt.Sprintf(": @context %.80q", doc.Context), "is not OpenVEX 0.2", "write an OpenVEX 0.2 document")
	}
	if doc.Author == "" {
		return nil, bad(": author", "is missing", "name who answers for it")
	}
	vex := VEX{}
	for n, s := range doc.Statements {
		at := fmt.Sprintf(": statements[%d]", n)
		names := append([]string{s.Vulnerability.Name}, s.Vulnerability.Aliases...)
		for _, name := range names {
			switch class := classOf(name); {
			case name == "" || strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
				return nil, bad(fmt.Sprintf("%s.vulnerability.name %.80q", at, name), "is missing, or is no name", "name the CVE, GHSA or GO id")
			case class != "" && class != ClassVulnerability:
				return nil, bad(fmt.Sprintf("%s.vulnerability.name %.80q", at, name), fmt.Sprintf("is of class %s, and OpenVEX speaks of vulnerabilities only", class),
					"mend what it is about, or ask the platform's owner for an exception in slipway.yaml")
			}
		}
		if !slices.Contains(statuses, s.Status) {
			return nil, bad(fmt.Sprintf("%s.status %.80q", at, s.Status), "is not OpenVEX's", "use "+oneOf(statuses))
		}
		stamp := cmp.Or(s.Timestamp, doc.Timestamp)
		day, err := time.Parse(time.RFC3339, stamp)
		if err != nil {
			return nil, bad(fmt.Sprintf("%s.timestamp %.80q", at, stamp), "is not a time", "write it in RFC 3339, here or for the document")
		}
		if day.After(now.Add(skew)) {
			return nil, bad(fmt.Sprintf("%s.timestamp %.80q", at, stamp), "lies in the future", fmt.Sprintf("write when it was known; it holds for %s from then", maxAge))
		}
		said := vexSaid{names: names, at: day}
		if s.Status == notAffected {
			reason := strings.TrimSpace(strings.Join(slices.DeleteFunc([]string{s.Justification, s.Impact}, func(t string) bool { return t == "" }), ": "))
			if reason == "" || s.Justification != "" && !slices.Contains(justifications, s.Justification) {
				return nil, bad(fmt.Sprintf("%s.justification %.80q", at, s.Justification), "is not OpenVEX's, or there is none", fmt.Sprintf("use one of %v, or an impact_statement", justifications))
			}
			said.exception = &Exception{
				Class: ClassVulnerability, App: image.App, Reason: reason, Owner: cmp.Or(s.Supplier, doc.Author), Expires: day.UTC().Add(maxAge).Format(time.DateOnly),
			}
		}
		if len(s.Products) == 0 {
			return nil, bad(at+".products", "is empty", "name the image, such as pkg:oci/"+image.App)
		}
		for i, p := range s.Products {
			packages, ours, err := p.read(fmt.Sprintf("%s%s.products[%d]", where, at, i), image, said.exception != nil)
			if err != nil {
				return nil, err
			}
			if ours {
				said.packages = packages
				vex = append(vex, said)
			}
		}
	}
	slices.SortStableFunc(vex, func(a, b vexSaid) int {
		if c := b.at.Compare(a.at); c != 0 || (a.exception == nil) == (b.exception == nil) {
			return c
		}
		if a.exception == nil {
			return -1
		}
		return 1
	})
	return vex, nil
}

// decodeVEX decodes a document whose keys are all known, each there once.
func decodeVEX(data []byte) (*vexDocument, error) {
	var doc vexDocument
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the document")
	}
	return &doc, once(json.NewDecoder(bytes.NewReader(data)))
}

// once refuses a value in which an object has a key twice: of such two, each reader
// takes the one it likes.
func once(d *json.Decoder) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, composed := token.(json.Delim)
	keys := map[string]bool{}
	for composed && d.More() {
		if open == '{' {
			token, err := d.Token()
			if err != nil {
				return err
			}
			key := fmt.Sprint(token)
			if keys[strings.ToLower(key)] {
				return fmt.Errorf("the key %.80q is there twice", key)
			}
			keys[strings.ToLower(key)] = true
		}
		if err := once(d); err != nil {
			return err
		}
	}
	if composed {
		_, err = d.Token()
	}
	return err
}

// read says whether a product is the image, and which of its packages it is about; none
// means all.
func (p vexProduct) read(at string, image About, excepts bool) (packages []string, ours bool, err error) {
	named := "pkg:oci/" + image.App
	purl, err := p.purl(at, "name the image, such as "+named)
	if err != nil {
		return nil, false, err
	}
	if purl.Type != packageurl.TypeOCI || purl.Namespace != "" || purl.Name != image.App {
		if !excepts {
			return nil, false, nil
		}
		return nil, false, step.Input("config", fmt.Sprintf("%s %.200q", at, purl), "is not this app's image", "name it "+named)
	}
	ours = true
	for _, q := range purl.Qualifiers {
		if q.Key != "repository_url" {
			return nil, false, step.Input("config", fmt.Sprintf("%s %.200q", at, purl), fmt.Sprintf("is limited by %s, which can't be told of what is scanned", q.Key),
				fmt.Sprintf("leave it out, or name the image by its digest: %s@sha256:…", named))
		}
		ours = q.Value == image.Repository || q.Value+"/"+image.App == image.Repository
	}
	if v := purl.Version; v != "" {
		if hex, ok := strings.CutPrefix(v, "sha256:"); !ok || !sha256Pattern.MatchString(hex) {
			return nil, false, step.Input("config", fmt.Sprintf("%s %.200q", at, purl), fmt.Sprintf("has the version %.80q, which is no digest", v),
				fmt.Sprintf("name the image by its digest, %s@sha256:…, or leave the version out", named))
		}
		ours = ours && v == image.Digest
	}
	if purl.Subpath != "" {
		return nil, false, step.Input("config", fmt.Sprintf("%s %.200q", at, purl), "names a part of the image by its path", "name packages as subcomponents")
	}
	for i, s := range p.Subcomponents {
		at := fmt.Sprintf("%s.subcomponents[%d]", at, i)
		if _, err := s.purl(at, "name the package by its package URL, as the bill of materials has it"); err != nil {
			return nil, false, err
		}
		if err := validPackage(at, s.name()); err != nil {
			return nil, false, err
		}
		packages = append(packages, s.name())
	}
	return packages, ours, nil
}

func (c vexComponent) name() string { return cmp.Or(c.ID, c.Identifiers["purl"]) }

// purl is the package URL that a component is named by, and by nothing else.
func (c vexComponent) purl(at, mend string) (packageurl.PackageURL, error) {
	purl, err := packageurl.FromString(c.name())
	switch {
	case len(c.Hashes) > 0:
		return purl, step.Input("config", at+".hashes", "can't be told of what is scanned", "leave them out; "+mend)
	case len(c.Identifiers) > 1, len(c.Identifiers) == 1 && c.Identifiers["purl"] != c.name():
		return purl, step.Input("config", at+".identifiers", "are not just the package URL of the @id", "leave them out; "+mend)
	case err != nil:
		return purl, step.Input("config", fmt.Sprintf("%s %.200q", at, c.name()), "is not named by a package URL", mend).Because(err)
	}
	return purl, nil
}

// about is the exception that the newest statement about a vulnerability makes, in the
// package of this URL.
func (v VEX) about(f excusable, purl string) []Exception {
	known := v.names(f.id)
	for _, s := range v {
		inPackage := slices.IndexFunc(s.packages, func(p string) bool { return within(p, purl) })
		if s.exception == nil {
			// What is of no known package may be of any.
			if s.named(known) && (len(s.packages) == 0 || purl == "" || inPackage >= 0) {
				return nil
			}
			continue
		}
		if !s.named(map[string]bool{strings.ToLower(f.id): true}) || len(s.packages) > 0 && inPackage < 0 {
			continue
		}
		e := *s.exception
		e.ID = f.id
		if inPackage >= 0 {
			e.Package = s.packages[inPackage]
		}
		return []Exception{e}
	}
	return nil
}

// names are those that the statements give to the vulnerability of this id, in small
// letters.
func (v VEX) names(id string) map[string]bool {
	known := map[string]bool{strings.ToLower(id): true}
	for before := 0; before < len(known); {
		before = len(known)
		for _, s := range v {
			if !s.named(known) {
				continue
			}
			for _, name := range s.names {
				known[strings.ToLower(name)] = true
			}
		}
	}
	return known
}

func (s vexSaid) named(known map[string]bool) bool {
	return slices.ContainsFunc(s.names, func(name string) bool { return known[strings.ToLower(name)] })
}
