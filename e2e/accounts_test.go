//go:build e2e

package e2e

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who writes to the sandbox needs the account of what is written: the pipeline is
// given another purpose's, a wrong one or none.
func TestWhoWritesNeedsItsAccount(t *testing.T) {
	p := shared
	digest := published(t, p)
	// An image that the registry doesn't have.
	dir := source(t, map[string]string{
		"apps/hello/greeting/extra.go": "package greeting\n\n// Extra makes another image.\nconst Extra = \"" + random() + "\"\n",
		// The environment's infrastructure is not what this is about.
		"slipway.yaml": strings.Replace(read(t, p.repo+"/slipway.yaml"), "production: {}", "production: {infra: ignore}", 1),
	})
	key := []string{"--key", "file:" + p.file("keys/cosign.key"), "--key-password", "file:" + p.file("password")}
	with := func(accounts any) []string {
		content, err := json.Marshal(accounts)
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "accounts.json")
		require.NoError(t, os.WriteFile(file, content, 0o600))
		return append([]string{"--sandbox", "tcp://" + p.sandbox, "--accounts", "file:" + file}, key...)
	}
	// exchanged are the accounts with one purpose's given for another's.
	exchanged := func(purpose, other string) []string {
		accounts := maps.Clone(p.accounts)
		accounts[purpose] = accounts[other]
		return with(accounts)
	}
	// of are the accounts for dev alone; as names them as those for another environment.
	of := func(as string) []string {
		return with(map[string]any{
			"images": p.accounts["images"], "gitops/" + as: p.accounts["gitops/dev"], "state/" + as: p.accounts["state/dev"],
		})
	}
	release := []string{"signed", "--app", "hello", "--digest", digest, "release", "--env", "production", "--older", "commit"}
	plan := []string{"infra", "--env", infraEnvironment, "plan", "changes"}
	publish := []string{"app", "--name", "hello", "build", "scan", "publish", "reference"}
	before := git(t, p.remote(t), "rev-parse", "HEAD")
	for name, test := range map[string]struct {
		options []string
		call    []string
		want    []string
	}{
		"images, by nobody":      {append([]string{"--sandbox", "tcp://" + p.sandbox}, key...), publish, []string{"publish: bad input: registry localhost:5000", "refused with status 401"}},
		"images, by database's":  {exchanged("images", "database"), publish, []string{"publish: bad input: registry localhost:5000", "refused with status 403"}},
		"a database, by images'": {exchanged("database", "images"), []string{"publish-database"}, []string{"localhost:5000", "403"}},
		"a release, by images'": {
			exchanged("gitops/production", "images"), release,
			[]string{"release: bad input: ", "gitops.git", "refuses these credentials"},
		},
		"a plan, by images'": {
			append(exchanged("state/"+infraEnvironment, "images"), p.terraform(t)...), plan, []string{"plan: bad input: state: refuses these credentials", "invalid auth"},
		},
		"accounts without one": {with(map[string]any{"images": p.accounts["images"]}), []string{"publish-database"}, []string{"scan: bad input: accounts: have none for database"}},
		"a release, by dev's":  {of("dev"), release, []string{"release: bad input: accounts: have none for gitops/production"}},
		"a plan, by dev's":     {append(of("dev"), p.terraform(t)...), plan, []string{"plan: bad input: accounts: have none for state/" + infraEnvironment}},
		"a release, by dev's as production's": {
			of("production"), release, []string{"release: refused by policy: ", "the account gitops/dev may change nothing but gitops/apps/*/overlays/dev/**", "overlays/production/kustomization.yaml"},
		},
		"a plan, by dev's as another's": {
			append(of(infraEnvironment), p.terraform(t)...), plan, []string{"plan: bad input: state: refuses these credentials", "invalid auth"},
		},
		"no accounts": {with([]string{"PASSWORD"}), publish, []string{"config: bad input: accounts: are not a JSON object of accounts"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.call(dir, test.options, test.call...)
			refused(t, err, test.want...)
			for _, account := range p.accounts {
				assert.NotContains(t, err.Error(), account.Password)
			}
		})
	}
	assert.Equal(t, before, git(t, p.remote(t), "rev-parse", "HEAD"))

	reference, err := p.call(dir, of("dev"), publish...)
	require.NoError(t, err)
	assert.Contains(t, reference, "localhost:5000/hello@sha256:")
}
