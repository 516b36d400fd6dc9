package registry

import (
	"bytes"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/azure/azuretest"
	"slipway/step/reach"
	"slipway/step/steptest"
)

func password(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

func parse(t *testing.T, args ...string) (Access, error) {
	t.Helper()
	set := flag.NewFlagSet("test", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	flags := AddFlags(set, nil)
	require.NoError(t, set.Parse(args))
	return flags.Access("publish")
}

func TestFlags(t *testing.T) {
	access, err := parse(t)
	require.NoError(t, err)
	assert.Equal(t, Access{Stage: "publish", Connections: reach.Connections{}}, access)
	assert.Equal(t, authn.Anonymous, access.authenticator("localhost:5000"))

	access, err = parse(t, "--connect", "localhost:5000=registry:5000", "--connect", "a:1=b:2", "--username", "ci", "--registry-password-file", password(t, "sword fish\r\n"))
	require.NoError(t, err)
	assert.Equal(t, reach.Connections{"localhost:5000": "registry:5000", "a:1": "b:2"}, access.Connections)
	assert.Equal(t, &authn.Basic{Username: "ci", Password: "sword fish"}, access.authenticator("localhost:5000"))

	for what, tc := range map[string]struct {
		args          []string
		input, reason string
	}{
		"a connection":  {[]string{"--connect", "localhost=registry:5000"}, `--connect "localhost=registry:5000"`, "is not LOGICAL=ACTUAL"},
		"twice":         {[]string{"--connect", "a:1=b:1", "--connect", "a:1=c:1"}, `--connect "a:1=c:1"`, "leads elsewhere than before: a:1=b:1"},
		"user alone":    {[]string{"--username", "u"}, "--username and --registry-password-file", "is one without the other"},
		"password only": {[]string{"--registry-password-file", password(t, "x")}, "--username and --registry-password-file", "is one without the other"},
		"no file":       {[]string{"--username", "u", "--registry-password-file", "/nonexistent"}, "--registry-password-file /nonexistent", "can't be read: no such file or directory"},
		"half of Azure": {[]string{"--username", "{", "--registry-password-file", password(t, "x")}, "Azure", "unexpected EOF"},
	} {
		_, err := parse(t, tc.args...)
		f := steptest.Refused(t, err)
		assert.Equal(t, step.KindInput, f.Kind, what)
		assert.Equal(t, "publish", f.Stage, what)
		assert.Contains(t, f.Input, tc.input, what)
		assert.Contains(t, f.Reason, tc.reason, what)
	}
	_, err = parse(t, "--username", "u", "--registry-password-file", password(t, "\n"))
	input(t, err, "is empty")
}

// Without credentials, with wrong ones and with the right ones: they reach the
// registry alone, and nobody else reads them.
func TestCredentialsReachOnlyTheRegistry(t *testing.T) {
	s := serve(t)
	const secret = "correct horse"
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		user, given, _ := r.BasicAuth()
		if user == "pusher" && given == secret {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	elsewhere := serve(t)
	elsewhere.on(func(w http.ResponseWriter, r *http.Request) bool {
		assert.Empty(t, r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, "blob") // the client may be gone
		return true
	})
	var said bytes.Buffer
	d := blobOf("blob")
	for _, given := range []string{"", "wrong-" + secret} {
		access := s.access("publish")
		if given != "" {
			require.NoError(t, access.SignIn("pusher", password(t, given)))
		}
		access.Say = func(format string, args ...any) { fprintf(&said, format, args...) }
		_, err := New(access, s.repo, Pull).Has(t.Context(), d)
		f := steptest.Refused(t, err)
		assert.Equal(t, step.KindInput, f.Kind)
		assert.Equal(t, "registry localhost:5000", f.Input)
		assert.Equal(t, "look for localhost:5000/hello@"+d.Digest.String()+": credentials refused with status 401", f.Reason)
		assert.Contains(t, f.Mend, "access to localhost:5000/hello")
		assert.NotContains(t, f.Error()+said.String(), secret)
	}
	access := s.access("publish")
	require.NoError(t, access.SignIn("pusher", password(t, secret+"\n")))
	c := New(access, s.repo, Push)
	uploaded, err := c.Add(t.Context(), d, opened("blob"))
	require.NoError(t, err)
	assert.True(t, uploaded)

	// A redirect takes nothing along.
	signed := s.hook
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if !signed(w, r) {
			http.Redirect(w, r, elsewhere.URL+"/blob", http.StatusTemporaryRedirect)
		}
		return true
	})
	data, err := c.Read(t.Context(), d)
	require.NoError(t, err)
	assert.Equal(t, "blob", string(data))
	assert.Equal(t, 1, elsewhere.count("GET /blob"))
}

func TestAnIdentityReachesAzure(t *testing.T) {
	a := azuretest.Start(t)
	inner, denied := newFake(), false
	a.Hosts[azuretest.Registry] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if denied {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		inner.ServeHTTP(w, r)
	})
	identity, file := a.Identity()
	client := func() *Client {
		access := Access{Stage: "scan", Pause: 1}
		require.NoError(t, access.SignIn(identity.String(), file))
		repo, err := ParseRepository("scan", "repository", azuretest.Registry+"/slipway/trivy-db")
		require.NoError(t, err)
		return New(access, repo, Push)
	}
	c := client()
	require.NoError(t, c.Tag(t.Context(), "2", manifestType, []byte(emptyIndex)))
	d, _, err := c.Tagged(t.Context(), "2")
	require.NoError(t, err)
	assert.Equal(t, manifestOf(emptyIndex).Digest, d.Digest)
	assert.Contains(t, a.Asked(), "POST "+azuretest.Registry+"/oauth2/exchange 200")

	denied = true
	_, _, err = c.Tagged(t.Context(), "2")
	f := steptest.Refused(t, err)
	assert.Equal(t, step.KindInput, f.Kind)
	assert.Equal(t, "repository "+azuretest.Registry+"/slipway/trivy-db", f.Input)
	assert.Contains(t, f.Mend, "Container Registry Repository Writer")

	a.Refuse["login.azure.test"] = http.StatusBadRequest
	denied = false
	_, _, err = client().Tagged(t.Context(), "2")
	input(t, err, "Entra refuses the identity with status 400")
}

// What was encrypted up to the registry stays it, even where a redirect leads to this
// machine.
func TestARedirectOfARegistryStaysEncrypted(t *testing.T) {
	a, elsewhere := azuretest.Start(t), serve(t)
	a.Hosts[azuretest.Registry] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+"/blob", http.StatusTemporaryRedirect)
	})
	identity, file := a.Identity()
	access := Access{Stage: "pull", Pause: 1}
	require.NoError(t, access.SignIn(identity.String(), file))
	repo, err := ParseRepository("pull", "repository", azuretest.Registry+"/hello")
	require.NoError(t, err)
	_, err = New(access, repo, Pull).Read(t.Context(), blobOf("blob"))
	f := steptest.Refused(t, err)
	assert.Equal(t, []any{step.KindInput, "registry " + azuretest.Registry}, []any{f.Kind, f.Input})
	assert.Contains(t, f.Reason, "redirects from HTTPS to plain HTTP, to "+elsewhere.Listener.Addr().String())
	assert.Zero(t, elsewhere.count(""))
}

// An identity's token goes to no registry outside of its cloud.
func TestAnIdentityIsNobodyElsewhere(t *testing.T) {
	a, s := azuretest.Start(t), serve(t)
	s.on(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("WWW-Authenticate", `Basic realm="all"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	access := s.access("publish")
	identity, file := a.Identity()
	identity.MetadataHost, identity.Proxy = "", ""
	require.NoError(t, access.SignIn(identity.String(), file))
	_, _, err := New(access, s.repo, Pull).Manifest(t.Context(), blobOf("x").Digest)
	input(t, err, "is no registry of the identity's cloud: their names end in .azurecr.io")
	assert.Empty(t, a.Tokens(), "no token was minted for it")
}
