package render

import (
	"cmp"
	"fmt"
	"time"

	"slipway/ci/rules"
)

// Status is where an app stands in one environment.
type Status struct {
	Environment string `json:"environment"`
	// Digest, Commit, Author and At are the last release's, from Git; empty when
	// there was none.
	Digest string `json:"digest"`
	Commit string `json:"commit"`
	Author string `json:"author"`
	At     string `json:"at"`
	// Sync and Health are Argo CD's; empty without a cluster. Running says
	// whether the last release's digest is what runs.
	Sync    string `json:"sync"`
	Health  string `json:"health"`
	Running bool   `json:"running"`
	// Scanned is when the vulnerability database that decided was made; empty
	// when no scan is attested.
	Scanned string `json:"scanned"`
	// Revoked is the revocation of the digest for the environment, if there is one.
	Revoked *rules.Revocation `json:"revoked,omitempty"`
	// Approved says who has approved the digest for the environment, a line each.
	Approved []string `json:"approved,omitempty"`
}

// Statuses is where an app stands in each environment, for people. The age of a scan is
// that of now.
func Statuses(all []Status, now time.Time) string {
	var more []string
	table := [][]string{{"ENVIRONMENT", "DIGEST", "COMMIT", "WHO", "WHEN", "SYNCED", "HEALTHY", "SCAN"}}
	for _, r := range all {
		health := cmp.Or(r.Health, "-")
		if r.Digest != "" && r.Health != "" && !r.Running {
			health += " (another digest runs)"
		}
		scan := "-"
		if at, err := time.Parse(time.RFC3339, r.Scanned); err == nil {
			scan = fmt.Sprintf("%s old", now.Sub(at).Round(time.Minute))
		}
		digest := cmp.Or(Short(r.Digest), "never released")
		if r.Revoked != nil {
			digest += " (revoked)"
			more = append(more, r.Environment+": "+r.Digest+" "+r.Revoked.String())
		}
		for _, approved := range r.Approved {
			more = append(more, r.Environment+": "+approved)
		}
		table = append(table, []string{r.Environment, digest,
			fmt.Sprintf("%.12s", cmp.Or(r.Commit, "-")), cmp.Or(r.Author, "-"), cmp.Or(r.At, "-"), cmp.Or(r.Sync, "-"), health, scan})
	}
	return Table(table...) + Lines("", more...)
}

// Short is a digest as people compare it.
func Short(digest string) string {
	return digest[:min(len(digest), len("sha256:")+12)]
}
