package gitserver

import (
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sandbox/host/accounts"
)

func TestMain(m *testing.M) {
	// The remote's hook is a copy of the program that serves it.
	if code, hook := AsHook(context.Background()); hook {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// guardedRemote is a remote that has accounts.
type guardedRemote struct {
	t   *testing.T
	url string
	who accounts.Accounts
}

const (
	devOverlay        = "gitops/apps/hello/overlays/dev/kustomization.yaml"
	productionOverlay = "gitops/apps/hello/overlays/production/kustomization.yaml"
	base              = "gitops/apps/hello/base/deployment.yaml"
)

// newGuarded is a remote with an app of two environments on its branch.
func newGuarded(t *testing.T) guardedRemote {
	t.Helper()
	handler, err := New(t.Context(), t.TempDir(), true)
	require.NoError(t, err)
	g := guardedRemote{t: t, who: accounts.Accounts{}}
	for _, purpose := range accounts.Purposes("dev", "production") {
		g.who[purpose] = accounts.Account{Username: strings.ReplaceAll(string(purpose), "/", "-"), Password: "secret of " + string(purpose)}
	}
	server := httptest.NewServer(g.who.Protect(handler))
	t.Cleanup(server.Close)
	g.url = server.URL + "/" + Repository
	tree := t.TempDir()
	for _, name := range []string{devOverlay, productionOverlay, base, "gitops/argocd/apps.yaml", "gitops/platform/policy.yaml"} {
		put(t, tree, strings.TrimPrefix(name, "gitops/"), "a: b\n")
	}
	_, err = Seed(t.Context(), Remote{URL: g.url, Account: g.who[accounts.Platform]}, tree, "gitops")
	require.NoError(t, err)
	return g
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
}

// commits commits all that a clone has, and returns the commit.
func commits(t *testing.T, dir string) string {
	t.Helper()
	git(t, dir, "add", "--all", "--force")
	git(t, dir, "commit", "--quiet", "--allow-empty", "--message=Change")
	return git(t, dir, "rev-parse", "HEAD")
}

// push pushes from a clone as the account of a purpose.
func (g guardedRemote) push(as accounts.Purpose, dir string, refs ...string) error {
	_, err := Remote{URL: g.url, Account: g.who[as]}.run(g.t.Context(), dir, append([]string{"push", "--quiet", g.url}, refs...)...)
	return err
}

// refs are all that the remote has.
func (g guardedRemote) refs() string { return git(g.t, "", "ls-remote", g.url) }

func TestAnEnvironmentsAccountChangesItsOverlaysOnly(t *testing.T) {
	const dev = accounts.Purpose("gitops/dev")
	// ahead is a remote with a branch that has more of the platform.
	ahead := func(t *testing.T) guardedRemote {
		g := newGuarded(t)
		dir := clone(t, g.url)
		put(t, dir, "gitops/platform/ahead.yaml", "a: b\n")
		commits(t, dir)
		require.NoError(t, g.push(accounts.Platform, dir, "HEAD:ahead"))
		return g
	}
	refusing := ahead(t)
	write := func(names ...string) func(*testing.T, string) []string {
		return func(t *testing.T, dir string) []string {
			for _, name := range names {
				put(t, dir, name, "c: d\n")
			}
			commits(t, dir)
			return []string{"HEAD:main"}
		}
	}
	for name, test := range map[string]struct {
		// change changes a clone and returns the refs to push.
		change func(t *testing.T, dir string) []string
		// refused is what the refusal names; empty where the push lands.
		refused string
	}{
		"its overlay":           {write(devOverlay), ""},
		"another app's, too":    {write(devOverlay, "gitops/apps/other/overlays/dev/patches/memory.yaml"), ""},
		"another environment's": {write(productionOverlay), productionOverlay},
		"both":                  {write(devOverlay, productionOverlay), productionOverlay},
		"the base":              {write(base), base},
		"Argo CD's objects":     {write("gitops/argocd/apps.yaml"), "gitops/argocd/apps.yaml"},
		"the platform":          {write("gitops/platform/policy.yaml"), "gitops/platform/policy.yaml"},
		"a file of the root":    {write(".gitattributes"), ".gitattributes"},
		"another root":          {write("x/" + devOverlay), "x/" + devOverlay},
		"a longer name":         {write("gitops/apps/hello/overlays/dev2/kustomization.yaml"), "overlays/dev2/"},
		"a deeper folder":       {write("gitops/apps/hello/base/overlays/dev/kustomization.yaml"), "hello/base/overlays/dev"},
		"another environment's folder of its name": {write("gitops/apps/hello/overlays/production/overlays/dev/x"), "production/overlays/dev/x"},
		"a name with a line break":                 {write("gitops/platform/a\nb"), `"gitops/platform/a\nb"`},
		"the overlay's folder as a file": {func(t *testing.T, dir string) []string {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, filepath.Dir(devOverlay))))
			put(t, dir, filepath.Dir(devOverlay), "x")
			commits(t, dir)
			return []string{"HEAD:main"}
		}, `changes "gitops/apps/hello/overlays/dev"`},
		"a file taken away": {func(t *testing.T, dir string) []string {
			require.NoError(t, os.Remove(filepath.Join(dir, devOverlay)))
			commits(t, dir)
			return []string{"HEAD:main"}
		}, ""},
		"a rename out of the folder": {func(t *testing.T, dir string) []string {
			git(t, dir, "mv", devOverlay, "gitops/apps/hello/base/kustomization.yaml")
			commits(t, dir)
			return []string{"HEAD:main"}
		}, "gitops/apps/hello/base/kustomization.yaml"},
		"a rename into the folder": {func(t *testing.T, dir string) []string {
			git(t, dir, "mv", base, "gitops/apps/hello/overlays/dev/deployment.yaml")
			commits(t, dir)
			return []string{"HEAD:main"}
		}, base},
		"a symlink": {func(t *testing.T, dir string) []string {
			require.NoError(t, os.Symlink("../production/kustomization.yaml", filepath.Join(dir, "gitops/apps/hello/overlays/dev/link.yaml")))
			commits(t, dir)
			return []string{"HEAD:main"}
		}, `overlays/dev/link.yaml" into what is no file (mode 120000)`},
		"the folder as a symlink": {func(t *testing.T, dir string) []string {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, filepath.Dir(devOverlay))))
			require.NoError(t, os.Symlink("production", filepath.Join(dir, filepath.Dir(devOverlay))))
			commits(t, dir)
			return []string{"HEAD:main"}
		}, `changes "gitops/apps/hello/overlays/dev"`},
		"another repository as a folder": {func(t *testing.T, dir string) []string {
			git(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+git(t, dir, "rev-parse", "HEAD")+",gitops/apps/hello/overlays/dev/sub")
			git(t, dir, "commit", "--quiet", "--message=Change")
			return []string{"HEAD:main"}
		}, "(mode 160000)"},
		"what a later commit takes back": {func(t *testing.T, dir string) []string {
			write(productionOverlay)(t, dir)
			put(t, dir, productionOverlay, "a: b\n")
			put(t, dir, devOverlay, "c: d\n")
			commits(t, dir)
			return []string{"HEAD:main"}
		}, productionOverlay},
		"a new branch": {func(t *testing.T, dir string) []string {
			write(devOverlay)(t, dir)
			return []string{"HEAD:proposal"}
		}, ""},
		"a new branch with more": {func(t *testing.T, dir string) []string {
			write(devOverlay, base)(t, dir)
			return []string{"HEAD:proposal"}
		}, base},
		"a new branch from nothing": {func(t *testing.T, dir string) []string {
			git(t, dir, "checkout", "--quiet", "--orphan", "other")
			commits(t, dir)
			return []string{"HEAD:proposal"}
		}, `"refs/heads/proposal" is new and does not leave the branch main`},
		"two refs": {func(t *testing.T, dir string) []string {
			write(devOverlay)(t, dir)
			good := git(t, dir, "rev-parse", "HEAD")
			write(productionOverlay)(t, dir)
			return []string{good + ":main", "HEAD:refs/heads/proposal"}
		}, `"refs/heads/proposal" changes "` + productionOverlay},
		"a tag": {func(t *testing.T, dir string) []string { return []string{"HEAD:refs/tags/v1"} }, `"refs/tags/v1" is no branch`},
		"a merge of what the branch has": {func(t *testing.T, dir string) []string {
			write(devOverlay)(t, dir)
			git(t, dir, "merge", "--quiet", "--no-ff", "--no-edit", "origin/ahead")
			return []string{"HEAD:ahead"}
		}, ""},
		"a merge of another branch": {func(t *testing.T, dir string) []string {
			write(devOverlay)(t, dir)
			git(t, dir, "merge", "--quiet", "--no-ff", "--no-edit", "origin/ahead")
			return []string{"HEAD:main"}
		}, "gitops/platform/ahead.yaml"},
		"another branch": {func(t *testing.T, dir string) []string { return []string{"origin/ahead:refs/heads/main"} }, "gitops/platform/ahead.yaml"},
		"a merge that changes more than what it merges": {func(t *testing.T, dir string) []string {
			write(devOverlay)(t, dir)
			git(t, dir, "merge", "--quiet", "--no-ff", "--no-commit", "origin/ahead")
			put(t, dir, "gitops/platform/ahead.yaml", "c: d\n")
			commits(t, dir)
			// Another merge takes it back: no other commit changes the file.
			git(t, dir, "checkout", "--quiet", "origin/ahead", "--", "gitops/platform/ahead.yaml")
			back := git(t, dir, "commit-tree", "-p", "HEAD", "-p", "origin/ahead", "-m", "Merge", git(t, dir, "write-tree"))
			return []string{back + ":refs/heads/ahead"}
		}, "gitops/platform/ahead.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			g := refusing
			if test.refused == "" {
				g = ahead(t)
			}
			dir := clone(t, g.url)
			refs := test.change(t, dir)
			before := g.refs()
			err := g.push(dev, dir, refs...)
			if test.refused == "" {
				require.NoError(t, err)
				assert.NotEqual(t, before, g.refs())
				return
			}
			require.ErrorContains(t, err, "refused: the account gitops/dev may change nothing but gitops/apps/*/overlays/dev/**: ")
			require.ErrorContains(t, err, test.refused)
			require.ErrorContains(t, err, "mend: release to dev with it, and push everything else as platform")
			assert.Equal(t, before, g.refs(), "no ref of a refused push has moved")
		})
	}
}

// Who is let in, and is neither the platform's nor an environment's, pushes nothing.
func TestOtherAccountsPushNothing(t *testing.T) {
	g := newGuarded(t)
	dir := clone(t, g.url)
	put(t, dir, devOverlay, "c: d\n")
	commits(t, dir)
	for _, who := range []accounts.Purpose{"", accounts.Images, "gitops/", "state/dev", "gitops"} {
		require.ErrorContains(t, judge(t.Context(), who, strings.NewReader("")), "pushes nothing here", who)
	}
	before := g.refs()
	require.ErrorContains(t, g.push("gitops/production", dir, "HEAD:main"), "the account gitops/production may change nothing but gitops/apps/*/overlays/production/**")
	require.ErrorContains(t, g.push(accounts.State("dev"), dir, "HEAD:main"), "403")
	assert.Equal(t, before, g.refs())
	require.NoError(t, g.push("gitops/dev", dir, "HEAD:main"))
}

func TestAnEmptyRepositoryIsThePlatforms(t *testing.T) {
	handler, err := New(t.Context(), t.TempDir(), true)
	require.NoError(t, err)
	who := accounts.Accounts{"gitops/dev": {Username: "dev", Password: "x"}}
	server := httptest.NewServer(who.Protect(handler))
	defer server.Close()
	g := guardedRemote{t, server.URL + "/" + Repository, who}
	dir := clone(t, g.url)
	put(t, dir, devOverlay, "a: b\n")
	commits(t, dir)
	require.ErrorContains(t, g.push("gitops/dev", dir, "HEAD:main"), `"refs/heads/main" is new and does not leave the branch main`)
	assert.Empty(t, g.refs())
}

// A repository that everybody may push to has no hook, also where it had one.
func TestAnOpenRepositoryHasNoHook(t *testing.T) {
	data := t.TempDir()
	at := filepath.Join(data, Repository, "hooks", hook)
	_, err := New(t.Context(), data, true)
	require.NoError(t, err)
	info, err := os.Stat(at)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&0o111)
	_, err = New(t.Context(), data, true)
	require.NoError(t, err, "it is put there at every start")
	_, err = New(t.Context(), data, false)
	require.NoError(t, err)
	assert.NoFileExists(t, at)
}

func TestWhatGitTellsIsReadWhole(t *testing.T) {
	const line = ":100644 100644 1111111 2222222 M\x00"
	require.NoError(t, judgeDiff("", "dev"))
	require.NoError(t, judgeDiff(line+devOverlay+"\x00", "dev"))
	require.NoError(t, judgeDiff("::100644 100644 100755 1111111 2222222 3333333 MM\x00"+devOverlay+"\x00", "dev"))
	for _, diff := range []string{"x", line, line + devOverlay + "\x00" + line, ":\x00" + devOverlay + "\x00", "100644 M\x00" + devOverlay + "\x00", line + "\x00", "\x00"} {
		require.Error(t, judgeDiff(diff, "dev"), "%q", diff)
	}
}
