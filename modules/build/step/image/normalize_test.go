package image

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/build/step/internal/testinput"
	"slipway/build/step/oci"
	"slipway/step"
)

// exported is an image as a container engine would export it.
type exported struct {
	when     time.Time
	platform string
	user     string
	passwd   string
	reverse  bool   // another order of files
	diffID   string // a wrong one, when set
	twice    bool   // a second image for the platform
	env      []string
}

// layout writes e as an OCI layout.
func (e exported) layout(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "export")
	w, err := oci.Create(dir)
	require.NoError(t, err)
	root, err := w.AddJSON(types.OCIImageIndex, e.index(t, w))
	require.NoError(t, err)
	require.NoError(t, w.Finish(root))
	return dir
}

func (e exported) index(t *testing.T, w *oci.Writer) v1.IndexManifest {
	t.Helper()
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	add := func(e exported) {
		plain := e.tar(t)
		diffID, _, err := v1.SHA256(bytes.NewReader(plain))
		require.NoError(t, err)
		if e.diffID != "" {
			diffID.Hex = e.diffID
		}
		layer, err := w.Add(types.OCIUncompressedLayer, func(out io.Writer) error {
			_, err := out.Write(plain)
			return err
		})
		require.NoError(t, err)
		p := ociPlatform(e.platform)
		config, err := w.AddJSON(types.OCIConfigJSON, v1.ConfigFile{
			OS: p.OS, Architecture: p.Architecture, Created: v1.Time{Time: e.when}, Container: "abc", Author: "someone",
			Config: v1.Config{
				User: e.user, Entrypoint: []string{"/srv"}, Cmd: []string{"-v"}, Env: append([]string{"A=b"}, e.env...), WorkingDir: "/w", Hostname: e.when.String(),
				Labels: map[string]string{"from": "dockerfile", "org.opencontainers.image.title": "base", "org.opencontainers.image.created": e.when.String()},
			},
			History: []v1.History{
				{Created: v1.Time{Time: e.when}, CreatedBy: "COPY srv /", Author: "someone"},
				{Created: v1.Time{Time: e.when}, CreatedBy: "exec /~slipway/box run --keep-user --time=20m -- /bin/x -- y", EmptyLayer: true},
			},
			RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{diffID}},
		})
		require.NoError(t, err)
		d, err := w.AddJSON(types.OCIManifestSchema1, v1.Manifest{
			SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: config, Layers: []v1.Descriptor{layer},
			Annotations: map[string]string{"built": e.when.String()},
		})
		require.NoError(t, err)
		index.Manifests = append(index.Manifests, d)
	}
	add(e)
	if e.twice {
		e.env = []string{"SECOND=1"}
		add(e)
	}
	attestation := e
	attestation.platform, attestation.env = "unknown/unknown", nil
	add(attestation)
	return index
}

func (e exported) tar(t *testing.T) []byte {
	t.Helper()
	entries := []struct{ name, content string }{{"srv", "binary of " + e.platform}, {"etc/motd", "hi"}}
	if e.passwd != "" {
		entries = append(entries, struct{ name, content string }{"etc/passwd", e.passwd})
	}
	if e.reverse {
		entries[0], entries[1] = entries[1], entries[0]
	}
	var out bytes.Buffer
	tw := tar.NewWriter(&out)
	for _, f := range entries {
		require.NoError(t, tw.WriteHeader(&tar.Header{Name: f.name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(f.content)), ModTime: e.when}))
		_, err := tw.Write([]byte(f.content))
		require.NoError(t, err)
	}
	require.NoError(t, tw.Close())
	return out.Bytes()
}

// archive packs a layout as an engine's tarball, in any order of files.
func archive(t *testing.T, layout string) string {
	t.Helper()
	var out bytes.Buffer
	tw := tar.NewWriter(&out)
	for name, content := range files(t, layout) {
		require.NoError(t, tw.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}))
		_, err := tw.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, tw.WriteHeader(&tar.Header{Name: "../escape", Typeflag: tar.TypeReg, Mode: 0o644}))
	require.NoError(t, tw.Close())
	return testinput.File(t, "image.tar", out.Bytes())
}

func labels(t *testing.T) Labels {
	t.Helper()
	l, err := ParseLabels([]string{"org.opencontainers.image.title=web"})
	require.NoError(t, err)
	return l
}

func TestNormalizeIsTheSameForEveryExport(t *testing.T) {
	tree := testinput.Tree(t)
	amd := exported{when: time.Unix(1_700_000_000, 0), platform: "linux/amd64", user: "65532:65532"}
	arm := amd
	arm.platform = "linux/arm64"
	first, second := filepath.Join(t.TempDir(), "layout"), filepath.Join(t.TempDir(), "layout")
	scratch := t.TempDir()
	one, err := Normalize(first, scratch, NormalizeInput{
		Images: []Source{{"linux/amd64", amd.layout(t)}, {"linux/arm64", arm.layout(t)}}, Labels: labels(t), Tree: tree,
	})
	require.NoError(t, err)

	for _, e := range []*exported{&amd, &arm} {
		e.when, e.reverse = time.Unix(1_800_000_000, 0), true
	}
	two, err := Normalize(second, scratch, NormalizeInput{
		Images: []Source{{"linux/arm64", archive(t, arm.layout(t))}, {"linux/amd64", archive(t, amd.layout(t))}}, Labels: labels(t), Tree: tree,
	})
	require.NoError(t, err)
	assert.Equal(t, one, two)
	assert.Equal(t, files(t, first), files(t, second))
	assert.Empty(t, files(t, scratch))

	index, byPlatform := images(t, first)
	assert.Equal(t, map[string]string{"org.opencontainers.image.title": "web", "org.opencontainers.image.revision": one.Revision}, index.Annotations)
	assert.Len(t, byPlatform, 2)
	config, err := byPlatform["linux/arm64"].ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, v1.Config{
		User: "65532:65532", Entrypoint: []string{"/srv"}, Cmd: []string{"-v"}, Env: []string{"A=b"}, WorkingDir: "/w",
		Labels: map[string]string{"from": "dockerfile", "org.opencontainers.image.title": "web", "org.opencontainers.image.revision": one.Revision},
	}, config.Config)
	assert.Empty(t, config.Author+config.Container)
	require.Len(t, config.History, 2)
	assert.Equal(t, "COPY srv /", config.History[0].CreatedBy)
	assert.True(t, config.History[1].EmptyLayer)
	assert.Equal(t, "exec /bin/x -- y", config.History[1].CreatedBy, "the limits of a build are not the image's")
	for _, h := range config.History {
		assert.True(t, h.Created.Equal(time.Unix(0, 0)))
	}
}

func TestNormalizeRefusesRoot(t *testing.T) {
	const accounts = "root:x:0:0::/:\napp:x:1000:1000::/:\ntoor:x:0:0::/:\nbig:x:4294967295:1::/:\ndup:x:1:1::/:\ndup:x:0:0::/:\n"
	for user, reason := range map[string]string{
		"":           "is not set, so the image runs as root",
		":65532":     "is not set, so the image runs as root",
		"root":       "is root",
		"root:app":   "is root",
		"0":          "is root",
		"0:65532":    "is root",
		"000":        "is root",
		"toor":       "is root",
		"+0":         "is a name that the image's /etc/passwd doesn't have",
		"ghost":      "is a name that the image's /etc/passwd doesn't have",
		"dup":        "is a name that the image's /etc/passwd doesn't have",
		"big":        "has no valid user id",
		"4294967296": "has no valid user id",
		"app":        "",
		"app:root":   "",
		"1000":       "",
	} {
		t.Run("user "+user, func(t *testing.T) {
			e := exported{when: time.Unix(1, 0), platform: "linux/amd64", user: user, passwd: accounts}
			dir := filepath.Join(t.TempDir(), "layout")
			built, err := Normalize(dir, t.TempDir(), NormalizeInput{Images: []Source{{"linux/amd64", e.layout(t)}}, Tree: testinput.Tree(t)})
			if reason == "" {
				require.NoError(t, err)
				assert.Equal(t, user, built.Platforms[0].User)
				return
			}
			f := fault(t, err, step.KindPolicy)
			assert.Contains(t, f.Input, "image for linux/amd64: USER")
			assert.Equal(t, reason, f.Reason)
			assert.Contains(t, f.Mend, "USER 65532:65532")
			assert.NoDirExists(t, dir, "nothing is left behind")
		})
	}
}

func TestNormalizeRefuses(t *testing.T) {
	good := exported{when: time.Unix(1, 0), platform: "linux/amd64", user: "1"}
	wrongDiff, twice, flipped := good, good, good.layout(t)
	wrongDiff.diffID = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	twice.twice = true
	flip(t, flipped, "binary of linux/amd64")

	for name, tc := range map[string]struct {
		source Source
		kind   step.Kind
		reason string
	}{
		"missing":          {Source{"linux/amd64", "/nonexistent"}, step.KindInput, "can't be read"},
		"other platform":   {Source{"linux/arm64", good.layout(t)}, step.KindInput, "holds no image for its platform"},
		"two images":       {Source{"linux/amd64", twice.layout(t)}, step.KindInput, "holds two images for its platform"},
		"no archive":       {Source{"linux/amd64", testinput.File(t, "x.tar", bytes.Repeat([]byte("x"), 2000))}, step.KindInput, "is no archive that can be unpacked"},
		"docker's archive": {Source{"linux/amd64", archive(t, filepath.Dir(testinput.File(t, "manifest.json", []byte("[]"))))}, step.KindInput, "is not an OCI image layout: oci-layout can't be read"},
		"wrong diff id":    {Source{"linux/amd64", wrongDiff.layout(t)}, step.KindPolicy, "and the image's config says sha256:" + wrongDiff.diffID},
		"flipped byte":     {Source{"linux/amd64", flipped}, step.KindPolicy, "has digest sha256:"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, scratch := filepath.Join(t.TempDir(), "layout"), t.TempDir()
			_, err := Normalize(dir, scratch, NormalizeInput{Images: []Source{tc.source}, Tree: testinput.Tree(t)})
			assert.Contains(t, fault(t, err, tc.kind).Reason, tc.reason)
			assert.NoDirExists(t, dir)
			assert.Empty(t, files(t, scratch))
		})
	}
}

// flip changes a byte of the one blob that contains text.
func flip(t *testing.T, layout, text string) {
	t.Helper()
	for name, content := range files(t, layout) {
		if at := bytes.Index([]byte(content), []byte(text)); at >= 0 {
			data := []byte(content)
			data[at] ^= 1
			require.NoError(t, os.WriteFile(filepath.Join(layout, name), data, 0o644))
			return
		}
	}
	require.Fail(t, "no blob contains "+text)
}
