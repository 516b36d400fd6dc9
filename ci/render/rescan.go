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
		if row.Revoked != nil {
			found = append(found, row.App+": "+row.Revoked.String())
		}
		for _, v := range row.Refused {
			found = append(found, row.App+": "+v.Line())
		}
		for _, v := range row.Unfixed {
			found = append(found, row.App+": left: "+v.Line())
		}
	}
	return Table(table...) + Lines("", found...)
}
