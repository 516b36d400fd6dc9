package drill

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"slipway/ci/rules"
	"slipway/step/result/scan"
)

func TestAttacksAreToldApart(t *testing.T) {
	names := map[string]bool{}
	for _, a := range []Attack{
		VulnerableImage, SecretInSource, StaleDatabase, ForeignDatabase, ExpiredException, InlineIgnore, VEXOfAnother, VEXEnded, VEXToCome, OtherBytes, OtherImage, ImageByTag, Unsigned, MovedTag, OtherKey,
		OtherIdentity, Grafted, OtherType, Replayed, FlippedBit, Revoked, Unapproved, HostileOverlay, StrangeImage, OldRollback, OlderRun, OtherState, TamperedPlan, DestroyingPlan, UnsignedPod, NeverRuns,
	} {
		assert.False(t, names[a.Name], a.Name)
		names[a.Name] = true
		assert.NotEmpty(t, a.Gate, a.Name)
		assert.NotEmpty(t, a.Expected.Stage, a.Name)
		assert.NotEmpty(t, a.Expected.Kind, a.Name)
		// A refusal that says anything at all would be taken for the one that is meant.
		assert.NotEmpty(t, strings.TrimSpace(strings.ReplaceAll(a.Expected.Says, "%s", "")), a.Name)
	}
	about := Grafted.Of("localhost:5000/x@sha256:ab")
	assert.Equal(t, "scan verdict of localhost:5000/x@sha256:ab is missing", about.Expected.Says)
	assert.Equal(t, "scan verdict of %s is missing", Grafted.Expected.Says, "the attack itself stays")
	assert.Contains(t, OtherIdentity.Expected.Says, Rightful)
}

func TestMakeTellsInOrderAndMakesAFewAtOnce(t *testing.T) {
	var running, ended atomic.Int32
	var early atomic.Bool
	held := make(chan struct{})
	var attempts []func() Result
	for n := range int32(3 * AtOnce) {
		attempts = append(attempts, func() Result {
			defer ended.Add(1)
			switch {
			case n >= AtOnce && ended.Load() < n-AtOnce+1:
				early.Store(true)
			case n < AtOnce:
				// The first ones wait until as many run as may.
				if running.Add(1) == AtOnce {
					close(held)
				}
				<-held
			}
			return Result{Attack: fmt.Sprint(n)}
		})
	}
	table := Make(attempts)
	assert.Len(t, table, 3*AtOnce)
	for n, row := range table {
		assert.Equal(t, fmt.Sprint(n), row.Attack)
	}
	assert.False(t, early.Load(), "one begins when another has ended")
}

func TestTheSecretIsFoundByItsForm(t *testing.T) {
	name, text := Secret()
	assert.Equal(t, "apps/slipway-drill/deploy.env", name)
	assert.Regexp(t, `^GITHUB_TOKEN=ghp_[a-zA-Z0-9]{36}\n$`, text)
}

// The documents are judged here as the drill has them judged, but for the scanner.
func TestOpenVEXOfTheDrill(t *testing.T) {
	const digest = "sha256:aa"
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	strict := rules.Policy{Threshold: scan.High, Unfixed: rules.ActionReport, Unknown: rules.ActionRefuse, Database: rules.Database{MaxAge: time.Hour, Trust: rules.Unsigned}}
	judge := func(statements ...string) error {
		name, text := VEX(statements...)
		assert.Equal(t, "apps/slipway-drill-vulnerable/openvex.json", name)
		vex, err := rules.ParseVEX(name, rules.About{App: VulnerableApp, Digest: digest}, []byte(text), time.Hour, now)
		if err != nil {
			return err
		}
		_, err = strict.Evaluate(rules.Scanned{App: VulnerableApp, Digest: digest, VEX: vex, Now: now, Findings: scan.Findings{
			Digest: digest, Database: scan.Database{Digest: "sha256:db", UpdatedAt: now}, Images: []scan.Image{{Executables: 1}}, Scanned: []scan.Scanned{{}},
			Vulnerabilities: []scan.Vulnerability{{ID: Vulnerability, Severity: scan.High, Fixed: "0.3.8", PURLs: []string{VulnerablePackage}}},
		}})
		return err
	}
	control := judge(NotAffected(now, VulnerablePackage))
	for _, row := range []Result{
		VEXOfAnother.Judge(control, func() error { return judge(NotAffected(now, "pkg:golang/example.com/other")) }),
		VEXEnded.Judge(control, func() error { return judge(NotAffected(now.Add(-time.Second), VulnerablePackage), Affected(now)) }),
		VEXToCome.Judge(control, func() error { return judge(NotAffected(now.AddDate(1, 0, 0), VulnerablePackage)) }),
	} {
		assert.Equal(t, Stopped, row.Verdict, "%+v", row)
	}
}

func TestTheInlineIgnoreIsInABase(t *testing.T) {
	files, err := Files("dev", "localhost:5000/drill")
	assert.NoError(t, err)
	assert.Contains(t, files, IgnoringFile)
}
