package release

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"slipway/step/printable"
	"slipway/step/steptest"
)

// A trailer that is there twice says nothing, whichever of them is first.
func TestATrailerTwiceSaysNothing(t *testing.T) {
	r := request(sum(1))
	r.Evidence = sum(2)
	message := r.Message()
	said := readMessage(message)
	assert.Equal(t, []string{sum(1), sum(2), r.SourceRevision}, []string{said.digest, said.evidence, said.revision})
	for trailer, lost := range map[string]func() string{
		trailerDigest + ": " + sum(9):   func() string { return said.digest },
		trailerDigest + ": " + sum(1):   func() string { return said.digest },
		trailerEvidence + ": " + sum(9): func() string { return said.evidence },
		trailerEvidence + ": none":      func() string { return said.evidence },
		trailerRevision + ": ffff":      func() string { return said.revision },
	} {
		last := strings.LastIndex(message, "\n\n") + 2
		for _, doctored := range []string{message + trailer + "\n", message[:last] + trailer + "\n" + message[last:]} {
			said = readMessage(doctored)
			assert.Empty(t, lost(), trailer)
		}
	}
}

// TestHistoryOfHostileCommits: what anybody may write into a commit is one line that
// is safe to show.
func TestHistoryOfHostileCommits(t *testing.T) {
	for _, text := range steptest.Hostile() {
		steptest.OneLine(t, printable.Line(readMessage(text).subject))
	}
}
