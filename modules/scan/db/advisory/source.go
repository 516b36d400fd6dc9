// Package advisory builds a Trivy vulnerability database (trivy-db schema 2)
// from advisories in the OSV format (https://ossf.github.io/osv-schema/).
package advisory

import (
	"encoding/json"
	"fmt"

	"github.com/aquasecurity/trivy-db/pkg/ecosystem"
	"github.com/aquasecurity/trivy-db/pkg/types"
	"github.com/aquasecurity/trivy-db/pkg/vulnsrc/osv"
	"github.com/aquasecurity/trivy-db/pkg/vulnsrc/vulnerability"
)

// Own is the source of reviewed advisories in GitHub's dialect of OSV: each
// file carries database_specific.severity, one of LOW, MODERATE, HIGH and
// CRITICAL.
//
// trivy-db's source for GitHub's own advisories can't be used in its place: it
// leaves golang.org/x/ to the Go database, which knows no severities, and it
// runs the go command when the program starts.
var Own = source{
	id: vulnerability.GHSA,
	data: types.DataSource{
		ID:   vulnerability.GHSA,
		Name: "Slipway Advisories",
		URL:  "https://github.com/advisories?query=type%3Areviewed+ecosystem%3Ago",
	},
	graded: true,
}

// GoVulnDB is the Go vulnerability database: no severities, so Trivy reports
// UNKNOWN for what no other source grades. Unlike trivy-db's source of the same
// name it keeps modules outside golang.org/x/ too.
var GoVulnDB = source{
	id: vulnerability.GoVulnDB,
	data: types.DataSource{
		ID:   vulnerability.GoVulnDB,
		Name: "The Go Vulnerability Database",
		URL:  "https://pkg.go.dev/vuln/",
	},
}

type source struct {
	id     types.SourceID
	data   types.DataSource
	graded bool
}

// insert stores every advisory below folder in the open database.
func (s source) insert(folder string) error {
	sources := map[ecosystem.Type]types.DataSource{ecosystem.Go: s.data}
	return osv.New("", s.id, sources, osv.WithTransformer(s)).Update(folder)
}

// PostParseAffected limits an advisory to operating systems and architectures
// only where every affected package is limited: one that is not affects all.
func (s source) PostParseAffected(advisory osv.Advisory, affected osv.Affected) (osv.Advisory, error) {
	var systems, architectures []string
	everySystem, everyArchitecture := len(affected.EcosystemSpecific.Imports) == 0, len(affected.EcosystemSpecific.Imports) == 0
	for _, i := range affected.EcosystemSpecific.Imports {
		everySystem = everySystem || len(i.GOOS) == 0
		everyArchitecture = everyArchitecture || len(i.GOARCH) == 0
		systems = append(systems, i.GOOS...)
		architectures = append(architectures, i.GOARCH...)
	}
	if !everySystem {
		advisory.OSes = unique(systems)
	}
	if !everyArchitecture {
		advisory.Arches = unique(architectures)
	}
	return advisory, nil
}

// TransformAdvisories adds the severity, and drops what was withdrawn.
func (s source) TransformAdvisories(advisories []osv.Advisory, entry osv.Entry) ([]osv.Advisory, error) {
	if entry.Withdrawn != nil {
		return nil, nil
	}
	if !s.graded {
		return advisories, nil
	}
	var specific struct {
		Severity string `json:"severity"`
	}
	if err := json.Unmarshal(entry.DatabaseSpecific, &specific); err != nil {
		return nil, fmt.Errorf("%s: database_specific: %w", entry.ID, err)
	}
	severity, ok := severities[specific.Severity]
	if !ok {
		return nil, fmt.Errorf("%s: severity %q is none of LOW, MODERATE, HIGH and CRITICAL", entry.ID, specific.Severity)
	}
	for i := range advisories {
		advisories[i].Severity = severity
	}
	return advisories, nil
}

var severities = map[string]types.Severity{
	"LOW":      types.SeverityLow,
	"MODERATE": types.SeverityMedium,
	"HIGH":     types.SeverityHigh,
	"CRITICAL": types.SeverityCritical,
}

func unique(values []string) []string {
	var out []string
	seen := map[string]bool{}
	for _, v := range values {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}
