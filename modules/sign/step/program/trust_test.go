package program

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/drill/sigstore/standintest"
	"slipway/registry"
	"slipway/sign/step/bundle"
	"slipway/step"
	"slipway/step/reach"
	"slipway/step/result/sign"
)

const (
	who    = "release@example.org"
	issuer = "https://issuer.example.org"
)

// identities are those that must have signed, as flags.
func identities(t *testing.T, list ...string) []string {
	t.Helper()
	return []string{"--identities", file(t, "["+strings.Join(list, ",")+"]")}
}

// attachBundle puts a bundle beside an image.
func attachBundle(t *testing.T, address, reference string, data []byte) {
	t.Helper()
	parsed, err := registry.ParseReference("sign", "reference", reference)
	require.NoError(t, err)
	client := registry.New(registry.Access{Stage: "sign", Connections: reach.Connections{"localhost:5000": address}}, parsed.Repository, registry.Push)
	subject, _, err := client.Manifest(context.Background(), parsed.Digest)
	require.NoError(t, err)
	_, err = client.Attach(context.Background(), registry.Artifact{Subject: subject, Type: bundle.MediaType, Data: data})
	require.NoError(t, err)
}

func TestVerifyByIdentity(t *testing.T) { eachRegistry(t, verifyByIdentity) }

func verifyByIdentity(t *testing.T, address string) {
	reference := image(t, address)
	sigstore := standintest.New(t)
	statement, err := bundle.NewStatement(strings.SplitN(reference, "@", 2)[1], bundle.SignPredicateType, nil, map[string]string{"app": "hello"})
	require.NoError(t, err)
	data, err := json.Marshal(statement)
	require.NoError(t, err)
	attachBundle(t, address, reference, sigstore.Attest(t, who, issuer, data))

	verify := func(value any, more ...string) error {
		return run(t, value, append([]string{"verify", "--reference", reference, "--connect", "localhost:5000=" + address,
			"--trusted-root", file(t, string(sigstore.Root(t))), "--min-certificate-logs", "0"}, more...)...)
	}
	var verified struct {
		Verified int
		KeyHint  string
		Signers  []sign.Signer
	}
	named := func(kind, subject string) string {
		return `{"issuer":"` + issuer + `","` + kind + `":"` + subject + `"}`
	}
	by := identities(t, named("subject", who))
	require.NoError(t, verify(&verified, append(by, "--annotation", "app=hello")...))
	assert.Equal(t, 1, verified.Verified)
	assert.Empty(t, verified.KeyHint)
	require.Len(t, verified.Signers, 1)
	assert.Equal(t, who, verified.Signers[0].Identity)
	require.NoError(t, verify(nil, identities(t, `{"issuerPattern":"https://.*","subjectPattern":".*@example[.]org"}`)...))

	require.NoError(t, verify(&verified, identities(t, named("subject", "other@example.org"), named("subjectPattern", ".*@example[.]org"))...))
	assert.Equal(t, who, verified.Signers[0].Identity)
	var all struct {
		Statements []sign.Statement
	}
	require.NoError(t, verify(&all, append(by, "--all")...))
	require.Len(t, all.Statements, 1)
	require.NotNil(t, all.Statements[0].Signer)
	assert.Equal(t, who, all.Statements[0].Signer.Identity)
	f := fault(t, verify(nil, append(identities(t, named("subject", "other@example.org"), named("subject", "third@example.org")), "--all")...))
	assert.Equal(t, step.KindPolicy, f.Kind)
	for _, said := range []string{"signed by identity \"" + who, "by identity \"other@example.org\"", "or identity \"third@example.org\""} {
		assert.Contains(t, f.Reason, said)
	}

	for name, args := range map[string][]string{
		"wrong identity":      identities(t, named("subject", "other@example.org")),
		"wrong issuer":        identities(t, `{"issuer":"https://other.example.org","subject":"`+who+`"}`),
		"certificate logs":    append(by, "--min-certificate-logs", "1"),
		"part of the pattern": identities(t, named("subjectPattern", "release")),
		"another claim":       append(by, "--annotation", "app=other"),
	} {
		f := fault(t, verify(nil, args...))
		assert.Equal(t, step.KindPolicy, f.Kind, name)
		assert.Equal(t, reference, f.Input, name)
	}
}

func TestVerifyRefusesATrustThatIsNone(t *testing.T) {
	_, public, _ := keys(t)
	sigstore := standintest.New(t)
	root := file(t, string(sigstore.Root(t)))
	identity := identities(t, `{"issuer":"`+issuer+`","subject":"`+who+`"}`)
	with := func(more ...string) []string { return append(append([]string{}, identity...), more...) }
	list := func(text string) []string { return []string{"--identities", file(t, text), "--trusted-root", root} }
	missing := filepath.Join(t.TempDir(), "none")
	for name, c := range map[string]struct {
		args          []string
		input, reason string
	}{
		"nobody":            {nil, "--public-key", "no identity either"},
		"key and identity":  {with("--trusted-root", root, "--public-key", public), "--public-key", "is given beside --identities"},
		"key and a root":    {[]string{"--trusted-root", root, "--public-key", public}, "--public-key", "is given beside --trusted-root"},
		"key and a number":  {[]string{"--min-logs", "0", "--public-key", public}, "--public-key", "is given beside --min-logs"},
		"a root alone":      {[]string{"--trusted-root", root}, "--identities", "is not given"},
		"empty name":        {[]string{"--identities", "", "--trusted-root", root}, "--identities", "is not given"},
		"no issuer":         {list(`[{"subject":"x"}]`), "identity", "has no issuer"},
		"no subject":        {list(`[{"issuer":"https://x.example.org"}]`), "identity", "has no subject"},
		"twice an identity": {list(`[{"issuer":"https://x.example.org","subject":"x","subjectPattern":".*"}]`), "identity", "subject is given exactly and as a pattern"},
		"no root":           {identity, "--trusted-root", "is not given"},
		"missing root":      {with("--trusted-root", missing), "--trusted-root", "no such file"},
		"rubbish root":      {with("--trusted-root", public), "trusted root", "not a trusted root"},
		"bad pattern":       {list(`[{"issuer":"https://x.example.org","subjectPattern":"("}]`), "identity", "pattern of the identity's subject"},
		"too many logs":     {with("--trusted-root", root, "--min-logs", "7"), "identity", "the trusted root has 2"},
		"no time":           {with("--trusted-root", root, "--min-timestamps", "0"), "--min-timestamps 0", "is too small"},
		"no list":           {[]string{"--identities", missing, "--trusted-root", root}, "--identities", "no such file"},
		"empty list":        {list("[]"), "--identities", "names nobody"},
		"null list":         {list("null"), "--identities", "names nobody"},
		"rubbish list":      {[]string{"--identities", public, "--trusted-root", root}, "--identities", "is no list"},
		"unknown member":    {list(`[{"subjct":"x"}]`), "--identities", "subjct"},
		"two lists":         {list(`[{}][{}]`), "--identities", "more than a list"},
		"anybody":           {list(`[{}]`), "identity", "has no issuer"},
		"a negative time":   {with("--trusted-root", root, "--accept-degraded", "-1s"), "--accept-degraded -1s", "is negative"},
		"no type":           {with("--trusted-root", root, "--predicate-type", ""), "--predicate-type", "is empty"},
		"fewer than none":   {with("--trusted-root", root, "--min-logs", "-1"), "--min-logs -1", "is too small"},
	} {
		t.Run(name, func(t *testing.T) {
			// Nothing listens here: a request would be an infrastructure fault.
			f := fault(t, run(t, nil, append([]string{"verify", "--reference", "localhost:5000/hello@sha256:" + strings.Repeat("0", 64),
				"--connect", "localhost:5000=127.0.0.1:1"}, c.args...)...))
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, "verify", f.Stage)
			assert.Contains(t, f.Input, c.input)
			assert.Contains(t, f.Reason, c.reason)
			assert.NotEmpty(t, f.Mend)
		})
	}
}
