// Package advisory builds a Trivy vulnerability database (trivy-db schema 2)
// from advisories in the OSV format (https://ossf.github.io/osv-schema/).
package advisory

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aquasecurity/trivy-db/pkg/db"
	"github.com/aquasecurity/trivy-db/pkg/ecosystem"
	"github.com/aquasecurity/trivy-db/pkg/types"
	"github.com/aquasecurity/trivy-db/pkg/vulnsrc/bucket"
	"github.com/aquasecurity/trivy-db/pkg/vulnsrc/osv"
	"github.com/aquasecurity/trivy-db/pkg/vulnsrc/vulnerability"
	bolt "go.etcd.io/bbolt"
)

// Source is the source of the advisories that this module carries, a few of each
// ecosystem: enough for a demo and for tests, and its name says so in each finding.
// They are in GitHub's dialect of OSV: each file carries database_specific.severity,
// one of LOW, MODERATE, HIGH and CRITICAL. Those of Debian's packages are by source
// package and release, Debian:12.
//
// trivy-db's source for GitHub's own advisories can't be used in its place: it
// leaves golang.org/x/ to the Go database, which knows no severities, and it
// runs the go command when the program starts.
var Source = types.DataSource{
	ID:   vulnerability.GHSA,
	Name: "Slipway Demo Advisories",
	URL:  "https://github.com/advisories?query=type%3Areviewed",
}

// ecosystems are OSV's names of those that advisories may be about.
var ecosystems = []string{"Go", "npm", "PyPI", "Maven", debianSystem}

// insert stores every advisory below folder, which check has passed, in the open
// database.
func insert(folder string) error {
	sources := map[ecosystem.Type]types.DataSource{}
	for _, e := range []ecosystem.Type{ecosystem.Go, ecosystem.Npm, ecosystem.Pip, ecosystem.Maven} {
		sources[e] = Source
	}
	t := &transformer{}
	debian := osv.WithBucketResolver("debian", func(release string) (bucket.Bucket, error) { return bucket.NewDebian(release), nil })
	if err := osv.New("", Source.ID, sources, osv.WithTransformer(t), debian).Update(folder); err != nil {
		return err
	}
	return db.Config{}.BatchUpdate(t.store)
}

// transformer changes advisories on their way into the database.
type transformer struct {
	// system are those of a distribution, which the builder can't store: Trivy wants
	// the fixed version in them instead of ranges.
	system []osv.Advisory
}

// store stores the advisories of distributions.
func (t *transformer) store(tx *bolt.Tx) error {
	config := db.Config{}
	for _, a := range t.system {
		advisory := types.Advisory{VendorIDs: a.Aliases, FixedVersion: strings.Join(a.PatchedVersions, "")}
		detail := types.VulnerabilityDetail{Severity: a.Severity, References: a.References, Title: a.Title, Description: a.Description}
		if err := errors.Join(
			config.PutDataSource(tx, a.Bucket.Name(), Source),
			config.PutAdvisoryDetail(tx, a.VulnerabilityID, a.PkgName, []string{a.Bucket.Name()}, advisory),
			config.PutVulnerabilityDetail(tx, a.VulnerabilityID, Source.ID, detail),
			config.PutVulnerabilityID(tx, a.VulnerabilityID),
		); err != nil {
			return err
		}
	}
	return nil
}

// PostParseAffected leaves an advisory as it is: limits to operating systems are
// those of another database's records.
func (t *transformer) PostParseAffected(advisory osv.Advisory, _ osv.Affected) (osv.Advisory, error) {
	return advisory, nil
}

// TransformAdvisories adds the severity, drops what was withdrawn, and keeps those of
// distributions for store.
func (t *transformer) TransformAdvisories(advisories []osv.Advisory, entry osv.Entry) ([]osv.Advisory, error) {
	if entry.Withdrawn != nil {
		return nil, nil
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
	return slices.DeleteFunc(advisories, func(a osv.Advisory) bool {
		system := a.Bucket.Ecosystem() == ecosystem.Debian
		if system {
			t.system = append(t.system, a)
		}
		return system
	}), nil
}

var severities = map[string]types.Severity{
	"LOW":      types.SeverityLow,
	"MODERATE": types.SeverityMedium,
	"HIGH":     types.SeverityHigh,
	"CRITICAL": types.SeverityCritical,
}
