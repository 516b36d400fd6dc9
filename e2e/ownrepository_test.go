//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// blueprint makes a folder of the product a platform's module, which holds none of it.
const blueprint = `{"name": "slipway", "engineVersion": "v0.21.7", "blueprint": {"name": "slipway", "source": "./product"}}`

func commitAll(t testing.TB, dir string) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, ".git")); err != nil {
		git(t, dir, "init", "-q", "-b", "main")
	}
	git(t, dir, "add", "-Af")
	git(t, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "state")
	return git(t, dir, "rev-parse", "HEAD")
}

// platformRepository is a platform's own repository: its rules, its infrastructure and
// its manifests, and the product as the blueprint of its module.
func platformRepository(t *testing.T, apps string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, copyFiles(repository(), filepath.Join(dir, "product")))
	for _, folder := range []string{"infra", "gitops"} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(dir, "product", folder))))
	}
	write(t, filepath.Join(dir, "dagger.json"), blueprint)
	write(t, filepath.Join(dir, "slipway.yaml"), read(t, filepath.Join(dir, "product/slipway.yaml"))+apps)
	return dir
}

// overlays are an app's, as hello has them.
func overlays(t *testing.T, gitops, app string) {
	t.Helper()
	for _, folder := range []string{"base", "overlays/dev", "overlays/staging"} {
		from := filepath.Join(gitops, "apps/hello", folder)
		entries, err := os.ReadDir(from)
		require.NoError(t, err)
		for _, e := range entries {
			write(t, filepath.Join(gitops, "apps", app, folder, e.Name()), strings.ReplaceAll(read(t, filepath.Join(from, e.Name())), "hello", app))
		}
	}
}

func TestAppInARepositoryOfItsOwn(t *testing.T) {
	t.Parallel()
	p := shared
	plat := platformRepository(t, "\napps:\n  shop: {repository: https://git.example/acme/shop, environments: [dev]}\n")
	overlays(t, filepath.Join(plat, "gitops"), "shop")
	platformHead := commitAll(t, plat)
	gitops := p.remote(t)
	overlays(t, filepath.Join(gitops, "gitops"), "shop")
	before := commitAll(t, gitops)
	git(t, gitops, "push", "-q", "origin", "HEAD")

	shop := t.TempDir()
	write(t, filepath.Join(shop, "app.yaml"), "name: shop\ndescription: sells\nbuild: {kind: go, package: .}\nport: 8080\n")
	write(t, filepath.Join(shop, "go.mod"), "module example.org/shop\n\ngo 1.26.0\n")
	write(t, filepath.Join(shop, "main.go"), "package main\n\nimport \"net/http\"\n\nfunc price() int { return 3 }\n\nfunc main() { _ = http.ListenAndServe(\":8080\", nil) }\n")
	write(t, filepath.Join(shop, "main_test.go"), "package main\n\nimport \"testing\"\n\nfunc TestPrice(t *testing.T) {\n\tif price() != 3 {\n\t\tt.Fatal(price())\n\t}\n}\n")
	head := commitAll(t, shop)

	call := func(dir string, args ...string) (string, error) {
		return p.run(dir, slices.Concat([]string{"call", "-m", plat}, p.options(), p.terraform(t), args)...)
	}
	withApp := []string{"with-app", "--name", "shop", "--checkout", "."}
	deliverTo := func(env string) []string {
		return append(slices.Clone(withApp), "deliver", "--app", "shop", "--env", env, "json")
	}

	_, err := call(shop, "deliver", "--app", "shop", "--env", "dev", "json")
	refused(t, err, "app: bad input: app shop: has its code in https://git.example/acme/shop, and no checkout of it is given", "with-app --name shop")
	_, err = call(shop, deliverTo("staging")...)
	refused(t, err, "refused by policy: app shop in environment staging: is not registered for it", "apps.shop.environments")
	assert.False(t, p.pushed(t, "shop"), "nothing was built for it")

	out, err := call(shop, deliverTo("dev")...)
	require.NoError(t, err)
	var r receipt
	require.NoError(t, json.Unmarshal([]byte(out), &r), out)
	assert.Equal(t, head, r.SourceRevision, "of the app's repository, where nothing is uncommitted")
	assert.NotEqual(t, platformHead, r.SourceRevision)
	assert.Equal(t, git(t, shop, "rev-parse", "HEAD^{tree}"), r.SourceTree)
	assert.Equal(t, "gitops/apps/shop/overlays/dev/kustomization.yaml", r.GitopsPath)
	assert.True(t, strings.HasPrefix(r.Image, "localhost:5000/shop@sha256:"), r.Image)
	git(t, gitops, "pull", "-q", "--rebase")
	assert.Contains(t, git(t, gitops, "log", "-1", "--format=%B", before+"..", "--", r.GitopsPath), head)
	assert.Contains(t, read(t, filepath.Join(gitops, r.GitopsPath)), strings.TrimPrefix(r.Image, "localhost:5000/shop@"))

	t.Run("the same commit again is the same release", func(t *testing.T) {
		out, err := call(shop, deliverTo("dev")...)
		require.NoError(t, err)
		var again receipt
		require.NoError(t, json.Unmarshal([]byte(out), &again), out)
		assert.Equal(t, []any{r.Image, r.GitopsCommit, false}, []any{again.Image, again.GitopsCommit, again.ReleaseCreated})
	})
	t.Run("a release by digest names the commit of its provenance", func(t *testing.T) {
		out, err := call(t.TempDir(), "signed", "--app", "shop", "--digest", r.Verdict.Digest, "release", "--env", "dev", "receipt", "json")
		require.NoError(t, err)
		assert.Contains(t, out, head)
	})
	t.Run("what its checkout adds is uncommitted", func(t *testing.T) {
		write(t, filepath.Join(shop, "zz_local.go"), startsAlone)
		defer os.Remove(filepath.Join(shop, "zz_local.go"))
		out, err := call(shop, append(slices.Clone(withApp), "app", "--name", "shop", "build", "uncommitted")...)
		require.NoError(t, err)
		assert.Equal(t, "added zz_local.go", strings.TrimSpace(out))
	})
	t.Run("its own slipway.yaml rules nothing", func(t *testing.T) {
		write(t, filepath.Join(shop, "slipway.yaml"), strings.Replace(read(t, filepath.Join(plat, "slipway.yaml")), "threshold: HIGH", "threshold: CRITICAL", 1))
		write(t, filepath.Join(shop, "go.mod"), "module example.org/shop\n\ngo 1.26.0\n\nrequire golang.org/x/text v0.3.7\n")
		write(t, filepath.Join(shop, "go.sum"), read(t, filepath.Join(plat, "product/apps/legacy/go.sum")))
		write(t, filepath.Join(shop, "main.go"), strings.Replace(read(t, filepath.Join(shop, "main.go")), "import \"net/http\"", "import (\n\t\"net/http\"\n\n\t\"golang.org/x/text/language\"\n)\n\nvar _ = language.English", 1))
		commitAll(t, shop)
		_, err := call(shop, deliverTo("dev")...)
		refused(t, err, "scan: refused by policy: app shop", "CVE-2022-32149", "golang.org/x/text v0.3.7")
	})
}

// A pull request that weakens the rules is judged by those of the branch that it wants
// to enter.
func TestPullRequestCantBringItsOwnRules(t *testing.T) {
	t.Parallel()
	p := shared
	base := source(t, nil)
	request := source(t, map[string]string{"slipway.yaml": strings.Replace(read(t, filepath.Join(base, "slipway.yaml")), "threshold: HIGH", "threshold: CRITICAL", 1)})
	judge := []string{"app", "--name", "legacy", "build", "scan", "digest"}

	_, err := p.call(request, p.options(), judge...)
	require.NoError(t, err, "the control: by its own rules it passes")
	_, err = p.call(request, append(p.options(), "--source", base, "--repository", base), append([]string{"with-app", "--name", "legacy", "--checkout", "."}, judge...)...)
	refused(t, err, "scan: refused by policy: app legacy", "CVE-2022-32149")
}

// An environment takes its rules from the protected branch: a checkout that has others,
// or is ahead of it, changes nothing there.
func TestRulesOfTheProtectedBranch(t *testing.T) {
	t.Parallel()
	p := shared
	dir := source(t, map[string]string{
		"slipway.yaml": strings.Replace(read(t, filepath.Join(p.repo, "slipway.yaml")), "  staging: {}\n", "  staging: {platform: protected}\n", 1) +
			"\nplatform: {remote: http://localhost:5000/gitops.git, branch: platform}\n",
	})
	remote := p.remote(t)
	git(t, remote, "fetch", "-q", dir, "HEAD")
	git(t, remote, "push", "-q", "origin", "FETCH_HEAD:refs/heads/platform")
	before := git(t, remote, "ls-remote", "origin", "main")
	try := func(args ...string) error {
		_, err := p.call(dir, append(p.options(), p.terraform(t)...), args...)
		return err
	}
	release := []string{"deliver", "--app", "hello", "--env", "staging", "--older", "json"}
	apply := []string{"infra", "--env", "staging", "plan", "check", "apply", "outputs"}

	protected := read(t, filepath.Join(dir, "slipway.yaml"))
	write(t, filepath.Join(dir, "slipway.yaml"), strings.Replace(protected, "threshold: HIGH", "threshold: CRITICAL", 1))
	refused(t, try(apply...), "apply: refused by policy: the platform's rules for staging: are not as commit ", "changed slipway.yaml")
	git(t, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qam", "weaker rules")
	for _, effect := range [][]string{apply, release} {
		refused(t, try(effect...), "refused by policy: the platform's rules for staging: are those of commit "+git(t, dir, "rev-parse", "HEAD"), "which is not on http://localhost:5000/gitops.git platform")
	}
	assert.Equal(t, before, git(t, remote, "ls-remote", "origin", "main"), "nothing was released")
	require.NoError(t, try("deliver", "--app", "hello", "--env", "dev", "--older", "json"), "another environment may be changed by them")

	git(t, dir, "reset", "-q", "--hard", "HEAD~1")
	require.NoError(t, try(release...), "the control: the rules of the branch")
}

// A gate does not go when its argument is left out.
func TestACallThatForgetsTheClusterIsRefused(t *testing.T) {
	t.Parallel()
	p := shared
	dir := source(t, map[string]string{
		"slipway.yaml": strings.Replace(read(t, filepath.Join(p.repo, "slipway.yaml")), "  staging: {}\n", "  staging: {cluster: require}\n", 1),
	})
	for _, call := range [][]string{
		{"deliver", "--app", "hello", "--env", "staging", "--older", "json"},
		{"signed", "--app", "hello", "--digest", "sha256:" + strings.Repeat("a", 64), "release", "--env", "staging", "commit"},
		{"infra", "--env", "staging", "plan", "summary"},
		{"rollback", "--app", "hello", "--env", "staging", "commit"},
	} {
		_, err := p.call(dir, append(p.options(), p.terraform(t)...), call...)
		refused(t, err, "bad input: environment staging: is in a cluster, and no kubeconfig is given", "--kubeconfig file:")
	}
	_, err := p.call(dir, append(p.options(), p.terraform(t)...), "infra", "--env", "dev", "plan", "summary")
	require.NoError(t, err, "the control: another environment")
}
