package render

import (
	"cmp"
	"time"

	"slipway/ci/rules"
)

// Rescans is what a rescan says of each app, for people.
func Rescans(all []*rules.AppRescan) string {
	table := [][]string{{"APP", "DIGEST", "VERDICT", "SINCE", "ADVISORIES OF"}}
	for _, row := range all {
		verdict, since, taken := "-", "-", "-"
		if row.Rescanned != nil {
			verdict, taken = "passes", row.DatabaseUpdatedAt.UTC().Format(time.RFC3339)
			if !row.Passed {
				verdict, since = "fell out of policy", row.Since.UTC().Format(time.RFC3339)
			}
			if row.Revoked != nil {
				verdict += ", and is revoked"
			}
			if row.Overlay != "" {
				verdict += " (its overlay would be refused)"
			}
			if row.Elsewhere() {
				verdict += " (another digest runs)"
			}
		}
		table = append(table, []string{row.App, cmp.Or(Short(row.Digest), "never released"), verdict, since, taken})
	}
	var found []string
	for _, row := range all {
		if row.Rescanned == nil {
			continue
		}
		for _, line := range row.Refusals() {
			found = append(found, row.App+": "+line)
		}
		for _, v := range row.Unfixed {
			found = append(found, row.App+": left: "+v.Line())
		}
	}
	return Table(table...) + Lines("", found...)
}
