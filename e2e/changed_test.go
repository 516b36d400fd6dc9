//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a push has changed is delivered, and what is refused stops nothing else.
func TestDeliverWhatAPushHasChanged(t *testing.T) {
	p := shared
	dir := source(t, nil)
	since := git(t, dir, "rev-parse", "HEAD")
	options := append(p.options(), p.terraform(t)...)
	deliver := func(since string, args ...string) (string, error) {
		return p.call(dir, options, append([]string{"deliver-changed", "--since", since, "--env", "dev", "--older"}, args...)...)
	}
	before := git(t, p.remote(t), "rev-parse", "HEAD")
	out, err := deliver(since, "check", "text")
	require.NoError(t, err)
	assert.Equal(t, "no app has changed\n", out)
	assert.Equal(t, before, git(t, p.remote(t), "rev-parse", "HEAD"))

	for _, app := range []string{"hello", "legacy"} {
		write(t, dir+"/apps/"+app+"/CHANGES.md", "changed\n")
	}
	git(t, dir, "add", "-A")
	git(t, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "a push")
	out, err = deliver(since, "json")
	require.NoError(t, err, "what became of each is a result")
	var rows []struct {
		App, Image, Commit, Refusal, Kind string
		Created                           bool
	}
	require.NoError(t, json.Unmarshal([]byte(out), &rows), out)
	require.Len(t, rows, 2)
	assert.Equal(t, "hello", rows[0].App)
	assert.Empty(t, rows[0].Refusal)
	assert.True(t, rows[0].Created)
	_, digest, _ := strings.Cut(rows[0].Image, "@")
	assert.Contains(t, read(t, p.remote(t)+"/gitops/apps/hello/overlays/dev/kustomization.yaml"), digest)
	assert.Equal(t, "legacy policy", rows[1].App+" "+rows[1].Kind)
	assert.Contains(t, rows[1].Refusal, "CVE-2022-32149")
	assert.False(t, p.pushed(t, "legacy"))

	_, err = deliver(since, "check", "text")
	refused(t, err, "deliver: refused by policy: environment dev: 1 of 2 changed apps are not delivered", "legacy: scan: refused by policy", "CVE-2022-32149")
	_, err = deliver("main", "text")
	refused(t, err, `bad input: --since "main": is no commit's id`)
}
