package render

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"slipway/ci/rules"
)

func TestDeliveriesAreATable(t *testing.T) {
	assert.Equal(t, "no app has changed\n", Deliveries(nil))
	text := Deliveries([]rules.Delivery{
		{App: "hello", Image: "localhost:5000/hello@sha256:ab", Commit: "c0ffee", Created: true},
		{App: "pages", Image: "localhost:5000/pages@sha256:cd", Commit: "decade"},
		{App: "legacy", Refusal: "scan: refused by policy: app legacy\x1b[2J\n##vso[x]"},
	})
	assert.Regexp(t, `(?m)^hello +released +localhost:5000/hello@sha256:ab +c0ffee$`, text)
	assert.Regexp(t, `(?m)^pages +was released +localhost:5000/pages@sha256:cd +decade$`, text)
	assert.Regexp(t, `(?m)^legacy +refused +- +-$`, text)
	assert.Contains(t, text, "legacy: scan: refused by policy: app legacy")
	assert.NotContains(t, text, "\x1b")
}
