package accounts_test

import (
	"context"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sandbox/host/accounts"
	"slipway/sandbox/host/gitserver"
	"slipway/sandbox/host/server"
)

func TestMain(m *testing.M) {
	// The remote's hook is a copy of the program that serves it.
	if code, hook := gitserver.AsHook(context.Background()); hook {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// environments are those of the tests' sandboxes.
var environments = []string{"dev", "production"}

// serve serves a sandbox and returns its address and accounts.
func serve(t *testing.T, open bool) (string, accounts.Accounts) {
	t.Helper()
	data := t.TempDir()
	who, err := accounts.Load(filepath.Join(data, server.AccountsFile), environments...)
	require.NoError(t, err)
	listener, err := server.Listen("127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, data, listener, "", server.Access{Everybody: open, Environments: environments})
	}()
	t.Cleanup(func() {
		stop()
		assert.NoError(t, <-ended)
	})
	return listener.Addr().String(), who
}

// status is the answer to a request of an account; the empty one is nobody's.
func status(t *testing.T, method, url string, as accounts.Account) (int, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	if as.Username != "" {
		request.SetBasicAuth(as.Username, as.Password)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode, response.Header
}

func TestEveryWriteNeedsItsOwnAccount(t *testing.T) {
	address, who := serve(t, false)
	const devState, otherState = "state/dev", "state/production"
	pushers := []accounts.Purpose{accounts.Platform, "gitops/dev", "gitops/production"}
	for request, purposes := range map[string][]accounts.Purpose{
		"POST /v2/hello/blobs/uploads/":                               {accounts.Images},
		"PUT /v2/hello/manifests/latest":                              {accounts.Images},
		"PATCH /v2/hello/blobs/uploads/x":                             {accounts.Images},
		"DELETE /v2/hello/manifests/latest":                           {accounts.Images},
		"BREW /v2/hello/manifests/latest":                             {accounts.Images},
		"POST /v2/test/slipway/blobs/uploads/":                        {accounts.Images},
		"POST /v2/hello/blobs/uploads/?mount=sha256:x&from=slipway":   {accounts.Images},
		"POST /v2/slipway/trivy-db/blobs/uploads/":                    {accounts.Database},
		"PUT /v2/slipway/blobs/uploads/manifests/1":                   {accounts.Database},
		"POST /v2/slipway%2Ftrivy-db/blobs/uploads/":                  {accounts.Database},
		"POST /v2/toolbox/blobs/uploads/":                             {accounts.Toolbox},
		"PUT /v2/node/manifests/latest":                               {accounts.Toolbox},
		"GET /gitops.git/info/refs?service=git-receive-pack":          pushers,
		"GET /gitops.git/info/refs?service=x&service=git-upload-pack": pushers,
		"POST /gitops.git/git-receive-pack":                           pushers,
		"POST /gitops.git/git-receive-pack?service=git-upload-pack":   pushers,
		"PUT /gitops.git/HEAD":                                        pushers,
		"GET /state/local/dev":                                        {devState},
		"LOCK /state/local/dev":                                       {devState},
		"POST /state/local/dev":                                       {devState},
		"GET /state/local/production":                                 {otherState},
		"POST /state/local/production?ID=/dev":                        {otherState},
		"GET /state/dev/production":                                   {otherState},
		"GET /state/local/production%2Fdev":                           {accounts.Platform},
		"GET /state/local/production/dev":                             {accounts.Platform},
		"GET /state/dev":                                              {accounts.Platform},
		"GET /":                                                       {accounts.Platform},
	} {
		t.Run(request, func(t *testing.T) {
			method, path, _ := strings.Cut(request, " ")
			url := "http://" + address + path
			code, header := status(t, method, url, accounts.Account{})
			assert.Equal(t, http.StatusUnauthorized, code)
			assert.Contains(t, header.Get("WWW-Authenticate"), "Basic ")
			code, _ = status(t, method, url, accounts.Account{Username: who[purposes[0]].Username, Password: "guessed"})
			assert.Equal(t, http.StatusUnauthorized, code)
			for _, other := range accounts.Purposes(environments...) {
				code, _ := status(t, method, url, who[other])
				if slices.Contains(purposes, other) {
					assert.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, code, other)
				} else {
					assert.Equal(t, http.StatusForbidden, code, other)
				}
			}
		})
	}
}

func TestEverybodyReads(t *testing.T) {
	address, who := serve(t, false)
	for path, want := range map[string]int{
		"/v2/hello/tags/list":                           http.StatusNotFound,
		"/v2/slipway/trivy-db/manifests/2":              http.StatusNotFound,
		"/gitops.git/info/refs?service=git-upload-pack": http.StatusOK,
		"/gitops.git/HEAD":                              http.StatusOK,
	} {
		for _, as := range []accounts.Account{{}, who[accounts.State("dev")], {Username: "nobody", Password: "x"}} {
			code, _ := status(t, http.MethodGet, "http://"+address+path, as)
			if as.Username == "nobody" {
				assert.Equal(t, http.StatusUnauthorized, code, path)
			} else {
				assert.Equal(t, want, code, path)
			}
		}
	}
	// Who is nobody gets no list of what there is.
	code, _ := status(t, http.MethodGet, "http://"+address+"/v2/_catalog", accounts.Account{})
	assert.Equal(t, http.StatusUnauthorized, code)
	code, _ = status(t, http.MethodGet, "http://"+address+"/v2/_catalog", who[accounts.Toolbox])
	assert.Equal(t, http.StatusOK, code)
}

func TestClients(t *testing.T) {
	address, who := serve(t, false)
	push := func(repository string, as accounts.Account) error {
		reference, err := name.ParseReference(address + "/" + repository + ":1")
		require.NoError(t, err)
		return remote.Write(reference, empty.Image, remote.WithAuth(&authn.Basic{Username: as.Username, Password: as.Password}))
	}
	require.NoError(t, push("hello", who[accounts.Images]))
	require.NoError(t, push("slipway/trivy-db", who[accounts.Database]))
	var failed *transport.Error
	require.ErrorAs(t, push("slipway/other", who[accounts.Images]), &failed)
	assert.Equal(t, http.StatusForbidden, failed.StatusCode)
	require.ErrorAs(t, push("other", accounts.Account{}), &failed)
	assert.Equal(t, http.StatusUnauthorized, failed.StatusCode)
	reference, err := name.ParseReference(address + "/hello:1")
	require.NoError(t, err)
	_, err = remote.Get(reference)
	require.NoError(t, err, "everybody reads")

	tree := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(tree, "file"), nil, 0o644))
	at := gitserver.Remote{URL: "http://" + address + "/" + gitserver.Repository, Account: who[accounts.Images]}
	_, err = gitserver.Seed(t.Context(), at, tree, "gitops")
	require.ErrorContains(t, err, "403")
	assert.NotContains(t, err.Error(), at.Account.Password)
	at.Account = who[accounts.GitOps("dev")]
	_, err = gitserver.Seed(t.Context(), at, tree, "gitops")
	require.ErrorContains(t, err, "refused: the account gitops/dev may change nothing but gitops/apps/*/overlays/dev/**")
	at.Account = who[accounts.Platform]
	seeded, err := gitserver.Seed(t.Context(), at, tree, "gitops")
	require.NoError(t, err)
	assert.True(t, seeded.Seeded)
}

func TestOpen(t *testing.T) {
	address, _ := serve(t, true)
	code, _ := status(t, http.MethodPost, "http://"+address+"/v2/slipway/trivy-db/blobs/uploads/", accounts.Account{})
	assert.Equal(t, http.StatusAccepted, code)
}

func TestFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "accounts.json")
	first, err := accounts.Load(file, environments...)
	require.NoError(t, err)
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	assert.ElementsMatch(t, []accounts.Purpose{
		"images", "database", "toolbox", "platform", "gitops/dev", "gitops/production", "state/dev", "state/production",
	}, slices.Collect(maps.Keys(first)))
	usernames, passwords := map[string]bool{}, map[string]bool{}
	for _, account := range first {
		assert.GreaterOrEqual(t, len(account.Password), 26)
		usernames[account.Username], passwords[account.Password] = true, true
	}
	assert.Len(t, usernames, len(first))
	assert.Len(t, passwords, len(first))
	second, err := accounts.Load(file)
	require.NoError(t, err)
	assert.Equal(t, first, second, "an environment that a start does not name keeps its accounts")
	third, err := accounts.Load(file, "staging")
	require.NoError(t, err)
	assert.Len(t, third, len(first)+2)
	assert.Subset(t, third, first)
	again, err := accounts.Read(file)
	require.NoError(t, err)
	assert.Equal(t, third, again)

	for content, want := range map[string]string{
		"{":                                "is not a file of accounts",
		`{"images":{"username":"images"}}`: `no password for "images"`,
		`{"images":{"username":"images","password":3, "s3cret"`: "is not a file of accounts",
	} {
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		_, err := accounts.Load(file)
		require.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "remove it")
		assert.NotContains(t, err.Error(), "s3cret")
	}
	_, err = accounts.Read(filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, os.ErrNotExist)
	for _, environment := range []string{"", "a/b"} {
		_, err = accounts.Load(filepath.Join(t.TempDir(), "accounts.json"), environment)
		require.ErrorContains(t, err, "is not the name of an environment")
	}
}

// A file of before keeps what still has a purpose, and the rest opens nothing any more.
func TestAnOlderFileIsTakenFurther(t *testing.T) {
	file := filepath.Join(t.TempDir(), "accounts.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"images":{"username":"i","password":"1"},"gitops":{"username":"g","password":"2"},"state":{"username":"s","password":"3"}}`), 0o600))
	all, err := accounts.Load(file, "dev")
	require.NoError(t, err)
	assert.Equal(t, accounts.Account{Username: "i", Password: "1"}, all[accounts.Images])
	assert.ElementsMatch(t, accounts.Purposes("dev"), slices.Collect(maps.Keys(all)))
}

func TestWhatAJobForOneEnvironmentGets(t *testing.T) {
	all, err := accounts.Load(filepath.Join(t.TempDir(), "accounts.json"), environments...)
	require.NoError(t, err)
	dev, err := all.Of("dev")
	require.NoError(t, err)
	assert.Equal(t, accounts.Accounts{"images": all["images"], "gitops/dev": all["gitops/dev"], "state/dev": all["state/dev"]}, dev)
	_, err = dev.Of("production")
	require.ErrorContains(t, err, "no account for gitops/production")
}
