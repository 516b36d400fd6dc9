package sbom

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"

	"github.com/aquasecurity/trivy/pkg/licensing/expression"
)

// textPrefix marks a licence that Trivy knows only the text of.
const textPrefix = "text://"

// license is one of the licences that a package is under, all of them at once.
type license struct {
	// name is what Trivy calls it, and text its text; one of them is empty.
	name, text string
	// expression is the licence as an SPDX licence expression (SPDX 2.3, annex
	// D); empty when a part of it is not on SPDX's list.
	expression string
	// id says whether the expression is one identifier that CycloneDX's schema
	// lists.
	id bool
}

func readLicense(text string) license {
	if rest, ok := strings.CutPrefix(text, textPrefix); ok {
		return license{text: rest}
	}
	l := license{name: line(text)}
	parsed, err := expression.Normalize(text, expression.NormalizeForSPDX)
	if err != nil || !parsed.IsSPDXExpression() {
		return l
	}
	l.expression = parsed.String()
	l.id = identifiers()[l.expression]
	return l
}

// operand is the expression as a part of a larger one.
func (l license) operand() string {
	if strings.Contains(l.expression, " ") {
		return "(" + l.expression + ")"
	}
	return l.expression
}

// reference is the identifier that an SPDX document gives a licence which is
// not on SPDX's list.
func (l license) reference() string {
	sum := sha256.Sum256([]byte(l.name + "\n" + l.text))
	return "LicenseRef-" + hex.EncodeToString(sum[:8])
}

// The licence identifiers of CycloneDX 1.6 are a schema of their own. One that
// is newer would make a document invalid.
//
//go:embed schema/spdx.schema.json
var identifierSchema []byte

var identifiers = sync.OnceValue(func() map[string]bool {
	var schema struct {
		Enum []string `json:"enum"`
	}
	if err := json.Unmarshal(identifierSchema, &schema); err != nil {
		panic(err) // it is part of the program
	}
	known := map[string]bool{}
	for _, id := range schema.Enum {
		known[id] = true
	}
	return known
})
