//go:build e2e && kms

// The clients of the key management services take minutes to compile, so this test
// has a tag of its own: go test -tags=e2e,kms -run ManagedKey ./e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAManagedKeySignsAndTheImageIsReleased(t *testing.T) {
	p := shared
	dir, address := standIn(t, "modules/sign/kms", "./vaulttest/serve", func(dir string) []string { return []string{"--out", dir} })
	const greeting = "apps/hello/greeting/greeting.go"
	checkout := source(t, map[string]string{
		greeting: strings.Replace(read(t, p.repo+"/"+greeting), "\t{language.Japanese,", "\t{language.Estonian, \"Tere\"},\n\t{language.Japanese,", 1),
	})
	by := func(credentials string) []string {
		return []string{
			"with-kms-key", "--uri", "hashivault://release", "--credentials", "file:" + credentials,
			"--authorities", filepath.Join(dir, "ca.pem"), "--service", "tcp://" + address,
		}
	}
	options := append(p.place(), p.terraform(t)...)
	credentials := filepath.Join(dir, "credentials")
	out, err := p.call(checkout, options, append(by(credentials), "deliver", "--app", "hello", "--env", "staging", "--older", "image")...)
	require.NoError(t, err)
	reference := strings.TrimSpace(out)
	verify := func(signer ...string) (string, error) {
		out, err := p.call(checkout, p.place(), append(signer, "verify", "--reference", reference, "--env", "staging", "passed")...)
		return strings.TrimSpace(out), err
	}
	passed, err := verify(by(credentials)...)
	require.NoError(t, err)
	assert.Equal(t, "true", passed)

	// Its public half is enough to verify, and the platform's own key is another one.
	keys := t.TempDir()
	_, err = p.run(p.repo, append([]string{"-m", "modules/sign", "call", "kms-key"}, append(by(credentials)[1:], "public-key", "export", "--path", keys)...)...)
	require.NoError(t, err)
	passed, err = verify("with-public-key", "--key", filepath.Join(keys, "cosign.pub"))
	require.NoError(t, err)
	assert.Equal(t, "true", passed)
	_, err = verify("with-public-key", "--key", p.file("keys/cosign.pub"))
	refused(t, err, "verify: refused by policy: "+reference, "has no valid signature")

	// A Vault that doesn't let the token in stops the release, and the token stays secret.
	wrong := filepath.Join(t.TempDir(), "credentials")
	token := "hvs." + random()
	var lines []string
	for _, line := range strings.Split(read(t, credentials), "\n") {
		if strings.HasPrefix(line, "VAULT_TOKEN=") {
			line = "VAULT_TOKEN=" + token
		}
		lines = append(lines, line)
	}
	write(t, wrong, strings.Join(lines, "\n"))
	_, err = p.call(checkout, options, append(by(wrong), "app", "--name", "hello", "build", "scan", "publish", "sign", "reference")...)
	refused(t, err, "sign: infrastructure failure: key hashivault://release: can't be read", "permission denied")
	assert.NotContains(t, err.Error(), token)
}
