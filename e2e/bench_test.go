//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/embedded"
	"slipway/engine"
)

// The benchmarks measure and report; no figure passes or fails. What is checked
// is that the measured work was really done. Each makes what it needs, in the sandbox
// that ends with the run. Run all of them, or one, with
//
//	go tool task bench
//	go test -tags=e2e -run='^$' -bench=Verify -benchtime=5x ./e2e
//
// A wholly cold set-up compiles the engine and Trivy and would make every other
// figure wait for it: it is measured by hand, on a machine with nothing in its
// cache folder, as XDG_CACHE_HOME=/an/empty/folder go tool task demo, which says
// how long each part took.

// watch has the seconds that pieces of work took, by name, in the order of their runs.
type watch map[string][]float64

func (w watch) time(name string, work func()) {
	began := time.Now()
	work()
	w[name] = append(w[name], time.Since(began).Seconds())
}

// report gives each piece's median in seconds, in place of the mean of them all.
func (w watch) report(b *testing.B) {
	b.Helper()
	for name, took := range w {
		b.ReportMetric(median(took), name+"-s/op")
	}
	b.ReportMetric(0, "ns/op")
}

// ratio gives the median of what one piece took beside so many runs of another, pair
// by pair.
func (w watch) ratio(b *testing.B, name string, runs int, other string) {
	b.Helper()
	var ratios []float64
	for n, took := range w[name] {
		ratios = append(ratios, took/(float64(runs)*w[other][n]))
	}
	if runs > 1 {
		other = fmt.Sprintf("%dx%s", runs, other)
	}
	b.ReportMetric(median(ratios), name+"/"+other)
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// raw is the work of a deliver by the tools themselves: see raw.sh.
type raw struct {
	dir string
	env []string
}

// newRaw gets the script's tools ready: Trivy as the pipeline compiled it, and the step
// programs where there is no stock tool at hand. Its checkout, environment, state and
// repository are its own, so that no delivery finds done what it has to do itself. With
// cosign, the script does what the pipeline's gates stand on, too.
func newRaw(b *testing.B, p *platform, env, cosign string) *raw {
	b.Helper()
	dir, work := source(b, nil), b.TempDir()
	tools, cache := p.file("tools"), p.file("trivy-cache")
	if _, err := os.Stat(tools); err != nil {
		require.NoError(b, os.MkdirAll(tools, 0o755))
		stepProgram(b, "build", filepath.Join(tools, "build"))
		stepProgram(b, "sign", filepath.Join(tools, "sign"))
		_, err := p.run(p.repo, "-m", "modules/scan", "call", "trivy", "export", "--path", filepath.Join(tools, "trivy"))
		require.NoError(b, err)
		out, err := exec.Command(filepath.Join(tools, "trivy"), "image", "--download-db-only", "--cache-dir", cache,
			"--db-repository", p.sandbox+"/slipway/trivy-db:2", "--quiet", "--skip-version-check", "--disable-telemetry").CombinedOutput()
		require.NoError(b, err, "%s", out)
	}
	return &raw{
		dir: dir,
		env: append(os.Environ(),
			"RAW_TOOLS="+tools,
			"RAW_COSIGN="+cosign,
			"RAW_WORK="+work,
			"RAW_SOURCE="+dir,
			"RAW_APP=hello",
			"RAW_ENV="+env,
			"RAW_REGISTRY="+p.sandbox+"/raw/"+env,
			"RAW_IMAGE=localhost:5000/hello",
			"RAW_REMOTE=http://"+p.sandbox+"/gitops.git",
			"RAW_STATE=http://"+p.sandbox+"/state/raw/"+env,
			"RAW_KEY="+p.file("keys/cosign.key"),
			"RAW_PUBLIC_KEY="+p.file("keys/cosign.pub"),
			"RAW_PASSWORD_FILE="+p.file("password"),
			"RAW_USERNAME="+p.accounts["images"].Username,
			"RAW_REGISTRY_PASSWORD_FILE="+p.accounts["images"].file,
			"TF_HTTP_USERNAME="+p.accounts["state/"+env].Username,
			"TF_HTTP_PASSWORD="+p.accounts["state/"+env].Password,
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Basic "+
				base64.StdEncoding.EncodeToString([]byte(p.accounts["gitops/"+env].Username+":"+p.accounts["gitops/"+env].Password)),
			"RAW_CACHE="+cache,
		),
	}
}

// deliver runs the script and returns the digest that it released.
func (r *raw) deliver(b *testing.B) string {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), filepath.Join(r.dir, "e2e", "raw.sh"))
	cmd.Env = r.env
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	require.NoError(b, cmd.Run(), log.String())
	return strings.TrimSpace(out.String())
}

// beside delivers in turn by the pipeline, by the script, and by the script as it does
// equal work, each from a checkout of its own that change is called with before. It
// reports all three, and the pipeline's ratio to each of the others.
func beside(b *testing.B, change func(dir string)) {
	p := shared
	const pipeline, script, equal = "deliver", "raw", "equal"
	dir := source(b, nil)
	lean, whole := newRaw(b, p, "staging", ""), newRaw(b, p, "production", cosign(b, p))
	var byPipeline receipt
	deliveries := []struct {
		name, env, dir string
		deliver        func() (digest string)
	}{
		{pipeline, "dev", dir, func() string {
			byPipeline = deliver(b, p, dir, "hello", "dev")
			_, digest, _ := strings.Cut(byPipeline.Image, "@")
			return digest
		}},
		{script, "staging", lean.dir, func() string { return lean.deliver(b) }},
		{equal, "production", whole.dir, func() string { return whole.deliver(b) }},
	}
	for _, d := range deliveries {
		d.deliver()
	}
	times := watch{}
	for b.Loop() {
		before := git(b, p.remote(b), "rev-parse", "HEAD")
		digests := map[string]string{}
		for _, d := range deliveries {
			change(d.dir)
			times.time(d.name, func() { digests[d.env] = d.deliver() })
		}
		clone := p.remote(b)
		changed := git(b, dir, "rev-list", "--count", "HEAD") != "1"
		commits := "0"
		if changed {
			commits = "3"
		}
		assert.Equal(b, commits, git(b, clone, "rev-list", "--count", before+"..HEAD"), "a commit by each for a change, none without")
		assert.Equal(b, changed, byPipeline.ImagePushed)
		for env, digest := range digests {
			assert.Contains(b, read(b, clone+"/gitops/apps/hello/overlays/"+env+"/kustomization.yaml"), "digest: "+digest+"\n")
		}
	}
	times.ratio(b, pipeline, 1, script)
	times.ratio(b, pipeline, 1, equal)
	times.report(b)
}

func BenchmarkDeliverUnchanged(b *testing.B) {
	beside(b, func(string) {})
}

func BenchmarkDeliverOneLine(b *testing.B) {
	beside(b, func(dir string) { oneLine(b, dir) })
}

// oneLine commits another line of hello: of code, not of a comment, so that the
// program must be compiled and linked again.
func oneLine(b *testing.B, dir string) {
	b.Helper()
	file := dir + "/apps/hello/greeting/greeting.go"
	const first = "\t{language.English, \"Hello\"},\n"
	text := read(b, file)
	require.Contains(b, text, first)
	line := fmt.Sprintf("\t{language.Swedish, \"Hej %s\"},\n", unseen())
	write(b, file, strings.Replace(text, first, first+line, 1))
	git(b, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qam", "one line")
}

// BenchmarkVerify verifies an image with all that is signed about it: by a call of the
// pipeline, which also reads every blob back and decides, by the step program alone,
// and by the stock cosign, which takes a process for the signature and one for each
// type of statement.
func BenchmarkVerify(b *testing.B) {
	p := shared
	digest := published(b, p)
	tool, program := cosign(b, p), stepProgram(b, "sign", filepath.Join(b.TempDir(), "sign"))
	const call, step, stock = "call", "program", "cosign"
	times := watch{}
	for b.Loop() {
		times.time(call, func() {
			out, err := p.call(p.repo, p.options(), "verify", "--reference", "localhost:5000/hello@"+digest, "--env", "dev", "passed")
			require.NoError(b, err)
			assert.Equal(b, "true", strings.TrimSpace(out))
		})
		result := b.TempDir()
		times.time(step, func() {
			out, err := exec.CommandContext(b.Context(), program, "verify", "--all", "--out", result,
				"--reference", p.sandbox+"/hello@"+digest, "--public-key", p.file("keys/cosign.pub")).CombinedOutput()
			require.NoError(b, err, "%s", out)
		})
		verified := read(b, filepath.Join(result, "result.json"))
		times.time(stock, func() {
			for _, predicateType := range append([]string{""}, statementTypes...) {
				assert.Contains(b, verified, predicateType)
				out, err := cosignVerify(b, p, tool, digest, "keys/cosign.pub", predicateType)
				require.NoError(b, err, out)
			}
		})
	}
	times.ratio(b, call, 1, stock)
	times.ratio(b, step, 1, stock)
	times.report(b)
}

// race reports how long a crowd took, and how often its members had to try.
func race(b *testing.B, digests []string, release func(c *crowd, i int, env string) (attempts int, err error)) {
	times, tries, most, landed := watch{}, 0, 0, 0
	for b.Loop() {
		c := newCrowd(b, shared)
		attempts := make([]int, crowdSize)
		var err error
		times.time("all", func() {
			err = c.race(func(i int, env string) (err error) {
				attempts[i], err = release(c, i, env)
				return err
			})
		})
		require.NoError(b, err)
		landed += len(c.landed(b, digests))
		for _, n := range attempts {
			tries += n
			most = max(most, n)
		}
	}
	b.ReportMetric(crowdSize, "releases/op")
	b.ReportMetric(float64(landed)/float64(b.N), "landed/op")
	b.ReportMetric(float64(tries)/float64(b.N*crowdSize), "attempts/release")
	b.ReportMetric(float64(most), "attempts-most")
	times.report(b)
}

// BenchmarkConcurrentStep races 12 processes of the release stage's program,
// each with a digest and an environment of its own.
func BenchmarkConcurrentStep(b *testing.B) {
	program := stepProgram(b, "gitops", filepath.Join(b.TempDir(), "gitops"))
	digests := crowdDigests()
	race(b, digests, func(c *crowd, i int, env string) (int, error) {
		result, err := c.release(context.Background(), program, env, digests[i])
		return result.Attempts, err
	})
}

// BenchmarkConcurrentCall races 12 dagger calls that verify one signed image and
// release it, each to an environment of its own.
func BenchmarkConcurrentCall(b *testing.B) {
	p := shared
	_, digest, _ := strings.Cut(deliver(b, p, p.repo, "hello", "dev").Image, "@")
	digests := make([]string, crowdSize)
	var environments strings.Builder
	for i := range digests {
		digests[i] = digest
		fmt.Fprintf(&environments, "  crowd%02d: {infra: ignore}\n", i)
	}
	const last = "  production: {}\n"
	settings := read(b, p.repo+"/slipway.yaml")
	require.Contains(b, settings, last)
	dir := source(b, map[string]string{"slipway.yaml": strings.Replace(settings, last, last+environments.String(), 1)})

	race(b, digests, func(c *crowd, _ int, env string) (int, error) {
		out, err := p.call(dir, p.options(), "with-gitops", "--branch", c.branch,
			"signed", "--app", "hello", "--digest", digest, "release", "--env", env, "attempts")
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(strings.TrimSpace(out))
	})
}

// BenchmarkSetUp sets up a new clone on a machine that has the engine, and then
// once more.
func BenchmarkSetUp(b *testing.B) {
	times := watch{}
	for b.Loop() {
		dir := source(b, nil)
		build := exec.Command("go", "build", "-o", ".slipway/bin/slipway-dev", "./cmd/slipway-dev")
		build.Dir = dir
		out, err := build.CombinedOutput()
		require.NoError(b, err, "%s", out)
		up := func() {
			cmd := exec.CommandContext(b.Context(), filepath.Join(dir, ".slipway/bin/slipway-dev"), "up")
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			require.NoError(b, err, "%s", out)
		}
		// Not the launcher's down: the engine is everybody's.
		b.Cleanup(func() {
			progress := engine.NewProgress(os.Stderr)
			launcher, err := engine.NewLauncher(dir, progress)
			if assert.NoError(b, err) {
				assert.NoError(b, (&embedded.Platform{Launcher: launcher, Progress: progress}).StopSandbox(context.WithoutCancel(b.Context())))
			}
		})
		times.time("clone", up)
		times.time("warm", up)
		assert.FileExists(b, dir+"/.slipway/keys/cosign.key")
		assert.FileExists(b, dir+"/.slipway/sandbox/database")
	}
	times.report(b)
}

// BenchmarkLoad measures how long the pipeline takes to answer what it can do:
// after a change of its code, and unchanged. Beside it stands what it is made
// of, since every user compiles that.
func BenchmarkLoad(b *testing.B) {
	p := shared
	dir := source(b, nil)
	functions := func() {
		out, err := p.run(dir, "functions")
		require.NoError(b, err)
		assert.Contains(b, out, "deliver")
	}
	functions()
	code := read(b, dir+"/ci/pipeline.go")
	times := watch{}
	for b.Loop() {
		write(b, dir+"/ci/pipeline.go", fmt.Sprintf("%s\nvar _ = %q\n", code, unseen()))
		times.time("changed", functions)
		times.time("warm", functions)
	}
	write(b, dir+"/ci/pipeline.go", code)
	packages, modules := dependencies(b, p, dir)
	b.ReportMetric(float64(packages), "packages")
	b.ReportMetric(float64(modules), "requires")
	times.report(b)
}

// dependencies counts the packages outside the standard library that ci is
// compiled from, and the modules that its go.mod requires.
func dependencies(b *testing.B, p *platform, dir string) (packages, modules int) {
	b.Helper()
	_, err := p.run(dir, "develop")
	require.NoError(b, err)
	list := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
	list.Dir = dir + "/ci"
	out, err := list.Output()
	require.NoError(b, err)
	edit := exec.Command("go", "mod", "edit", "-json")
	edit.Dir = list.Dir
	data, err := edit.Output()
	require.NoError(b, err)
	var mod struct{ Require []json.RawMessage }
	require.NoError(b, json.Unmarshal(data, &mod))
	return len(strings.Fields(string(out))), len(mod.Require)
}
