package program

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/result/sign"
)

// stock is the cosign executable to check with; modules/sign/cosign pins it.
var stock = flag.String("cosign", "", "stock cosign to check our signatures with")

// real is a registry to run the same tests against, too.
var real = flag.String("registry", "", "loopback host:port of a registry to test with, too; it takes anonymous pushes")

const password = "correct horse battery"

func TestMain(m *testing.M) {
	flag.Parse()
	step.Progress = io.Discard
	os.Exit(m.Run())
}

// run runs a subcommand as the program does, and reads its result.json.
func run(t *testing.T, value any, args ...string) error {
	t.Helper()
	out := t.TempDir()
	return runInto(t, out, value, args...)
}

func runInto(t *testing.T, out string, value any, args ...string) error {
	t.Helper()
	folder, do, err := (&program{}).commands().Parse("sign", append(args, "--out", out))
	require.NoError(t, err)
	got, err := do(context.Background())
	require.NoError(t, step.Write(folder, got, err))
	data, err := os.ReadFile(filepath.Join(out, step.ResultFile))
	require.NoError(t, err)
	assert.NotContains(t, string(data), "horse")
	assert.NotContains(t, string(data), "hunter")
	assert.NotContains(t, string(data), "BEGIN ENCRYPTED")
	return step.Decode(data, value)
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// keys makes a key pair and returns its files.
func keys(t *testing.T) (private, public, passwordFile string) {
	t.Helper()
	out := t.TempDir()
	passwordFile = file(t, password+"\n")
	var made sign.Key
	require.NoError(t, runInto(t, out, &made, "keygen", "--password-file", passwordFile))
	private, public = filepath.Join(out, "cosign.key"), filepath.Join(out, "cosign.pub")
	data, err := os.ReadFile(public)
	require.NoError(t, err)
	assert.Equal(t, string(data), made.PublicKey)
	info, err := os.Stat(private)
	require.NoError(t, err)
	assert.EqualValues(t, 0o600, info.Mode().Perm())
	return private, public, passwordFile
}

// eachRegistry runs a test with the referrers API, with the tag schema and with
// the registry that -registry names.
func eachRegistry(t *testing.T, test func(t *testing.T, address string)) {
	start := func(t *testing.T, api bool) string {
		server := httptest.NewServer(fake.New(fake.WithReferrersSupport(api), fake.Logger(log.New(io.Discard, "", 0))))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	t.Run("referrers API", func(t *testing.T) { test(t, start(t, true)) })
	t.Run("tag schema", func(t *testing.T) { test(t, start(t, false)) })
	if *real != "" {
		t.Run(*real, func(t *testing.T) { test(t, *real) })
	}
}

// image pushes an image index: its reference, below the logical name
// localhost:5000.
func image(t *testing.T, address string) string {
	t.Helper()
	index, err := random.Index(64, 1, 2)
	require.NoError(t, err)
	digest, err := index.Digest()
	require.NoError(t, err)
	repository, err := name.NewRepository(address + "/apps/hello")
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(repository.Digest(digest.String()), index))
	return "localhost:5000/apps/hello@" + digest.String()
}

func fault(t *testing.T, err error) *step.Fault {
	t.Helper()
	f, ok := step.AsFault(err)
	require.True(t, ok, "want a fault, got %v", err)
	return f
}

func TestKeysSignAndVerify(t *testing.T) { eachRegistry(t, signAndVerify) }

func signAndVerify(t *testing.T, address string) {
	private, public, secret := keys(t)
	reference := image(t, address)
	connect := "localhost:5000=" + address
	type signed struct {
		Reference, Referrer, PredicateType string
		Signed                             bool
	}
	var first, again signed
	var attested struct{ Attestations []signed }
	signing := []string{"sign", "--key-file", private, "--password-file", secret, "--reference", reference, "--connect", connect, "--annotation", "app=hello"}
	require.NoError(t, run(t, &first, signing...))
	assert.True(t, first.Signed)
	assert.Equal(t, reference, first.Reference)
	require.NoError(t, run(t, &again, signing...))
	assert.Equal(t, signed{reference, first.Referrer, first.PredicateType, false}, again)
	require.NoError(t, run(t, &attested, "attest", "--key-file", private, "--password-file", secret, "--reference", reference, "--connect", connect,
		"--predicate", file(t, `{"passed":true}`), "--predicate-type", "https://example.org/verdict/v1"))
	require.Len(t, attested.Attestations, 1)
	assert.True(t, attested.Attestations[0].Signed)

	var verified struct {
		Digest     string
		Verified   int
		Predicates []json.RawMessage
	}
	verify := []string{"verify", "--public-key", public, "--reference", reference, "--connect", connect}
	require.NoError(t, run(t, &verified, append(verify, "--annotation", "app=hello")...))
	assert.Equal(t, 1, verified.Verified)
	assert.Equal(t, strings.SplitN(reference, "@", 2)[1], verified.Digest)
	require.NoError(t, run(t, &verified, append(verify, "--predicate-type", "https://example.org/verdict/v1")...))
	require.Len(t, verified.Predicates, 1)
	assert.JSONEq(t, `{"passed":true}`, string(verified.Predicates[0]))

	f := fault(t, run(t, nil, append(verify, "--annotation", "app=other")...))
	assert.Equal(t, step.KindPolicy, f.Kind)
	other, _, _ := keys(t)
	out := t.TempDir()
	var half sign.Key
	require.NoError(t, runInto(t, out, &half, "public-key", "--key-file", other, "--password-file", secret))
	verify[2] = filepath.Join(out, "cosign.pub")
	f = fault(t, run(t, nil, verify...))
	assert.Equal(t, step.KindPolicy, f.Kind)
	assert.Contains(t, f.Reason, half.KeyHint)
}

func TestSigningAndAttestingInOneRun(t *testing.T) { eachRegistry(t, signAndAttest) }

func signAndAttest(t *testing.T, address string) {
	const verdict = "https://example.org/verdict/v1"
	private, public, secret := keys(t)
	access := []string{"--reference", image(t, address), "--connect", "localhost:5000=" + address}
	sign := append([]string{"sign", "--key-file", private, "--password-file", secret}, access...)
	verify := append([]string{"verify", "--public-key", public, "--attestation", verdict}, access...)

	require.NoError(t, run(t, nil, sign...))
	f := fault(t, run(t, nil, verify...))
	assert.Equal(t, "has no attestation "+verdict, f.Reason)

	type result struct {
		PredicateType string
		Signed        bool
		Attestation   struct {
			PredicateType string
			Signed        bool
			Predicates    []json.RawMessage
		}
		Attestations []struct {
			PredicateType string
			Signed        bool
		}
		Statements []struct{ PredicateType, Envelope string }
	}
	var signed, verified result
	require.NoError(t, run(t, &signed, append(sign, "--predicate", file(t, `{"passed":true}`), "--predicate-type", verdict)...))
	assert.False(t, signed.Signed, "the signature was there")
	assert.True(t, signed.Attestations[0].Signed)
	assert.Equal(t, verdict, signed.Attestations[0].PredicateType)
	require.NoError(t, run(t, &verified, verify...))
	assert.Equal(t, "https://sigstore.dev/cosign/sign/v1", verified.PredicateType)
	assert.Equal(t, verdict, verified.Attestation.PredicateType)
	require.Len(t, verified.Attestation.Predicates, 1)
	assert.JSONEq(t, `{"passed":true}`, string(verified.Attestation.Predicates[0]))

	folder := t.TempDir()
	statement := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	statement("2.statement.json", `{"predicateType":"https://example.org/b","predicate":{"b":1},"envelope":"dsse"}`)
	statement("a.json", `{"a":1}`)
	statement("1.statement.json", `{"predicateType":"https://example.org/a","predicateFile":"a.json"}`)
	var many, all result
	require.NoError(t, run(t, &many, append(sign, "--statements", folder)...))
	require.Len(t, many.Attestations, 2)
	assert.Equal(t, "https://example.org/a", many.Attestations[0].PredicateType)
	everything := append([]string{"verify", "--public-key", public, "--all"}, access...)
	require.NoError(t, run(t, &all, everything...))
	var types []string
	for _, s := range all.Statements {
		types = append(types, s.PredicateType+" "+s.Envelope)
	}
	assert.ElementsMatch(t, []string{"https://sigstore.dev/cosign/sign/v1 bundle", verdict + " bundle", "https://example.org/a bundle", "https://example.org/b dsse"}, types)
	assert.Equal(t, "--all", fault(t, run(t, nil, append(everything, "--attestation", verdict)...)).Input)
	for text, reason := range map[string]string{
		"{":    "is not JSON",
		`{}`:   "has no predicate, or two",
		`null`: "has no predicate, or two",
		`{"predicateType":"https://example.org/c","predicate":{},"predicateFile":"a.json"}`: "has no predicate, or two",
		`{"predicateType":"https://example.org/c","predicateFile":"../a.json"}`:             "is not in the folder",
		`{"predicateType":"https://example.org/c","predicateFile":"b.json"}`:                "can't be read",
		`{"predicateType":"https://example.org/c","predicate":{},"envelope":"jws"}`:         "is not known",
		`{"predicateType":"https://example.org/c","predicate":[]}`:                          "predicate is not a JSON object",
	} {
		statement("3.statement.json", text)
		f := fault(t, run(t, nil, append(sign, "--statements", folder)...))
		assert.Equal(t, step.KindInput, f.Kind, text)
		assert.Contains(t, f.Reason, reason, text)
	}

	for flag, c := range map[string][]string{
		"--predicate":       {"--predicate-type", verdict},
		`predicate type ""`: {"--predicate", file(t, `{}`)},
	} {
		f := fault(t, run(t, nil, append(sign, c...)...))
		assert.Equal(t, step.KindInput, f.Kind)
		assert.Equal(t, flag, f.Input)
	}
}

func TestKeygenRefuses(t *testing.T) {
	f := fault(t, run(t, nil, "keygen", "--password-file", file(t, "\n")))
	assert.Equal(t, step.KindInput, f.Kind)
	assert.Equal(t, "is empty", f.Reason)
	f = fault(t, run(t, nil, "keygen"))
	assert.Equal(t, "--password-file", f.Input)

	for _, there := range []string{"cosign.key", "cosign.pub"} {
		out := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(out, there), []byte("precious"), 0o600))
		f = fault(t, runInto(t, out, nil, "keygen", "--password-file", file(t, password)))
		assert.Equal(t, step.KindInput, f.Kind)
		assert.Contains(t, f.Input, there)
		data, err := os.ReadFile(filepath.Join(out, there))
		require.NoError(t, err)
		assert.Equal(t, "precious", string(data))
		left, err := os.ReadDir(out)
		require.NoError(t, err)
		assert.Len(t, left, 2, "only that file and result.json")
	}
}

func TestKeyWithoutItsPasswordIsRefusedBeforeAnyRequest(t *testing.T) {
	private, public, secret := keys(t)
	reference := "localhost:5000/apps/hello@sha256:" + strings.Repeat("0", 64)
	// Nothing listens here: a request would be an infrastructure fault.
	base := []string{"--reference", reference, "--connect", "localhost:5000=127.0.0.1:1"}
	for name, c := range map[string]struct {
		args   []string
		input  string
		reason string
	}{
		"no password file":    {[]string{"--key-file", private}, "--password-file", "is not given"},
		"missing file":        {[]string{"--key-file", private, "--password-file", secret + "x"}, "--password-file", "no such file"},
		"empty password":      {[]string{"--key-file", private, "--password-file", file(t, "")}, "--password-file", "is empty"},
		"wrong password":      {[]string{"--key-file", private, "--password-file", file(t, "wrong horse")}, private, "does not open"},
		"no key":              {[]string{"--password-file", secret}, "--key-file", "is not given"},
		"public key":          {[]string{"--key-file", public, "--password-file", secret}, public, "is not a key"},
		"rubbish":             {[]string{"--key-file", file(t, "PRIVATE KEY horse"), "--password-file", secret}, "key ", "is not a key"},
		"registry's password": {[]string{"--key-file", private, "--password-file", secret, "--username", "ci"}, "--username and --registry-password-file", "is one without the other"},
	} {
		t.Run(name, func(t *testing.T) {
			f := fault(t, run(t, nil, append(append([]string{"sign"}, base...), c.args...)...))
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, "sign", f.Stage)
			assert.Contains(t, f.Input, c.input)
			assert.Contains(t, f.Reason, c.reason)
			assert.NotEmpty(t, f.Mend)
			assert.NotContains(t, f.Error(), "horse")
		})
	}
}

func TestVerifyRefusesItsInput(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0", 64)
	for name, c := range map[string]struct{ reference, public, connect, input string }{
		"a tag":        {"localhost:5000/apps/hello:v1", "", "", "reference"},
		"no reference": {"", "", "", "reference"},
		"no key":       {"localhost:5000/hello" + digest, "", "", "--public-key"},
		"missing key":  {"localhost:5000/hello" + digest, filepath.Join(t.TempDir(), "none"), "", "--public-key"},
		"rubbish key":  {"localhost:5000/hello" + digest, file(t, "hello"), "", "public key"},
		"connect":      {"localhost:5000/hello" + digest, "", "localhost=registry", "--connect"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"verify", "--reference", c.reference, "--public-key", c.public}
			if c.connect != "" {
				args = append(args, "--connect", c.connect)
			}
			f := fault(t, run(t, nil, args...))
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, "verify", f.Stage)
			assert.Contains(t, f.Input, c.input)
		})
	}
}

func TestUsage(t *testing.T) {
	for args, reason := range map[string]string{
		"": "usage: sign ", "fly": "unknown command", "sign": "--out is missing", "verify --out x more": "takes no argument", "keygen --out x --password p": "not defined",
		"sign --out x --annotation novalue": "give it as KEY=VALUE", "attest --out x --annotation =v": "give it as KEY=VALUE", "verify --out x --annotation a=1 --annotation b=1 --annotation a=1": "a is given twice",
	} {
		_, _, err := (&program{}).commands().Parse("sign", strings.Fields(args))
		assert.ErrorContains(t, err, reason, args)
	}
	_, work, err := (&program{}).commands().Parse("sign", strings.Fields("verify --out x --annotation a=1 --annotation b=1=2"))
	require.NoError(t, err)
	assert.NotNil(t, work)
}

// The stock cosign accepts what this program attaches, and refuses another
// key and an image that has nothing.
func TestStockCosignAgrees(t *testing.T) {
	if *stock == "" {
		t.Skip("no stock cosign: give -cosign PATH")
	}
	private, public, secret := keys(t)
	_, stranger, _ := keys(t)
	cosign := func(args ...string) (string, error) {
		command := exec.Command(*stock, args...)
		command.Env = []string{"HOME=" + t.TempDir(), "COSIGN_PASSWORD=" + password}
		output, err := command.CombinedOutput()
		return string(output), err
	}
	eachRegistry(t, func(t *testing.T, address string) {
		logical := image(t, address)
		reference := strings.Replace(logical, "localhost:5000", address, 1)
		const verdict = "https://example.org/verdict/v1"
		verify := func(key string, more ...string) (string, error) {
			return cosign(append([]string{"verify", "--key", key, "--insecure-ignore-tlog", "--allow-http-registry", reference}, more...)...)
		}
		output, err := verify(public)
		require.Error(t, err, output)
		assert.Contains(t, output, "no signatures found")

		key := []string{"--key-file", private, "--password-file", secret, "--reference", logical, "--connect", "localhost:5000=" + address}
		require.NoError(t, run(t, nil, append([]string{"sign", "--annotation", "app=hello"}, key...)...))
		require.NoError(t, run(t, nil, append([]string{"attest", "--predicate", file(t, `{"passed":true}`), "--predicate-type", verdict}, key...)...))

		output, err = verify(public, "-a", "app=hello")
		require.NoError(t, err, output)
		assert.Contains(t, output, strings.SplitN(logical, "@", 2)[1])
		output, err = verify(public, "-a", "app=other")
		require.Error(t, err, output)
		output, err = verify(stranger)
		require.Error(t, err, output)
		output, err = cosign("verify-attestation", "--key", public, "--insecure-ignore-tlog", "--allow-http-registry", "--type", verdict, reference)
		require.NoError(t, err, output)
		output, err = cosign("verify-attestation", "--key", stranger, "--insecure-ignore-tlog", "--allow-http-registry", "--type", verdict, reference)
		require.Error(t, err, output)

		// And this program accepts what the stock cosign attaches with the same key.
		logical = image(t, address)
		reference = strings.Replace(logical, "localhost:5000", address, 1)
		output, err = cosign("sign", "--key", private, "--tlog-upload=false", "--use-signing-config=false", "--allow-http-registry", "--yes", reference)
		require.NoError(t, err, output)
		var verified struct{ Verified int }
		require.NoError(t, run(t, &verified, "verify", "--public-key", public, "--reference", logical, "--connect", "localhost:5000="+address))
		assert.Equal(t, 1, verified.Verified)
	})
}
