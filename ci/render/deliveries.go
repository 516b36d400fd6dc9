package render

import (
	"cmp"

	"slipway/ci/rules"
)

// Deliveries is the table of what became of several apps.
func Deliveries(all []rules.Delivery) string {
	if len(all) == 0 {
		return "no app has changed\n"
	}
	table := [][]string{{"APP", "DELIVERY", "IMAGE", "GITOPS COMMIT"}}
	var refused []string
	for _, d := range all {
		said := Either(d.Created, "released", "was released")
		if d.Refusal != "" {
			said = "refused"
			refused = append(refused, d.App+": "+d.Refusal)
		}
		table = append(table, []string{d.App, said, cmp.Or(d.Image, "-"), cmp.Or(d.Commit, "-")})
	}
	return Table(table...) + Lines("", refused...)
}
