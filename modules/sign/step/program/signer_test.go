package program

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	fake "github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/drill/sigstore/standin"
	"slipway/drill/sigstore/standintest"
	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
	"slipway/step"
	"slipway/step/result/sign"
)

// signed is what sign and attest return.
type signedResult struct {
	Signed                    bool
	KeyHint, Identity, Issuer string
	Referrer                  string
	Degraded                  *sign.Degraded
}

// fakeKMS is a stand-in for a key management service: it keeps one key.
func fakeKMS(t *testing.T) OpenKMS {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return func(_ context.Context, stage, uri, credentials string) (bundle.Keypair, error) {
		assert.Equal(t, "sign", stage)
		assert.Equal(t, "hashivault://release", uri)
		assert.Equal(t, "/secrets/kms", credentials)
		return key.NewRemote(private.Public(), func(_ context.Context, data []byte) ([]byte, error) {
			sum := sha256.Sum256(data)
			return ecdsa.SignASN1(rand.Reader, private, sum[:])
		})
	}
}

func TestAKeyOfAServiceSignsAndVerifies(t *testing.T) { eachRegistry(t, signByKMS) }

func signByKMS(t *testing.T, address string) {
	p := &program{kms: fakeKMS(t)}
	reference := image(t, address)
	access := []string{"--reference", reference, "--connect", "localhost:5000=" + address}
	kms := []string{"--key-uri", "hashivault://release", "--kms-credentials-file", "/secrets/kms"}
	out := t.TempDir()
	var public sign.Key
	require.NoError(t, runOf(t, p, out, &public, append([]string{"public-key"}, kms...)...))

	var first, again signedResult
	sign := append(append([]string{"sign"}, kms...), access...)
	require.NoError(t, runOf(t, p, t.TempDir(), &first, sign...))
	assert.True(t, first.Signed)
	assert.Equal(t, public.KeyHint, first.KeyHint)
	require.NoError(t, runOf(t, p, t.TempDir(), &again, sign...))
	assert.False(t, again.Signed)
	assert.Equal(t, first.Referrer, again.Referrer)

	verify := append([]string{"verify", "--public-key", filepath.Join(out, "cosign.pub")}, access...)
	require.NoError(t, run(t, nil, verify...))
	_, stranger, _ := keys(t)
	verify[2] = stranger
	assert.Equal(t, step.KindPolicy, fault(t, run(t, nil, verify...)).Kind)
}

// keylessFlags sign as who, with every service of s.
func keylessFlags(t *testing.T, s *standintest.Services) []string {
	t.Helper()
	return []string{
		"--identity-token-file", file(t, string(standin.Token(who, issuer))+"\n"), "--fulcio", s.URL(standin.Fulcio),
		"--rekor", s.URL(standin.Rekor1), "--rekor-tiles", s.URL(standin.Rekor2), "--timestamp-authority", s.URL(standin.TSA),
	}
}

func identityOf(t *testing.T, s *standintest.Services) []string {
	t.Helper()
	return append(identities(t, `{"issuer":"`+issuer+`","subject":"`+who+`"}`), "--trusted-root", file(t, string(s.Root(t))), "--min-certificate-logs", "0")
}

func TestAnIdentitySignsAndVerifies(t *testing.T) { eachRegistry(t, signByIdentity) }

func signByIdentity(t *testing.T, address string) {
	s := standintest.New(t)
	access := []string{"--reference", image(t, address), "--connect", "localhost:5000=" + address}
	sign := append(append([]string{"sign", "--annotation", "app=hello"}, keylessFlags(t, s)...), access...)
	verify := append(append([]string{"verify", "--annotation", "app=hello", "--min-logs", "2", "--min-timestamps", "2"}, identityOf(t, s)...), access...)

	var first, again signedResult
	require.NoError(t, run(t, &first, append(sign, identityOf(t, s)...)...))
	assert.True(t, first.Signed)
	assert.Equal(t, who, first.Identity)
	assert.Equal(t, issuer, first.Issuer)
	assert.Empty(t, first.KeyHint)
	assert.Nil(t, first.Degraded)
	require.NoError(t, run(t, nil, verify...))

	require.NoError(t, run(t, &again, append(sign, identityOf(t, s)...)...))
	assert.False(t, again.Signed, "with its identity and root, it finds its own signature")
	assert.Equal(t, first.Referrer, again.Referrer)
	require.NoError(t, run(t, &again, sign...))
	assert.True(t, again.Signed)

	// The services are dialled elsewhere than their URLs say.
	moved := append([]string{}, sign...)
	for n, text := range moved {
		if n > 0 && moved[n-1] == "--fulcio" {
			actual := strings.TrimPrefix(text, "http://")
			moved[n] = "http://localhost:1"
			moved = append(moved, "--identity-connect", "localhost:1="+actual)
			break
		}
	}
	require.NoError(t, run(t, &again, moved...))
	assert.True(t, again.Signed)

	// What is not trusted is not attached.
	other := identities(t, `{"issuer":"`+issuer+`","subject":"other@example.org"}`)
	f := fault(t, run(t, nil, append(append(sign, identityOf(t, s)...), other...)...))
	assert.Equal(t, step.KindPolicy, f.Kind)
	assert.Contains(t, f.Reason, "is not what is trusted")
}

func TestALogThatIsDownDegradesOnlyByName(t *testing.T) {
	eachRegistry(t, func(t *testing.T, address string) {
		s := standintest.New(t)
		s.Answer(standin.Rekor1, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
		s.Down(standin.Rekor2, http.StatusBadGateway)
		access := []string{"--reference", image(t, address), "--connect", "localhost:5000=" + address}
		signing := append(append([]string{"sign"}, keylessFlags(t, s)...), access...)
		verify := append(append([]string{"verify"}, identityOf(t, s)...), access...)

		f := fault(t, run(t, nil, signing...))
		assert.Equal(t, step.KindInfrastructure, f.Kind)
		assert.Contains(t, f.Input, s.URL(standin.Rekor1))
		assert.Equal(t, "has no signature", fault(t, run(t, nil, verify...)).Reason, "nothing was attached")

		var done signedResult
		require.NoError(t, run(t, &done, append(signing, "--degraded-for", "1h")...))
		assert.True(t, done.Signed)
		require.NotNil(t, done.Degraded)
		assert.Equal(t, []string{s.URL(standin.Rekor1), s.URL(standin.Rekor2)}, done.Degraded.Missing)

		f = fault(t, run(t, nil, verify...))
		assert.Equal(t, step.KindPolicy, f.Kind)
		var verified struct{ Signers []sign.Signer }
		require.NoError(t, run(t, &verified, append(verify, "--accept-degraded", "24h")...))
		require.Len(t, verified.Signers, 1)
		assert.Equal(t, done.Degraded, verified.Signers[0].Degraded)
	})
}

// Whoever has a request token signs with a new ID token each time.
func TestAnIdentitySignsWithTokensThatItAsksFor(t *testing.T) {
	s, asked := standintest.New(t), 0
	job := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer request" || r.FormValue("audience") != "acme" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		asked++
		_, _ = w.Write([]byte(`{"value":"` + string(standin.Token(who, issuer)) + `"}`))
	}))
	t.Cleanup(job.Close)
	registry := httptest.NewServer(fake.New(fake.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(registry.Close)
	address := strings.TrimPrefix(registry.URL, "http://")
	access := []string{"--reference", image(t, address), "--connect", "localhost:5000=" + address}
	flags := keylessFlags(t, s)
	flags[1] = file(t, "request\n")
	flags = append(flags, "--identity-request-url", "http://logical.invalid:80/token")
	sign := append(append([]string{"sign"}, flags...), access...)
	statements := append(slices.Clone(sign), "--predicate", file(t, `{"passed":true}`), "--predicate-type", "https://example.org/verdict/v1")

	f := fault(t, run(t, nil, statements...))
	assert.Contains(t, f.Reason, "is not an https URL")
	for i := range statements {
		statements[i] = strings.Replace(statements[i], "http://logical.invalid:80", job.URL, 1)
	}
	f = fault(t, run(t, nil, statements...))
	assert.Equal(t, step.KindInput, f.Kind)
	assert.Contains(t, f.Reason, "is refused with status 403")
	assert.Zero(t, asked)
	require.NoError(t, run(t, nil, append(statements, "--identity-audience", "acme")...))
	assert.Equal(t, 2, asked, "one for the signature, one for the statement")
	require.NoError(t, run(t, nil, append(append([]string{"verify"}, identityOf(t, s)...), access...)...))
}

func TestSignRefusesASignerThatIsNone(t *testing.T) {
	private, _, secret := keys(t)
	token := file(t, string(standin.Token(who, issuer)))
	byFile := []string{"--key-file", private, "--password-file", secret}
	byToken := []string{"--identity-token-file", token, "--fulcio", "https://fulcio.example.org", "--timestamp-authority", "https://tsa.example.org"}
	with := func(base []string, more ...string) []string { return append(append([]string{}, base...), more...) }
	for name, c := range map[string]struct {
		args          []string
		input, reason string
	}{
		"nobody":               {nil, "--key-file", "is not given"},
		"a file and a URI":     {with(byFile, "--key-uri", "hashivault://release"), "--key-uri", "is given beside --key-file"},
		"a file and a token":   {with(byFile, byToken...), "--identity-token-file", "is given beside --key-file"},
		"a password for a URI": {[]string{"--password-file", secret, "--key-uri", "hashivault://release"}, "--key-uri", "is given beside --password-file"},
		"a URI and a log":      {[]string{"--key-uri", "hashivault://release", "--rekor", "https://log.example.org"}, "--rekor", "is given beside --key-uri"},
		"a file and a root":    {with(byFile, "--trusted-root", token), "--trusted-root", "is given beside --key-file"},
		"no client":            {[]string{"--key-uri", "hashivault://release"}, "--key-uri", "is not for this program"},
		"credentials alone":    {[]string{"--kms-credentials-file", secret}, "--key-uri", "is not given"},
		"no token":             {[]string{"--fulcio", "https://fulcio.example.org"}, "--identity-token-file", "is not given"},
		"no authority":         {[]string{"--identity-token-file", token, "--rekor", "https://log.example.org"}, "--fulcio", "is not given"},
		"a rubbish token":      {with(byToken[2:], "--identity-token-file", secret), "identity token", "is not a JWT"},
		"no time":              {byToken[:4], "services", "none gives a time"},
		"half an address":      {with(byToken, "--identity-connect", "localhost:1=sigstore"), "--identity-connect", "is not LOGICAL=ACTUAL"},
		"a short expiry":       {with(byToken, "--degraded-for", "1s"), "expiry", "is not between"},
		"a root alone":         {with(byToken, "--trusted-root", token), "--identities", "is not given"},
		"the mark's name":      {with(byFile, "--annotation", "slipway.expires=2999-01-01T00:00:00Z"), "annotation", "degraded signatures only"},
	} {
		t.Run(name, func(t *testing.T) {
			// Nothing listens here: a request would be an infrastructure fault.
			f := fault(t, run(t, nil, append([]string{"sign", "--reference", "localhost:5000/hello@sha256:" + strings.Repeat("0", 64),
				"--connect", "localhost:5000=127.0.0.1:1"}, c.args...)...))
			assert.Equal(t, step.KindInput, f.Kind, f.Error())
			assert.Equal(t, "sign", f.Stage)
			assert.Contains(t, f.Input, c.input)
			assert.Contains(t, f.Reason, c.reason)
			assert.NotEmpty(t, f.Mend)
			for _, part := range strings.Split(string(standin.Token(who, issuer)), ".") {
				assert.NotContains(t, f.Error(), part)
			}
		})
	}
}

// Each command refuses what its image, its signer and its trust are given by.
func TestEachCommandRefusesWhatItIsGiven(t *testing.T) {
	private, public, secret := keys(t)
	signer := []string{"--key-file", private, "--password-file", secret}
	statement := []string{"--predicate", file(t, "{}"), "--predicate-type", "https://example.org/x/v1"}
	trust := []string{"--public-key", public}
	digest := "@sha256:" + strings.Repeat("0", 64)
	for command, c := range map[string]struct {
		who, more []string
		stage     string
	}{
		"sign": {signer, nil, "sign"}, "attest": {signer, statement, "sign"},
		"verify": {trust, nil, "verify"}, "bundle": {trust, []string{"--referrer", digest[1:]}, "verify"},
	} {
		for name, spoilt := range map[string]struct {
			image, who []string
			input      string
		}{
			"a tag":         {[]string{"--reference", "localhost:5000/hello:v1"}, c.who, "reference"},
			"no image":      {nil, c.who, "reference"},
			"no connection": {[]string{"--reference", "localhost:5000/hello" + digest, "--connect", "x"}, c.who, "--connect"},
			"nobody":        {[]string{"--reference", "localhost:5000/hello" + digest, "--connect", "localhost:5000=127.0.0.1:1"}, nil, c.who[0]},
		} {
			f := fault(t, run(t, nil, slices.Concat([]string{command}, spoilt.image, spoilt.who, c.more)...))
			assert.Equal(t, []any{step.KindInput, c.stage}, []any{f.Kind, f.Stage}, command+": "+name)
			assert.Contains(t, f.Input, spoilt.input, command+": "+name)
		}
	}
	for input, args := range map[string][]string{
		"--bundle": {"verify-bundle", "--public-key", public}, "--public-key": {"verify-bundle", "--bundle", file(t, "{}")}, "--key-file": {"public-key"},
	} {
		f := fault(t, run(t, nil, args...))
		assert.Equal(t, []any{step.KindInput, input}, []any{f.Kind, f.Input}, args)
	}
}

func TestAttestRefusesStatementsThatAreNone(t *testing.T) {
	private, _, secret := keys(t)
	missing := filepath.Join(t.TempDir(), "none")
	for name, c := range map[string]struct {
		args          []string
		input, reason string
	}{
		"nothing":         {nil, "--predicate", "is not given"},
		"a type alone":    {[]string{"--predicate-type", "https://example.org/x/v1"}, "--predicate", "is not given"},
		"no file":         {[]string{"--predicate", missing, "--predicate-type", "https://example.org/x/v1"}, "--predicate", "no such file"},
		"an empty file":   {[]string{"--predicate", file(t, ""), "--predicate-type", "https://example.org/x/v1"}, "predicate ", "is empty"},
		"no folder":       {[]string{"--statements", missing}, "--statements " + missing, "can't be read: no such file or directory"},
		"an empty folder": {[]string{"--statements", t.TempDir()}, "--predicate", "is not given"},
	} {
		// Nothing listens here: a request would be an infrastructure fault.
		f := fault(t, run(t, nil, append([]string{"attest", "--reference", "localhost:5000/hello@sha256:" + strings.Repeat("0", 64),
			"--connect", "localhost:5000=127.0.0.1:1", "--key-file", private, "--password-file", secret}, c.args...)...))
		assert.Equal(t, step.KindInput, f.Kind, name)
		assert.Contains(t, f.Input, c.input, name)
		assert.Contains(t, f.Reason, c.reason, name)
		assert.NotEmpty(t, f.Mend, name)
	}
}

func TestAKeysFaultSaysHowToMendIt(t *testing.T) {
	for err, mend := range map[error]string{
		key.ErrNoPassword:    "give the key's password with --password-file",
		key.ErrWrongPassword: "give the password that the key was made with",
		key.ErrNotEncrypted:  "protect it: cosign import-key-pair --key FILE",
		key.ErrMalformed:     "give a key that sign keygen or cosign generate-key-pair made",
	} {
		f := fault(t, keyFault("sign", "x.key", fmt.Errorf("read: %w", err)))
		assert.Equal(t, []string{"sign", "key x.key", "read: " + err.Error(), mend}, []string{f.Stage, f.Input, f.Reason, f.Mend})
		require.ErrorIs(t, f, err)
	}
}

// runOf is run for a program that was compiled with more, into a folder.
func runOf(t *testing.T, p *program, out string, value any, args ...string) error {
	t.Helper()
	folder, do, err := p.commands().Parse("sign", append(args, "--out", out))
	require.NoError(t, err)
	got, err := do(context.Background())
	require.NoError(t, step.Write(folder, got, err))
	data, err := os.ReadFile(filepath.Join(out, step.ResultFile))
	require.NoError(t, err)
	return step.Decode(data, value)
}
