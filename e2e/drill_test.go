//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// drillRow is a row of a drill's table.
type drillRow struct{ Gate, Attack, Control, Observed, StoppedAt, Verdict string }

// imageAttacks and planAttacks are those that need no cluster; the latter have those of
// another environment's runner, too.
var (
	imageAttacks = []string{
		"test: test that looks for a way out", "test: test that starts processes without end", "test: test that nobody wrote", "test: code that a generator would run",
		"build: RUN with the host's network", "build: RUN that asks for a host that is not allowed", "build: RUN with all capabilities", "build: RUN with the pipeline's own cache", "build: RUN that looks for a way out",
		"build: RUN that starts processes without end",
		"scan: vulnerable image", "scan: secret in the source", "scan: stale database", "scan: newer database that nobody signed", "scan: expired exception", "scan: inline ignore in another order",
		"scan: OpenVEX statement about another package", "scan: OpenVEX statement that a newer one ends", "scan: OpenVEX statement of the future",
		"publish: other bytes under the scanned digest", "publish: another image under a scan that passed",
		"sign: image named by tag",
		"verify: unsigned image", "verify: tag moved between scan and sign", "verify: signed by another key", "verify: signed with another environment's key", "verify: signed by another identity",
		"verify: attestations of another image", "verify: scan under another predicate type", "verify: old release replayed",
		"verify: flipped bit in a manifest", "verify: revoked image", "verify: approved by another key",
		"release: privileged sidecar in the overlay at the remote", "release: init container that nobody has verified", "release: rollback of a release that runs no more", "release: older run after a newer release",
	}
	planAttacks = []string{
		"plan: data source that sends the state's credentials", "apply: tampered plan", "check: plan with a destroy",
		"release: push to another environment's overlay with this one's account", "plan: another environment's state with this one's account",
	}
	clusterAttacks = []string{"admission: pod of an image that nobody signed", "wait: release that does not come to run"}
)

// byVerdict are the attacks of a drill's table, by what became of them.
func byVerdict(t *testing.T, text string) map[string][]string {
	t.Helper()
	var rows []drillRow
	require.NoError(t, json.Unmarshal([]byte(text), &rows), text)
	found := map[string][]string{}
	for _, r := range rows {
		found[r.Verdict] = append(found[r.Verdict], r.Gate+": "+r.Attack)
		if r.Verdict == "stopped" {
			assert.Equal(t, "passed", r.Control, r.Attack)
			assert.NotEmpty(t, r.StoppedAt, r.Attack)
			assert.NotEmpty(t, r.Observed, r.Attack)
		}
	}
	return found
}

func TestEvidenceDrillStopsEveryAttackAtItsGate(t *testing.T) {
	p := shared
	before := git(t, p.remote(t), "rev-parse", "HEAD")
	out, err := p.call(p.repo, append(p.options(), p.terraform(t)...), "drill", "--env", "dev", "json")
	require.NoError(t, err)
	found := byVerdict(t, out)
	assert.Equal(t, append(append([]string{}, imageAttacks...), planAttacks...), found["stopped"])
	assert.Equal(t, clusterAttacks, found["not tried"])
	assert.Len(t, found, 2)

	assert.Equal(t, before, git(t, p.remote(t), "rev-parse", "HEAD"), "a drill leaves the platform's own GitOps repository alone")
	assert.False(t, p.pushed(t, "drill/slipway-drill"), "and its registry")
	assert.False(t, p.pushed(t, "slipway-drill"))
}

// A policy that lets the attack pass, and one that refuses what has nothing wrong.
func TestEvidenceDrillFindsAGateThatDoesNotHold(t *testing.T) {
	t.Parallel()
	p := shared
	text := read(t, p.repo+"/slipway.yaml")
	for name, c := range map[string]struct {
		line, changed string
		wanted        []string
	}{
		"open":   {"threshold: HIGH", "threshold: CRITICAL", []string{"scan (vulnerable image: let through)"}},
		"closed": {"maxAge: 48h", "maxAge: 1s", []string{"scan (vulnerable image: control refused)", "sign (none: control refused)"}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, text, c.line)
			dir := source(t, map[string]string{"slipway.yaml": strings.Replace(text, c.line, c.changed, 1)})
			_, err := p.call(dir, p.options(), "drill", "--env", "dev", "text")
			refused(t, err, append(c.wanted, "drill: refused by policy: gates: do not hold")...)
		})
	}
}
