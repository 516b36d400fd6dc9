package render

import (
	"cmp"
	"fmt"

	"slipway/ci/rules"
)

// Judgement is what every rule says about an image, for people. decidedAt is empty for
// one that was decided now.
func Judgement(j rules.Judgement, decidedAt string) string {
	rows := [][]string{{"RULE", "VERDICT", "REASON", "MEND"}}
	for _, o := range j.Outcomes {
		rows = append(rows, []string{string(o.Rule), string(o.Verdict), o.Reason, cmp.Or(o.Mend, "-")})
	}
	fit := "is fit for"
	if j.Refusal("") != nil {
		fit = "is not fit for"
	}
	how := "decided now"
	if decidedAt != "" {
		how = "decided at " + decidedAt + "; nothing has changed since"
	}
	return Table(rows...) + Lines("", fmt.Sprintf("%s %s %s (%s)", j.Reference, fit, j.Environment, how))
}
