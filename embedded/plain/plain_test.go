package plain_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/embedded/plain"
	"slipway/step/steptest"
)

// recorded is what a CLI of v0.21.7 has printed of a delivery whose programs were
// missing, without the lines that no test needs.
func recorded(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("testdata/deliver.txt")
	require.NoError(t, err)
	return string(data)
}

// clock is moved by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

var age = regexp.MustCompile(` for [0-9hms]+`)

// story is what was said to be under way, each thing once it changed, without its age.
func story(t *testing.T, text string) []string {
	t.Helper()
	s := plain.New(time.Now)
	var told []string
	last := ""
	for line := range strings.Lines(text) {
		_, err := s.Write([]byte(line))
		require.NoError(t, err)
		if now := age.ReplaceAllString(s.Now(), ""); now != last {
			last = now
			told = append(told, now)
		}
	}
	return told
}

func TestARecordedDelivery(t *testing.T) {
	assert.Equal(t, []string{
		"in Build.committed",
		"in Build.committed, in Build.goApp",
		"in Build.committed, in Scan.databaseDigest",
		"in Scan.databaseDigest, in Terraform.root",
		"in Scan.databaseDigest, in BuildGoApp.binaries",
		"compiling modules/build/box, in Scan.databaseDigest",
		"compiling modules/build/step, in Scan.databaseDigest",
		"compiling modules/scan/step, in Scan.databaseDigest",
		"in Scan.databaseDigest, in BuildGoApp.binaries",
		"in BuildGoApp.binaries",
		"in BuildGoApp.binaries, in Scan.database",
		"compiling modules/infra/step, in BuildGoApp.binaries",
		"in BuildGoApp.binaries, in Scan.database",
		"in Scan.database, in TerraformRoot.files",
		"in Scan.database, in BuildGoApp.binaries",
		"in Scan.database",
		"in Scan.database, in Build.assemble",
		"compiling trivy, in Scan.database",
		"in Scan.database",
		"",
		"in TerraformRoot.check",
		"in TerraformRoot.check, in Scan.report",
		"in Scan.report",
		"",
	}, story(t, recorded(t)))
}

func TestHowLongItTakes(t *testing.T) {
	text := recorded(t)
	const mark = "verified 378 modules"
	at := strings.Index(text, mark)
	require.Positive(t, at)
	database := strings.Index(text, "database\x1b[0m(")
	require.Positive(t, database)

	c := &clock{at: time.Date(2026, 11, 28, 21, 55, 0, 0, time.UTC)}
	s := plain.New(c.now)
	write := func(text string) {
		// As a pipe gives it: in any pieces.
		for piece := range strings.SplitAfterSeq(text, "e") {
			_, err := s.Write([]byte(piece))
			require.NoError(t, err)
		}
	}
	write(text[:database])
	assert.Equal(t, "in BuildGoApp.binaries for 0s", s.Now())
	write(text[database:at])
	c.pass(18 * time.Second)
	assert.Equal(t, "in Scan.database for 18s, in Build.assemble for 18s", s.Now())
	write(text[at:][:len(mark)])
	assert.Equal(t, "in Scan.database for 18s, in Build.assemble for 18s", s.Now(), "a line counts when it has ended")
	write("\n")
	c.pass(6*time.Minute + 52*time.Second)
	assert.Equal(t, "compiling trivy for 6m52s, in Scan.database for 7m10s", s.Now())
}

// plainly are lines of the toolbox at work: of a step, a tool, several packages, and
// itself.
func plainly(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

func TestWhatIsCompiled(t *testing.T) {
	head := []string{"1   : Sandbox.nodeImage: Container!", "2   : ┆ Sandbox.kubernetes: Directory!", "3   : ┆ ┆ Toolbox.binaries("}
	chain := []string{"4   : ┆ ┆ withExec /verify go.sum /go/pkg/mod", "4   : ┆ ┆ Container.withExec DONE [0.0s]"}
	checked := []string{"3   : ┆ Toolbox.binaries(", "4   : ┆ ┆ Container.withExec DONE [3.0s]", "4   : ┆ ┆ [3.1s] | verified 12 modules"}
	all := func(build string, more ...string) string {
		lines := append(append(append([]string{}, head...), chain...), build, "5   : ┆ ┆ Container.withExec DONE [0.0s]")
		return plainly(append(append(lines, checked...), more...)...)
	}
	const build = "5   : ┆ ┆ withExec go build -trimpath '-ldflags=-s -w' -o /out/ k8s.io/kubernetes/cmd/kubelet k8s.io/kubernetes/cmd/kube-apiserver"
	for name, tc := range map[string]struct{ text, wanted string }{
		"packages":             {all(build), "compiling kubelet, kube-apiserver, in Sandbox.kubernetes"},
		"a package of no name": {all("5   : ┆ ┆ withExec go build -o /out/step ."), "compiling a program, in Sandbox.kubernetes"},
		"nothing after it":     {all("5   : ┆ ┆ withExec /step build --out /out"), "in Sandbox.kubernetes"},
		"found in the cache": {plainly(append(append(append([]string{}, head...), chain...), build, "5   : ┆ ┆ Container.withExec CACHED [0.0s]")...),
			"in Sandbox.kubernetes"},
		"it runs":             {all(build, "2   : ┆ Sandbox.kubernetes: Directory!", "6   : ┆ ┆ withExec /kubelet --version", "6   : ┆ ┆ [0.1s] | Kubernetes"), "in Sandbox.kubernetes"},
		"something else ran":  {all(build, "7   : ┆ Sandbox.etcd: File!", "8   : ┆ ┆ withExec /step unpack", "8   : ┆ ┆ [0.1s] | unpacked"), "compiling kubelet, kube-apiserver, in Sandbox.kubernetes"},
		"nobody waits":        {all(build, "3   : ┆ ┆ Toolbox.binaries DONE [9.0s]", "2   : ┆ Sandbox.kubernetes DONE [9.9s]"), ""},
		"a call of a stage's": {plainly("1   : Slipway.deliver(", "2   : ┆ Scan.config(", "3   : ┆ ┆ Sign.verify("), "in Scan.config"},
		"an argument's call is not the call": {plainly(
			"1   : Slipway.deliver(app: \"hello\"): SlipwayReceipt!", "2   : ┆ Scan.config(", "3   : ┆ ┆ Toolbox.runner(", "3   : ┆ ┆ ┆ program: Toolbox.step(",
			"3   : ┆ ┆ ┆ ┆ folder: \"modules/scan/step\"", "4   : ┆ ┆ withExec /verify go.sum /go/pkg/mod", "5   : ┆ ┆ withExec go build -o /out/program ./cmd/other",
			"3   : ┆ Toolbox.runner(", "4   : ┆ ┆ [1s] | verified 1 modules"), "compiling other, in Scan.config"},
	} {
		told := story(t, tc.text)
		require.NotEmpty(t, told, name)
		assert.Equal(t, tc.wanted, told[len(told)-1], name)
	}
}

// TestHostile: what is said goes to a terminal, and the output has whatever an app or a
// server made up.
func TestHostile(t *testing.T) {
	for _, text := range append(steptest.Hostile(), strings.Repeat("x", 100_000), "┆ ┆ ┆", "99999999999999999999999: ┆ A.b") {
		steptest.Printable(t, strings.Join(story(t, plainly(
			"1   : Slipway.deliver(", "2   : ┆ A."+text+"(", "3   : ┆ ┆ Toolbox.binary(", "3   : ┆ ┆ ┆ pkg: \""+text+"\"", "4   : ┆ ┆ withExec /verify "+text,
			text, "5   : ┆ ┆ withExec go build -o /out/program "+text, "3   : ┆ Toolbox.binary(", "4   : ┆ ┆ [1s] | verified 1 modules", "2   : ┆ ┆ ┆ ┆ ┆ "+text,
		)), "\n"))
	}
}

func FuzzSteps(f *testing.F) {
	data, err := os.ReadFile("testdata/deliver.txt")
	require.NoError(f, err)
	f.Add(string(data[:6000]))
	f.Add("1   : A.b(\n2   : ┆ C.d\n3: ┆ ┆ withExec /verify x\n4 : ┆ ┆ withExec go build -o /out/x y\n3 : ┆ ┆ [1s] | verified 2 modules\n")
	f.Add("0:\n0: [1s] | \n-1 : x\n1   : ┆ ┆ ┆ A.b\n")
	f.Fuzz(func(t *testing.T, text string) {
		whole := plain.New(func() time.Time { return time.Time{} })
		_, err := whole.Write([]byte(text))
		require.NoError(t, err)
		steptest.Printable(t, whole.Now())
		pieces := plain.New(func() time.Time { return time.Time{} })
		for _, b := range []byte(text) {
			_, err := pieces.Write([]byte{b})
			require.NoError(t, err)
		}
		assert.Equal(t, whole.Now(), pieces.Now(), "in whatever pieces it comes")
	})
}
