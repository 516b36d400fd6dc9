package program

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/drillground/sigstore/standintest"
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
	require.NoError(t, verify(&verified, "--certificate-identity", who, "--certificate-oidc-issuer", issuer, "--annotation", "app=hello"))
	assert.Equal(t, 1, verified.Verified)
	assert.Empty(t, verified.KeyHint)
	require.Len(t, verified.Signers, 1)
	assert.Equal(t, who, verified.Signers[0].Identity)
	require.NoError(t, verify(nil, "--certificate-identity-regexp", ".*@example[.]org", "--certificate-oidc-issuer-regexp", "https://.*"))

	list := func(text string) []string { return []string{"--identities", file(t, text)} }
	require.NoError(t, verify(&verified, list(`[{"issuer":"`+issuer+`","subject":"other@example.org"},{"issuer":"`+issuer+`","subjectPattern":".*@example[.]org"}]`)...))
	assert.Equal(t, who, verified.Signers[0].Identity)
	var all struct {
		Statements []sign.Statement
	}
	require.NoError(t, verify(&all, append(list(`[{"issuer":"`+issuer+`","subject":"`+who+`"}]`), "--all")...))
	require.Len(t, all.Statements, 1)
	require.NotNil(t, all.Statements[0].Signer)
	assert.Equal(t, who, all.Statements[0].Signer.Identity)
	f := fault(t, verify(nil, append(list(`[{"issuer":"`+issuer+`","subject":"other@example.org"},{"issuer":"`+issuer+`","subject":"third@example.org"}]`), "--all")...))
	assert.Equal(t, step.KindPolicy, f.Kind)
	for _, named := range []string{"signed by identity \"" + who, "by identity \"other@example.org\"", "or identity \"third@example.org\""} {
		assert.Contains(t, f.Reason, named)
	}

	for name, args := range map[string][]string{
		"wrong identity":      {"--certificate-identity", "other@example.org", "--certificate-oidc-issuer", issuer},
		"wrong issuer":        {"--certificate-identity", who, "--certificate-oidc-issuer", "https://other.example.org"},
		"certificate logs":    {"--certificate-identity", who, "--certificate-oidc-issuer", issuer, "--min-certificate-logs", "1"},
		"part of the pattern": {"--certificate-identity-regexp", "release", "--certificate-oidc-issuer", issuer},
		"another claim":       {"--certificate-identity", who, "--certificate-oidc-issuer", issuer, "--annotation", "app=other"},
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
	identity := []string{"--certificate-identity", who, "--certificate-oidc-issuer", issuer}
	with := func(more ...string) []string { return append(append([]string{}, identity...), more...) }
	missing := filepath.Join(t.TempDir(), "none")
	for name, c := range map[string]struct {
		args          []string
		input, reason string
	}{
		"nobody":            {nil, "--public-key", "no identity either"},
		"key and identity":  {with("--trusted-root", root, "--public-key", public), "--public-key", "is given beside --certificate-identity"},
		"key and a root":    {[]string{"--trusted-root", root, "--public-key", public}, "--public-key", "is given beside --trusted-root"},
		"key and a number":  {[]string{"--min-logs", "0", "--public-key", public}, "--public-key", "is given beside --min-logs"},
		"no issuer":         {[]string{"--certificate-identity", who, "--trusted-root", root}, "--certificate-oidc-issuer", "is not given"},
		"no identity":       {[]string{"--certificate-oidc-issuer", issuer, "--trusted-root", root}, "--certificate-identity", "is not given"},
		"a root alone":      {[]string{"--trusted-root", root}, "--certificate-identity", "is not given"},
		"empty identity":    {[]string{"--certificate-identity", "", "--certificate-oidc-issuer", issuer, "--trusted-root", root}, "--certificate-identity", "is not given"},
		"twice an identity": {with("--certificate-identity-regexp", ".*", "--trusted-root", root), "--certificate-identity", "beside --certificate-identity-regexp"},
		"no root":           {identity, "--trusted-root", "is not given"},
		"missing root":      {with("--trusted-root", missing), "--trusted-root", "no such file"},
		"rubbish root":      {with("--trusted-root", public), "trusted root", "not a trusted root"},
		"bad pattern":       {[]string{"--certificate-identity-regexp", "(", "--certificate-oidc-issuer", issuer, "--trusted-root", root}, "identity", "pattern of the identity's subject"},
		"too many logs":     {with("--trusted-root", root, "--min-logs", "7"), "identity", "the trusted root has 2"},
		"no time":           {with("--trusted-root", root, "--min-timestamps", "0"), "--min-timestamps 0", "is too small"},
		"list and identity": {with("--identities", root, "--trusted-root", root), "--identities", "is given beside an identity"},
		"no list":           {[]string{"--identities", missing, "--trusted-root", root}, "--identities", "no such file"},
		"empty list":        {[]string{"--identities", file(t, "[]"), "--trusted-root", root}, "--identities", "names nobody"},
		"null list":         {[]string{"--identities", file(t, "null"), "--trusted-root", root}, "--identities", "names nobody"},
		"rubbish list":      {[]string{"--identities", public, "--trusted-root", root}, "--identities", "is no list"},
		"unknown member":    {[]string{"--identities", file(t, `[{"subjct":"x"}]`), "--trusted-root", root}, "--identities", "subjct"},
		"two lists":         {[]string{"--identities", file(t, `[{}][{}]`), "--trusted-root", root}, "--identities", "more than a list"},
		"anybody":           {[]string{"--identities", file(t, `[{}]`), "--trusted-root", root}, "identity", "has no issuer"},
		"key and list":      {[]string{"--identities", file(t, `[{}]`), "--public-key", public}, "--public-key", "is given beside --identities"},
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
