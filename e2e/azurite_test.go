//go:build e2e && azure

package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sandbox/azure"
)

// stateAccount is the storage account that infra/azure-bootstrap makes.
const stateAccount = "slipwayplatformstate"

// withBlobs is a ground whose storage accounts have a blob service, at a free port.
func withBlobs(t *testing.T) func(*azure.Setup) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return func(g *azure.Setup) { g.Blob = "https://localhost:" + port }
}

// azurite starts the blob service of a cloud that was made withBlobs: Microsoft's own
// emulator, from npm, as its lock file pins it. It ends with the test.
func (c *cloud) azurite() {
	t := c.t
	t.Helper()
	npm, err := exec.LookPath("npm")
	require.NoError(t, err, "Azurite is installed with npm")
	node, err := exec.LookPath("node")
	require.NoError(t, err, "Azurite runs in Node")
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json"} {
		write(t, filepath.Join(dir, name), read(t, filepath.Join("testdata", "azurite", name)))
	}
	install := exec.CommandContext(t.Context(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	out, err := install.CombinedOutput()
	require.NoError(t, err, string(out))

	certificate, key, err := c.Certificate()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "certificate.pem"), certificate, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), key, 0o600))
	_, port, err := net.SplitHostPort(c.blobs)
	require.NoError(t, err)
	cmd := exec.Command(node, "node_modules/azurite/dist/src/blob/main.js", "--blobHost", "127.0.0.1", "--blobPort", port,
		"--cert", "certificate.pem", "--key", "key.pem", "--oauth", "basic", "--skipApiVersionCheck", "--disableTelemetry", "--silent", "--location", filepath.Join(dir, "blobs"))
	// Nobody has the account's key: the stand-in comes with tokens.
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "AZURITE_ACCOUNTS="+stateAccount+":"+base64.StdEncoding.EncodeToString([]byte(t.Name())))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		assert.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Log(log.String())
		}
	})
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(c.CA))
	require.Eventually(t, func() bool {
		conn, err := tls.Dial("tcp", c.blobs, &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12})
		return err == nil && conn.Close() == nil
	}, time.Minute, 100*time.Millisecond)
}
