package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/gitops/step/fakehelm"
	"slipway/gitops/step/internal/githost"
	"slipway/gitops/step/overlay"
	"slipway/gitops/step/release"
	"slipway/step"
	"slipway/step/result/gitops"
)

// asStep makes the test binary behave as the step program, so that tests can
// run many of it as processes.
const asStep = "SLIPWAY_TEST_AS_STEP"

func TestMain(m *testing.M) {
	fakehelm.As(os.Args)
	if os.Getenv(asStep) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// run starts the step program and returns its exit code and result.
func run(t *testing.T, value any, args ...string) (int, error) {
	t.Helper()
	out := t.TempDir()
	cmd := exec.Command(os.Args[0], append(args, "--out", out)...)
	cmd.Env = []string{asStep + "=1"} // and no HOME, PATH or git settings
	cmd.Dir = out
	log, err := cmd.CombinedOutput()
	t.Logf("%s", log)
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return code, err
	}
	data, err := os.ReadFile(filepath.Join(out, step.ResultFile))
	require.NoError(t, err)
	return 0, step.Decode(data, value)
}

func digest(n int) string { return fmt.Sprintf("sha256:%064x", n) }

func releaseArgs(url, env, digest string) []string {
	return []string{
		"release", "--remote", url, "--root", "gitops", "--app", "hello", "--env", env,
		"--repository", "localhost:5000/hello", "--digest", digest, "--source-revision", "0123abcd",
		"--author-name", "Slipway", "--author-email", "slipway@example.com", "--time", "2026-01-02T03:04:05Z",
	}
}

func TestReleaseTwiceMakesOneCommit(t *testing.T) {
	host := githost.Start(t, githost.Sample("gitops/", nil), nil)

	var first, again gitops.Released
	_, err := run(t, &first, releaseArgs(host.URL, "dev", digest(7))...)
	require.NoError(t, err)
	host.Commit("Something else", map[string]string{"README": "hello"})
	_, err = run(t, &again, releaseArgs(host.URL, "dev", digest(7))...)
	require.NoError(t, err)

	path := "gitops/apps/hello/overlays/dev/kustomization.yaml"
	assert.Equal(t, gitops.Released{
		Commit: host.Git("rev-parse", "main~1"), Created: true, Attempts: 1, Path: path, Branch: "main",
		Image: "localhost:5000/hello@" + digest(7), Containers: 2,
	}, first)
	assert.False(t, again.Created)
	assert.Equal(t, first.Commit, again.Commit, "the commit that set the digest, not the head")
	assert.Equal(t, "3", host.Git("rev-list", "--count", "main"))

	assert.Equal(t, "1\t1\t"+path, host.Git("show", "--numstat", "--format=", "main~1"), "one line changes")
	assert.Equal(t, strings.TrimSpace(strings.Replace(githost.Kustomization, githost.Unset, digest(7), 1)),
		host.Git("show", "main:"+path), "comments and order stay")
	assert.Equal(t, "Slipway <slipway@example.com> 2026-01-02T03:04:05+00:00",
		host.Git("show", "-s", "--format=%an <%ae> %cI", "main~1"))

	trailers := exec.Command("git", "interpret-trailers", "--parse")
	trailers.Stdin = strings.NewReader(host.Git("show", "-s", "--format=%B", "main~1"))
	parsed, err := trailers.Output()
	require.NoError(t, err)
	assert.Equal(t, "App: hello\nEnvironment: dev\nImage-Digest: "+digest(7)+"\nSource-Revision: 0123abcd\n", string(parsed))
	host.Git("fsck", "--strict")
}

func TestConcurrentReleasesAllLand(t *testing.T) {
	const processes = 12
	files := map[string]string{}
	for i := range processes {
		files[fmt.Sprintf("apps/hello/overlays/e%d/kustomization.yaml", i)] = githost.Kustomization
	}
	host := githost.Start(t, githost.Sample("gitops/", files), nil)

	var wg sync.WaitGroup
	results := make([]gitops.Released, processes)
	failures := make([]error, processes)
	for i := range processes {
		wg.Go(func() {
			_, failures[i] = run(t, &results[i], releaseArgs(host.URL, fmt.Sprintf("e%d", i), digest(100+i))...)
		})
	}
	wg.Wait()

	log := strings.Fields(host.Git("log", "--format=%H", "main"))
	assert.Len(t, log, processes+1)
	for i, r := range results {
		require.NoErrorf(t, failures[i], "release %d", i)
		assert.Truef(t, r.Created, "release %d", i)
		assert.Containsf(t, log, r.Commit, "release %d", i)
		assert.Containsf(t, host.Git("show", "main:"+r.Path), digest(100+i), "release %d", i)
		t.Logf("release %d: %d attempts", i, r.Attempts)
	}
	host.Git("fsck", "--strict")
}

func TestConcurrentReleasesOfTheSameMakeOneCommit(t *testing.T) {
	host := githost.Start(t, githost.Sample("gitops/", nil), nil)
	var wg sync.WaitGroup
	results := make([]gitops.Released, 4)
	failures := make([]error, len(results))
	for i := range results {
		wg.Go(func() { _, failures[i] = run(t, &results[i], releaseArgs(host.URL, "dev", digest(9))...) })
	}
	wg.Wait()
	for i, r := range results {
		require.NoError(t, failures[i])
		assert.Equal(t, host.Git("rev-parse", "main"), r.Commit)
	}
	assert.Equal(t, "2", host.Git("rev-list", "--count", "main"))
}

func TestConnectAndShow(t *testing.T) {
	host := githost.Start(t, githost.Sample("gitops/", nil), nil)
	actual, err := url.Parse(host.URL)
	require.NoError(t, err)
	logical := "http://localhost:3000/gitops.git"
	connect := []string{"--connect", "localhost:3000=" + actual.Host}

	show := append([]string{"show", "--remote", logical, "--root", "gitops", "--app", "hello", "--env", "dev"}, connect...)
	var before, after gitops.State
	_, err = run(t, &before, show...)
	require.NoError(t, err)
	assert.False(t, before.Released)
	assert.Equal(t, githost.Unset, before.Digest)

	var made gitops.Released
	_, err = run(t, &made, append(releaseArgs(logical, "dev", digest(3)), connect...)...)
	require.NoError(t, err)
	head := host.Commit("Later", map[string]string{"README": "later"})
	_, err = run(t, &after, show...)
	require.NoError(t, err)
	assert.Equal(t, gitops.State{
		App: "hello", Env: "dev", Repository: "localhost:5000/hello", Digest: digest(3), Released: true,
		Commit: made.Commit, Head: head, Path: made.Path, Branch: "main",
	}, after)
}

// The shapes that others read.
func TestHistoryPreviewAndRollback(t *testing.T) {
	host := githost.Start(t, githost.Sample("gitops/", nil), nil)
	const path = "gitops/apps/hello/overlays/dev/kustomization.yaml"
	where := func(command string, more ...string) []string {
		return append([]string{command, "--remote", host.URL, "--root", "gitops", "--app", "hello", "--env", "dev"}, more...)
	}
	image := func(n int) []string {
		return []string{"--repository", "localhost:5000/hello", "--digest", digest(n)}
	}
	var none json.RawMessage
	_, err := run(t, &none, where("history")...)
	require.NoError(t, err)
	assert.JSONEq(t, `{"releases": []}`, string(none))

	var first, bad, back gitops.Released
	_, err = run(t, &first, releaseArgs(host.URL, "dev", digest(1))...)
	require.NoError(t, err)
	_, err = run(t, &bad, releaseArgs(host.URL, "dev", digest(2))...)
	require.NoError(t, err)

	out := t.TempDir()
	_, err = run(t, nil, where("preview", image(1)...)...)
	require.ErrorContains(t, err, "would go back")
	_, do, err := commands.Parse("step", where("preview", append(image(1), "--older", "--out", out)...))
	require.NoError(t, err)
	value, err := do(t.Context())
	require.NoError(t, err)
	shape, err := json.Marshal(value)
	require.NoError(t, err)
	manifests, err := os.ReadFile(filepath.Join(out, "manifests.yaml"))
	require.NoError(t, err)
	used := fmt.Sprintf(`[{"object": "Deployment hello", "place": "spec.template.spec.containers[hello].image", "image": "localhost:5000/hello@%[1]s"},
		{"object": "Deployment hello", "place": "spec.template.spec.containers[proxy].image", "image": "localhost:5000/proxy@sha256:%[2]s"},
		{"object": "Deployment hello", "place": "spec.template.spec.initContainers[migrate].image", "image": "localhost:5000/hello@%[1]s"}]`, digest(1), strings.Repeat("1", 64))
	assert.JSONEq(t, fmt.Sprintf(`{"head": %q, "before": %q, "after": %q, "path": %q, "changes": true, "sha256": "sha256:%x", "images": %s}`,
		bad.Commit, digest(2), digest(1), path, sha256.Sum256(manifests), used), string(shape))
	diff, err := os.ReadFile(filepath.Join(out, "diff.patch"))
	require.NoError(t, err)
	assert.Contains(t, string(diff), "+++ b/Deployment/hello\n")
	assert.Contains(t, string(diff), "+      - image: localhost:5000/hello@"+digest(1)+"\n")

	_, err = run(t, &back, append(releaseArgs(host.URL, "dev", digest(1)), "--source-revision", "", "--kind", "rollback", "--rollback-of", bad.Commit)...)
	require.NoError(t, err)
	assert.True(t, back.Created)
	entry := func(commit, subject, digest, more string) string {
		return fmt.Sprintf(`{"digest": %q, "repository": "localhost:5000/hello", "commit": %q, "author": "Slipway",
			"email": "slipway@example.com", "at": "2026-01-02T03:04:05Z", "subject": %q, "sourceRevision": "0123abcd"%s}`, digest, commit, subject, more)
	}
	var history json.RawMessage
	_, err = run(t, &history, where("history", "--limit", "2")...)
	require.NoError(t, err)
	assert.JSONEq(t, `{"releases": [`+
		entry(back.Commit, "Roll back hello in dev", digest(1), `, "reverts": "`+bad.Commit+`"`)+`,`+
		entry(bad.Commit, "Release hello to dev", digest(2), "")+`]}`, string(history))

	_, err = run(t, nil, append(releaseArgs(host.URL, "dev", digest(1)), "--kind", "promotion", "--from", "production")...)
	require.NoError(t, err, "the digest is there: no new decision")
	_, err = run(t, nil, append(releaseArgs(host.URL, "dev", digest(2)), "--kind", "promotion", "--from", "production")...)
	fault, ok := step.AsFault(err)
	require.True(t, ok)
	assert.Contains(t, fault.Reason, "was never released")
}

func TestPreviewOfAFolderNeedsNoRemote(t *testing.T) {
	dir := t.TempDir()
	for name, content := range githost.Sample("", nil) {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
	}
	var got release.Preview
	_, err := run(t, &got, "preview", "--tree", dir, "--app", "hello", "--env", "dev",
		"--repository", "localhost:5000/hello", "--digest", digest(1))
	require.NoError(t, err)
	assert.True(t, got.Changes)
	assert.Empty(t, got.Head)
}

func TestRenderOfTheCommittedOverlays(t *testing.T) {
	gitops := "../../../gitops"
	for _, app := range []string{"hello", "legacy", "pages"} {
		for _, env := range []string{"dev", "staging", "production"} {
			out := t.TempDir()
			name, do, err := commands.Parse("step", []string{"render", "--tree", gitops, "--app", app, "--env", env, "--out", out, "--helm", fakehelm.Program(t)})
			require.NoError(t, err)
			assert.Equal(t, out, name)
			value, err := do(t.Context())
			require.NoError(t, err)
			shape, err := json.Marshal(value)
			require.NoError(t, err)
			assert.JSONEq(t, `{"file":"manifests.yaml","path":"apps/`+app+`/overlays/`+env+`"}`, string(shape))
			manifests, err := os.ReadFile(filepath.Join(out, "manifests.yaml"))
			require.NoError(t, err)
			assert.Contains(t, string(manifests), "image: localhost:5000/"+app+"@sha256:")
			assert.Contains(t, string(manifests), "namespace: "+app+"-"+env)
			assert.ElementsMatch(t, objects(t, likeHello(env)), objects(t, strings.ReplaceAll(string(manifests), app, "hello")),
				"%s in %s is as safe as hello", app, env)
		}
	}
}

// likeHello is what hello renders to in an environment.
func likeHello(env string) string {
	tree, err := overlay.ReadDir("../../../gitops")
	if err != nil {
		return err.Error()
	}
	manifests, err := overlay.Renderer{}.Render(tree, "hello", env)
	if err != nil {
		return err.Error()
	}
	return string(manifests)
}

// objects are the objects of manifests, however they are written.
func objects(t *testing.T, manifests string) []any {
	t.Helper()
	var all []any
	for _, document := range strings.Split(manifests, "\n---\n") {
		var object any
		require.NoError(t, yaml.Unmarshal([]byte(document), &object))
		all = append(all, object)
	}
	return all
}

func TestReleaseOfAChart(t *testing.T) {
	host := githost.Start(t, githost.SampleChart("gitops/", nil), nil)
	args := func(helm ...string) []string {
		return append([]string{
			"release", "--remote", host.URL, "--root", "gitops", "--app", "hi", "--env", "dev",
			"--repository", "localhost:5000/hi", "--digest", digest(7), "--source-revision", "0123abcd",
			"--author-name", "Slipway", "--author-email", "slipway@example.com", "--time", "2026-01-02T03:04:05Z",
		}, helm...)
	}
	_, err := run(t, nil, args()...)
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Contains(t, fault.Mend, "packaging: helm in apps/hi/app.yaml")
	_, err = run(t, nil, args("--helm", filepath.Join(t.TempDir(), "gone"))...)
	fault, ok = step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Contains(t, fault.Reason, "is not a program")
	assert.Equal(t, "1", host.Git("rev-list", "--count", "main"))

	var preview release.Preview
	_, err = run(t, &preview, "preview", "--remote", host.URL, "--root", "gitops", "--app", "hi", "--env", "dev",
		"--repository", "localhost:5000/hi", "--digest", digest(7), "--helm", fakehelm.Program(t))
	require.NoError(t, err)
	assert.True(t, preview.Changes)

	const path = "gitops/apps/hi/overlays/dev/kustomization.yaml"
	for _, created := range []bool{true, false} {
		var done gitops.Released
		_, err = run(t, &done, args("--helm", fakehelm.Program(t))...)
		require.NoError(t, err)
		assert.Equal(t, gitops.Released{
			Commit: host.Git("rev-parse", "main"), Created: created, Attempts: 1, Path: path, Branch: "main",
			Image: "localhost:5000/hi@" + digest(7), Containers: 1,
		}, done)
	}
	assert.Equal(t, "1\t1\t"+path, host.Git("show", "--numstat", "--format=", "main"), "one line changes")
	assert.Equal(t, strings.TrimSpace(strings.Replace(githost.Charted, githost.Unset, digest(7), 1)), host.Git("show", "main:"+path))
}

func TestHostileArguments(t *testing.T) {
	for _, bad := range []string{"../etc", "a b", "$(id)", "-rf", "a\nb", strings.Repeat("a", 300), "", "A", "a/b", "."} {
		for flag, stands := range map[string]string{"--app": "app", "--env": "environment"} {
			_, err := run(t, nil, append(releaseArgs("http://localhost:1/gitops.git", "dev", digest(1)), flag+"="+bad)...)
			fault, ok := step.AsFault(err)
			require.Truef(t, ok, "%s %q: %v", flag, bad, err)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Equal(t, "release", fault.Stage)
			assert.Contains(t, fault.Input, stands)
			assert.NotEmpty(t, fault.Mend)
			assert.NotContains(t, fault.Input, "\n")
			assert.Less(t, len(fault.Input), 200)
		}
	}
	for flag, bad := range map[string][]string{
		"--digest":          {"", "sha256:abc", "latest", "sha512:" + digest(1)[7:], githost.Unset, digest(1) + "\n"},
		"--repository":      {"", "hello", "localhost:5000/hello:v1", "localhost:5000/hello@" + digest(1), "localhost:5000/../x", "localhost:5000/He llo", "-x/y"},
		"--source-revision": {"", "a\nApp: other", "-x", "a b"},
		"--author-name":     {"", "a\nb", "A <b>", " a"},
		"--author-email":    {"", "a", "a@b>\nApp: x", "<a@b>"},
		"--root":            {"", "..", "../x", "/etc", "a/../b", "a//b", "-x", "a b", "./a"},
		"--branch":          {"", "-x", "a b", "a..b", "a\nb", "x/", "x.lock"},
		"--attempts":        {"0", "101"},
		"--time":            {"yesterday"},
		"--kind":            {"deploy", "promotion", "rollback"},
		"--from":            {"../x", "dev", "a b"},
		"--rollback-of":     {"main", "--all", "abc123", digest(1)},
		"--remote":          {"", "x", "ftp://h/x", "http://git.example.com/x.git", "https://u:p@h/x.git", "https://h", "http://127.0.0.1.example.com/x"},
		"--connect":         {"", "a", "a=b", "a:1=b", "=a:1"},
		"--token-file":      {"/does/not/exist", "/dev/null"},
	} {
		for _, value := range bad {
			_, err := run(t, nil, append(releaseArgs("http://localhost:1/gitops.git", "dev", digest(1)), flag+"="+value)...)
			fault, ok := step.AsFault(err)
			if assert.Truef(t, ok, "%s=%q: %v", flag, value, err) {
				assert.Equalf(t, step.KindInput, fault.Kind, "%s=%q", flag, value)
				assert.NotEmpty(t, fault.Mend)
				assert.NotContains(t, fault.Error(), "u:p@")
			}
		}
	}
}

func TestUsageErrorsAreNotResults(t *testing.T) {
	for _, args := range [][]string{{}, {"deploy"}, {"show"}, {"show", "--nonsense", "--out", "x"}, {"show", "--out", "x", "more"}} {
		_, _, err := commands.Parse("step", args)
		assert.Errorf(t, err, "%q", args)
	}
	code, _ := run(t, nil, "deploy")
	assert.Equal(t, 2, code)
}

// Each command reads its flags before it does anything, and a refusal is its result.
func TestEachCommandRefusesWhatItIsGiven(t *testing.T) {
	host := githost.Start(t, githost.Sample("gitops/", nil), nil)
	overlay := []string{"--root", "gitops", "--app", "hello", "--env", "dev"}
	image := []string{"--repository", "localhost:5000/hello", "--digest", digest(7)}
	commands := map[string][]string{
		"show": overlay, "history": overlay, "merged": {"--commit", strings.Repeat("ab", 20)}, "preview": append(append([]string{}, overlay...), image...),
		"release": append(append([]string{"--source-revision", "0123abcd", "--author-name", "Slipway", "--author-email", "slipway@example.com"}, overlay...), image...),
	}
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	for command, args := range commands {
		for name, c := range map[string]struct {
			more   []string
			reason string
		}{
			"no remote":     {nil, "is not a repository URL"},
			"plain HTTP":    {[]string{"--remote", "http://git.example.com/a"}, "is neither HTTPS nor on this host"},
			"no branch":     {[]string{"--remote", host.URL, "--branch", "a..b"}, "is not a branch name"},
			"no connection": {[]string{"--remote", host.URL, "--connect", "x"}, "is not LOGICAL=ACTUAL"},
			"no token":      {[]string{"--remote", host.URL, "--token-file", empty}, "is empty"},
			"no such file":  {[]string{"--remote", host.URL, "--token-file", empty + "x"}, "can't be read"},
			"no such":       {[]string{"--remote", host.URL, "--branch", "other"}, "has no such branch"},
		} {
			code, err := run(t, nil, append(append([]string{command}, args...), c.more...)...)
			require.Zero(t, code, "%s, %s", command, name)
			fault, ok := step.AsFault(err)
			require.True(t, ok, "%s, %s: %v", command, name, err)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Contains(t, fault.Reason, c.reason, "%s, %s", command, name)
		}
	}
	tree := t.TempDir()
	for name, c := range map[string]struct {
		args   []string
		reason string
	}{
		"no such helm":         {append([]string{"release", "--remote", host.URL, "--helm", empty + "x"}, commands["release"]...), "is not a program"},
		"helm that is none":    {append([]string{"preview", "--remote", host.URL, "--helm", empty}, commands["preview"]...), "is not a program"},
		"a folder as helm":     {[]string{"render", "--tree", tree, "--app", "hello", "--env", "dev", "--helm", tree}, "is not a program"},
		"no app":               {[]string{"render", "--tree", tree, "--app", "../x", "--env", "dev"}, "is not a valid name"},
		"no environment":       {[]string{"render", "--tree", tree, "--app", "hello", "--env", ""}, "is not a valid name"},
		"no folder":            {[]string{"render", "--tree", empty + "x", "--app", "hello", "--env", "dev"}, ""},
		"no overlay":           {[]string{"render", "--tree", tree, "--app", "hello", "--env", "dev"}, ""},
		"no folder to look at": {append([]string{"preview", "--tree", empty + "x"}, commands["preview"]...), ""},
		"no time":              {append([]string{"release", "--remote", host.URL, "--time", "now"}, commands["release"]...), "is not an RFC 3339 time"},
		"too many attempts":    {append([]string{"release", "--remote", host.URL, "--attempts", "101"}, commands["release"]...), "is out of range"},
		"no limit":             {append([]string{"history", "--remote", host.URL, "--limit", "0"}, commands["history"]...), "is out of range"},
		"no commit":            {[]string{"merged", "--remote", host.URL, "--commit", "main"}, ""},
		"no checkout":          {[]string{"check-commit", "--checkout", tree, "--commit", strings.Repeat("ab", 20), "--path", "a", "--repository", "localhost:5000/hello", "--digest", digest(7)}, "has no folder .git"},
	} {
		code, err := run(t, nil, c.args...)
		require.Zero(t, code, name)
		fault, ok := step.AsFault(err)
		require.True(t, ok, "%s: %v", name, err)
		assert.Equal(t, step.KindInput, fault.Kind, name)
		assert.Contains(t, fault.Reason, c.reason, name)
	}
}
