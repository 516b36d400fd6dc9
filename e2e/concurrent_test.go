//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

// unseen is a word that no run before has used: branches stay, and the engine
// remembers longer than a run.
func unseen() string { return strconv.FormatInt(time.Now().UnixNano(), 36) }

// crowdSize is how many releases race for one branch.
const crowdSize = 12

// crowdEnvironments are those that each release of a crowd has for itself.
func crowdEnvironments() []string {
	envs := make([]string, crowdSize)
	for i := range envs {
		envs[i] = fmt.Sprintf("crowd%02d", i)
	}
	return envs
}

// crowd is a branch of the GitOps remote with an environment for each release
// that races for it: main and the other tests don't see any of it.
type crowd struct {
	p      *platform
	branch string
	base   string
	envs   []string
}

func newCrowd(t testing.TB, p *platform) *crowd {
	t.Helper()
	branch := "crowd-" + unseen()
	clone := p.remote(t)
	dev := read(t, clone+"/gitops/apps/hello/overlays/dev/kustomization.yaml")
	require.Contains(t, dev, "hello-dev")
	// Nothing was ever released to them, whatever dev runs.
	dev = regexp.MustCompile(`sha256:[0-9a-f]{64}`).ReplaceAllString(dev, "sha256:"+strings.Repeat("0", 64))
	c := &crowd{p: p, branch: branch}
	c.envs = crowdEnvironments()
	for _, env := range c.envs {
		write(t, clone+"/"+c.file(env), strings.ReplaceAll(dev, "hello-dev", "hello-"+env))
	}
	git(t, clone, "add", "-A")
	git(t, clone, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "environments for a crowd")
	git(t, clone, "push", "-q", "origin", "HEAD:refs/heads/"+branch)
	c.base = git(t, clone, "rev-parse", "HEAD")
	return c
}

func (c *crowd) file(env string) string {
	return "gitops/apps/hello/overlays/" + env + "/kustomization.yaml"
}

// race runs one release for each environment, all at once.
func (c *crowd) race(release func(i int, env string) error) error {
	var all errgroup.Group
	for i, env := range c.envs {
		all.Go(func() error {
			if err := release(i, env); err != nil {
				return fmt.Errorf("%s: %w", env, err)
			}
			return nil
		})
	}
	return all.Wait()
}

// landed wants one commit for each environment and nothing else, each with its
// own digest, trailers and file, on one line of history.
func (c *crowd) landed(t testing.TB, digests []string) (commits map[string]string) {
	t.Helper()
	clone := c.p.remote(t)
	git(t, clone, "fetch", "-q", "origin", c.branch)
	git(t, clone, "checkout", "-q", "FETCH_HEAD")
	log := strings.Fields(git(t, clone, "log", "--format=%H", c.base+"..HEAD"))
	require.Len(t, log, crowdSize, "one commit for each release, none lost, none twice")
	assert.Equal(t, "0", git(t, clone, "rev-list", "--count", "--merges", c.base+"..HEAD"))

	commits = map[string]string{}
	for _, commit := range log {
		env := git(t, clone, "log", "-1", "--format=%(trailers:key=Environment,valueonly)", commit)
		commits[env] = commit
	}
	for i, env := range c.envs {
		commit := commits[env]
		if !assert.NotEmpty(t, commit, "no commit for %s", env) {
			continue
		}
		assert.Equal(t, c.file(env), git(t, clone, "show", "--format=", "--name-only", commit), "a release changes its own file only")
		assert.Equal(t, "hello", git(t, clone, "log", "-1", "--format=%(trailers:key=App,valueonly)", commit))
		assert.Equal(t, digests[i], git(t, clone, "log", "-1", "--format=%(trailers:key=Image-Digest,valueonly)", commit))
		assert.Contains(t, read(t, clone+"/"+c.file(env)), "digest: "+digests[i]+"\n", "a later release must not undo %s", env)
	}
	return commits
}

// crowdDigests are different digests; the release step by itself doesn't ask a
// registry for them.
func crowdDigests() []string {
	digests := make([]string, crowdSize)
	for i := range digests {
		digests[i] = fmt.Sprintf("sha256:%064x", i+1)
	}
	return digests
}

// stepProgram compiles a stage's step program for this machine.
func stepProgram(t testing.TB, stage, file string) string {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", file, ".")
	cmd.Dir = filepath.Join(repository(), "modules", stage, "step")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return file
}

type released struct {
	Commit   string `json:"commit"`
	Created  bool   `json:"created"`
	Attempts int    `json:"attempts"`
	Path     string `json:"path"`
}

// release runs the release stage's step program as a process of its own.
func (c *crowd) release(ctx context.Context, program, env, digest string) (released, error) {
	dir, err := os.MkdirTemp(c.p.dir, "release-")
	if err != nil {
		return released{}, err
	}
	out, err := exec.CommandContext(ctx, program, "release", "--out", dir,
		"--remote", "http://localhost:5000/gitops.git", "--connect", "localhost:5000="+c.p.sandbox,
		"--branch", c.branch, "--root", "gitops", "--app", "hello", "--env", env,
		"--repository", "localhost:5000/hello", "--digest", digest, "--source-revision", "crowd",
		"--username", c.p.accounts["gitops/"+env].Username, "--token-file", c.p.accounts["gitops/"+env].file,
		"--author-name", "test", "--author-email", "test@localhost").CombinedOutput()
	if err != nil {
		return released{}, fmt.Errorf("%w\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "result.json"))
	if err != nil {
		return released{}, err
	}
	var result struct {
		Fault json.RawMessage `json:"fault"`
		Value released        `json:"value"`
	}
	if err := json.Unmarshal(data, &result); err != nil {
		return released{}, err
	}
	if result.Fault != nil {
		return released{}, fmt.Errorf("refused: %s", result.Fault)
	}
	return result.Value, nil
}

func TestConcurrentReleasesAllLand(t *testing.T) {
	program := stepProgram(t, "gitops", filepath.Join(t.TempDir(), "gitops"))
	c := newCrowd(t, shared)
	digests := crowdDigests()
	main := git(t, shared.remote(t), "rev-parse", "origin/main")

	results := make([]released, crowdSize)
	require.NoError(t, c.race(func(i int, env string) (err error) {
		results[i], err = c.release(t.Context(), program, env, digests[i])
		return err
	}))

	commits := c.landed(t, digests)
	for i, env := range c.envs {
		assert.Equal(t, commits[env], results[i].Commit, "the result names the commit that landed")
		assert.True(t, results[i].Created)
		assert.Equal(t, c.file(env), results[i].Path)
		assert.Positive(t, results[i].Attempts)
	}

	t.Run("the same releases again, all at once, make no commit", func(t *testing.T) {
		again := make([]released, crowdSize)
		require.NoError(t, c.race(func(i int, env string) (err error) {
			again[i], err = c.release(t.Context(), program, env, digests[i])
			return err
		}))
		assert.Equal(t, commits, c.landed(t, digests))
		for i := range again {
			assert.False(t, again[i].Created)
			assert.Equal(t, results[i].Commit, again[i].Commit)
		}
	})
	assert.Equal(t, main, git(t, shared.remote(t), "rev-parse", "origin/main"), "another branch is left alone")
}
