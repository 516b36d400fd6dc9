package rules

import (
	"encoding/json"
	"time"

	"slipway/ci/evidence"
)

// box holds a build, and its tests where there are any, to have been in the box: one
// statement about each says what it was held to, and the build had no network where the
// rule wants none.
func (in Evidence) box(rule Rule) (finding, time.Time) {
	if missing := in.testedOutside(); missing != "" {
		return finding{missing, rebuild}, time.Time{}
	}
	refused := finding{"no provenance of build type " + evidence.BuildType + " is attested", rebuild}
	for _, p := range in.provenances() {
		box := p.BuildDefinition.InternalParameters.Box
		if missing := box.Incomplete(); missing != "" {
			refused = finding{"its provenance " + missing, rebuild}
			continue
		}
		if rule.Network == NetworkNone && len(box.Network) > 0 {
			refused = finding{"it was built " + box.Said(),
				"take build.network out of its app.yaml, have what it needs fetched by a lock file or by ADD with a checksum, and deliver it again"}
			continue
		}
		return finding{reason: "built in the box, " + box.Said()}, time.Time{}
	}
	return refused, time.Time{}
}

// testedOutside says why none of the test results was made in the box; empty where one
// was, and where there are none.
func (in Evidence) testedOutside() (why string) {
	for _, s := range evidence.OfType(in.Statements, evidence.TestResultType) {
		var r evidence.TestResult
		if json.Unmarshal(s.Predicate, &r) != nil {
			why = "its test result can't be read"
			continue
		}
		missing := r.Box.Incomplete()
		if missing == "" && in.builtFrom(r.Configuration) {
			return ""
		}
		if missing == "" {
			missing = "is one of another source"
		}
		why = "its test result " + missing
	}
	return why
}
