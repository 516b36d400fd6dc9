package state

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const code = `
terraform {
  backend "http" {}
}

variable "value" {
  type = string
}

resource "terraform_data" "it" {
  input = var.value
}

output "it" {
  value = terraform_data.it.output
}
`

// client is one working copy of the code, driven by the real terraform.
type client struct {
	t    *testing.T
	path string
	dir  string
	env  []string
}

func newClient(t *testing.T, address string) *client {
	t.Helper()
	path, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("no terraform executable on this machine")
	}
	c := &client{t: t, path: path, dir: t.TempDir(), env: []string{
		"HOME=" + t.TempDir(), "CHECKPOINT_DISABLE=1",
		"TF_HTTP_ADDRESS=" + address, "TF_HTTP_LOCK_ADDRESS=" + address, "TF_HTTP_UNLOCK_ADDRESS=" + address,
	}}
	require.NoError(t, os.WriteFile(filepath.Join(c.dir, "main.tf"), []byte(code), 0o600))
	_, err = c.run("init", "-input=false", "-no-color")
	require.NoError(t, err)
	return c
}

func (c *client) run(args ...string) (string, error) {
	cmd := exec.Command(c.path, args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	out, err := cmd.CombinedOutput()
	c.t.Logf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	return string(out), err
}

// plan returns the exit code of plan -detailed-exitcode: 0 for no change, 2
// for some.
func (c *client) plan(value, file string) int {
	c.t.Helper()
	_, err := c.run("plan", "-input=false", "-no-color", "-detailed-exitcode", "-var=value="+value, "-out="+file)
	if exit := (*exec.ExitError)(nil); err != nil {
		require.ErrorAs(c.t, err, &exit)
		return exit.ExitCode()
	}
	return 0
}

func (c *client) apply(file string, more ...string) (string, error) {
	return c.run(append(append([]string{"apply", "-input=false", "-no-color"}, more...), file)...)
}

func TestTerraformPlansAppliesAndFindsNoChange(t *testing.T) {
	s := serve(t, t.TempDir())
	address := s.URL + "/state/local/dev"
	c := newClient(t, address)
	require.Equal(t, 2, c.plan("one", "p1"))
	require.Equal(t, 2, c.plan("two", "p2"))
	_, err := c.apply("p1")
	require.NoError(t, err)

	out, err := c.apply("p2")
	require.Error(t, err)
	assert.Contains(t, out, "Saved plan is stale")

	other := newClient(t, address)
	assert.Equal(t, 0, other.plan("one", "p3"), "another machine sees the same state")
	out, err = other.run("output", "-raw", "-no-color", "it")
	require.NoError(t, err)
	assert.Equal(t, "one", out)

	status, _ := do(t, s, "LOCK", "/state/local/dev", lockA)
	assert.Equal(t, 200, status, "every lock was given back")
}

func TestTerraformIsKeptOutByALock(t *testing.T) {
	s := serve(t, t.TempDir())
	c := newClient(t, s.URL+"/state/local/dev")
	require.Equal(t, 2, c.plan("one", "p1"))
	do(t, s, "LOCK", "/state/local/dev", lockA)
	out, err := c.apply("p1")
	require.Error(t, err)
	assert.Contains(t, out, "already locked: ID=aaaa")
	do(t, s, "UNLOCK", "/state/local/dev", lockA)
	_, err = c.apply("p1")
	assert.NoError(t, err)
}

// Two applies of two plans made on the same state: one takes effect, the other
// is refused, and the state is the winner's.
func TestTerraformRacingApplies(t *testing.T) {
	s := serve(t, t.TempDir())
	address := s.URL + "/state/local/dev"
	values := []string{"one", "two"}
	clients := make([]*client, len(values))
	for i, value := range values {
		clients[i] = newClient(t, address)
		require.Equal(t, 2, clients[i].plan(value, "p"))
	}
	outs, errs := make([]string, len(values)), make([]error, len(values))
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			outs[i], errs[i] = c.apply("p", "-lock-timeout=60s")
		}()
	}
	wg.Wait()
	winner := 0
	if errs[0] != nil {
		winner = 1
	}
	require.NoError(t, errs[winner])
	require.Error(t, errs[1-winner])
	// The loser of a race for a state that did not exist sees a lineage that
	// is not its plan's.
	assert.Regexp(t, "Saved plan (is stale|does not match)", outs[1-winner])
	out, err := clients[1-winner].run("output", "-raw", "-no-color", "it")
	require.NoError(t, err)
	assert.Equal(t, values[winner], out)
}
