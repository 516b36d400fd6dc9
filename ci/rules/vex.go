package rules

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/step"
)

// VEXFile is an app's OpenVEX document, in its folder.
const VEXFile = "openvex.json"

// vexContext begins the @context of every version of OpenVEX that is read.
const vexContext = "https://openvex.dev/ns/v0.2."

// justifications of not_affected (OpenVEX specification 0.2.0).
var justifications = []string{
	"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
	"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
}

type vexDocument struct {
	Context    string         `json:"@context"`
	ID         string         `json:"@id"`
	Author     string         `json:"author"`
	Timestamp  string         `json:"timestamp"`
	Statements []vexStatement `json:"statements"`
}

type vexStatement struct {
	Vulnerability struct {
		Name    string   `json:"name"`
		Aliases []string `json:"aliases"`
	} `json:"vulnerability"`
	Products []struct {
		ID string `json:"@id"`
	} `json:"products"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
	Impact        string `json:"impact_statement"`
	Timestamp     string `json:"timestamp"`
	Supplier      string `json:"supplier"`
}

// ParseVEX reads an app's OpenVEX document (0.2.0) as exceptions: one for each name
// of a vulnerability that the app's image is said to be not affected by. OpenVEX
// knows no end, so each holds for maxAge from its statement's day. where names the
// document in faults.
//
// Other statuses make no exception: what is affected, under investigation or fixed
// is the scanner's to say. A statement about another product, or one without a
// justification, is a fault.
func ParseVEX(where, app string, data []byte, maxAge time.Duration) ([]Exception, error) {
	bad := func(input, reason, mend string) error { return step.Input("config", where+input, reason, mend) }
	if maxAge <= 0 {
		return nil, bad("", "is not read while scan.policy.vexMaxAge is not set", "say in slipway.yaml how long an OpenVEX statement holds, such as 2160h")
	}
	var doc vexDocument
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, bad("", "is not JSON: "+err.Error(), "write an OpenVEX 0.2 document")
	}
	if !strings.HasPrefix(doc.Context, vexContext) {
		return nil, bad(fmt.Sprintf(": @context %q", doc.Context), "is not OpenVEX 0.2", "write an OpenVEX 0.2 document")
	}
	if doc.Author == "" {
		return nil, bad(": author", "is missing", "name who answers for it")
	}
	exceptions := []Exception{}
	for n, s := range doc.Statements {
		at := fmt.Sprintf(": statements[%d]", n)
		if s.Vulnerability.Name == "" {
			return nil, bad(at+".vulnerability.name", "is missing", "name the CVE, GHSA or GO id")
		}
		if s.Status != "not_affected" {
			if !slices.Contains([]string{"affected", "fixed", "under_investigation"}, s.Status) {
				return nil, bad(fmt.Sprintf("%s.status %q", at, s.Status), "is not OpenVEX's", "use not_affected, affected, fixed or under_investigation")
			}
			continue
		}
		if len(s.Products) == 0 {
			return nil, bad(at+".products", "is empty", "name the image, such as pkg:oci/"+app)
		}
		for _, p := range s.Products {
			if ociName(p.ID) != app {
				return nil, bad(fmt.Sprintf("%s.products %q", at, p.ID), "is not this app's image", "name it pkg:oci/"+app)
			}
		}
		reason := strings.TrimSpace(strings.Join(slices.DeleteFunc([]string{s.Justification, s.Impact}, func(t string) bool { return t == "" }), ": "))
		if reason == "" || s.Justification != "" && !slices.Contains(justifications, s.Justification) {
			return nil, bad(fmt.Sprintf("%s.justification %q", at, s.Justification), "is not OpenVEX's, or there is none", fmt.Sprintf("use one of %v, or an impact_statement", justifications))
		}
		stamp := cmp.Or(s.Timestamp, doc.Timestamp)
		day, err := time.Parse(time.RFC3339, stamp)
		if err != nil {
			return nil, bad(fmt.Sprintf("%s.timestamp %q", at, stamp), "is not a time", "write it in RFC 3339, here or for the document")
		}
		for _, id := range append([]string{s.Vulnerability.Name}, s.Vulnerability.Aliases...) {
			exceptions = append(exceptions, Exception{
				ID: id, App: app, Reason: reason, Owner: cmp.Or(s.Supplier, doc.Author), Expires: day.UTC().Add(maxAge).Format(time.DateOnly),
			})
		}
	}
	return exceptions, nil
}

// ociName is the name in the package URL of an OCI image, or empty.
func ociName(purl string) string {
	rest, ok := strings.CutPrefix(purl, "pkg:oci/")
	if !ok {
		return ""
	}
	end := strings.IndexAny(rest, "@?#")
	if end < 0 {
		end = len(rest)
	}
	return rest[:end]
}
