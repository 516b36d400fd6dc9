package bundle_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
)

// vectors is the archive of sigstore-conformance's bundle verification cases,
// beside this repository's checkout.
var vectors = flag.String("conformance", "../../../../../shared/sigstore-conformance/bundle-verify.tar.gz", "archive of sigstore-conformance's bundle-verify cases")

// vectorCount is the number of cases in the archive.
const vectorCount = 70

// The identity of the cases that name none.
const (
	beacon       = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
	beaconIssuer = "https://token.actions.githubusercontent.com"
)

// TestConformance decides every case of sigstore-conformance as its name says:
// what ends in _fail is refused, everything else verifies, and then not for
// another artifact, identity, issuer, root or key.
func TestConformance(t *testing.T) {
	files := unpack(t)
	publicGood := publicGoodRoot(t)
	stranger := bundle.TrustKey(newSigner(t).Public())
	seen, different := 0, []string{}
	for file := range files {
		folder, base := path.Split(file)
		if base != "bundle.sigstore.json" {
			continue
		}
		seen++
		v := newVector(files, strings.TrimSuffix(folder, "/"), publicGood)
		trust, err := v.trust(v.identity)
		if err == nil {
			_, err = trust.VerifyAny(v.bundle, v.digest)
		}
		if mustFail := strings.HasSuffix(v.name, "_fail"); mustFail != (err != nil) {
			different = append(different, v.name)
			t.Errorf("%s: %v", v.name, err)
			continue
		} else if mustFail {
			t.Logf("%s is refused: %v", v.name, err)
			continue
		}
		refused := func(trust *bundle.Trust, digest, what string) {
			_, err := trust.VerifyAny(v.bundle, digest)
			assert.ErrorIs(t, err, bundle.ErrUntrusted, "%s with another %s", v.name, what)
		}
		refused(trust, "sha256:"+strings.Repeat("00", 32), "artifact")
		refused(stranger, v.digest, "key")
		if v.key != nil {
			continue
		}
		for what, other := range map[string]bundle.Identity{
			"identity": {Subject: v.identity.Subject + "x", Issuer: v.identity.Issuer},
			"issuer":   {Subject: v.identity.Subject, Issuer: v.identity.Issuer + "x"},
		} {
			trust, err := v.trust(other)
			require.NoError(t, err)
			refused(trust, v.digest, what)
		}
	}
	assert.Equal(t, vectorCount, seen, "cases")
	assert.Empty(t, different, "cases that are not decided as their names say")
	t.Logf("%d of %d cases are decided as their names say", seen-len(different), seen)
}

// vector is one case.
type vector struct {
	name, digest string
	bundle       []byte
	key, root    []byte
	identity     bundle.Identity
}

func newVector(files map[string][]byte, name string, publicGood []byte) vector {
	own := func(file, otherwise string) string {
		if data, ok := files[name+"/"+file]; ok {
			return string(data)
		}
		return otherwise
	}
	sum := sha256.Sum256([]byte(own("artifact", string(files["a.txt"]))))
	return vector{
		name: name, digest: "sha256:" + hex.EncodeToString(sum[:]),
		bundle: files[name+"/bundle.sigstore.json"],
		key:    files[name+"/key.pub"],
		root:   []byte(own("trusted_root.json", string(publicGood))),
		identity: bundle.Identity{
			Subject: strings.TrimSpace(own("identity", beacon)),
			Issuer:  strings.TrimSpace(own("issuer", beaconIssuer)),
		},
	}
}

func (v vector) trust(identity bundle.Identity) (*bundle.Trust, error) {
	if v.key != nil {
		public, err := key.ParsePublic(v.key)
		if err != nil {
			return nil, err
		}
		return bundle.TrustKey(public), nil
	}
	root, err := bundle.ParseRoot(v.root)
	if err != nil {
		return nil, err
	}
	return bundle.TrustIdentities([]bundle.Identity{identity}, root, bundle.Evidence{})
}

// publicGoodRoot is the public-good Sigstore's root, as sigstore-go's module
// has it.
func publicGoodRoot(t *testing.T) []byte {
	t.Helper()
	folder, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/sigstore-go").Output()
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(folder)), "examples", "trusted-root-public-good.json"))
	require.NoError(t, err)
	return data
}

// unpack returns the archive's files by their name below bundle-verify.
func unpack(t *testing.T) map[string][]byte {
	t.Helper()
	archive, err := os.Open(*vectors)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("sigstore-conformance's vectors are not at %s: none of them is decided", *vectors)
	}
	require.NoError(t, err)
	defer archive.Close()
	unzipped, err := gzip.NewReader(archive)
	require.NoError(t, err)
	files := map[string][]byte{}
	for reader := tar.NewReader(unzipped); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		_, name, ok := strings.Cut(header.Name, "bundle-verify/")
		if !ok || header.Typeflag != tar.TypeReg {
			continue
		}
		files[name], err = io.ReadAll(reader)
		require.NoError(t, err)
	}
}
