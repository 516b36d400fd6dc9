package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cached is a module cache with one module, whose checksum was computed with
// golang.org/x/mod/sumdb/dirhash.
const (
	cachedModule = "example.org/Upper"
	cachedSum    = "h1:mIeGBUhN+9mf8Mv+353gIwZuVv46xLi/9nk/7U/BRtA="
)

func cached(t *testing.T) (cache, dir string) {
	t.Helper()
	cache = t.TempDir()
	dir = filepath.Join(cache, "example.org", "!upper@v1.0.0")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.org/Upper\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "a.go"), []byte("package sub\n"), 0o644))
	return cache, dir
}

func sums(t *testing.T, lines string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "go.sum")
	require.NoError(t, os.WriteFile(file, []byte(lines), 0o644))
	return file
}

const line = cachedModule + " v1.0.0 " + cachedSum + "\n"

func TestWhatIsAsPinnedPasses(t *testing.T) {
	cache, _ := cached(t)
	n, err := verify(sums(t, line+cachedModule+" v1.0.0/go.mod h1:x=\nexample.org/absent v1.0.0 h1:y=\n"), cache)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}

func TestWhatSomebodyChangedIsRefused(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"content": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "sub", "a.go"), []byte("package bad\n"), 0o644)
		},
		"a file more":  func(dir string) error { return os.WriteFile(filepath.Join(dir, "sub", "b.go"), nil, 0o644) },
		"a file less":  func(dir string) error { return os.Remove(filepath.Join(dir, "go.mod")) },
		"another name": func(dir string) error { return os.Rename(filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.mod2")) },
		"a link":       func(dir string) error { return os.Symlink("a.go", filepath.Join(dir, "sub", "b.go")) },
		"no folder at all": func(dir string) error {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
			return os.WriteFile(dir, nil, 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			cache, dir := cached(t)
			require.NoError(t, change(dir))
			// Not only the first module counts.
			_, err := verify(sums(t, "example.org/absent v1.0.0 h1:y=\n"+line), cache)
			require.Error(t, err)
			assert.Contains(t, err.Error(), map[bool]string{true: "is no regular file", false: "example.org/Upper@v1.0.0 in the module cache is not what go.sum pins"}[name == "a link"])
		})
	}
}

// The go command does not use what is marked as unpacked in part.
func TestWhatIsBeingUnpackedIsLeftToTheGoCommand(t *testing.T) {
	cache, dir := cached(t)
	require.NoError(t, os.Remove(filepath.Join(dir, "go.mod")))
	mark := filepath.Join(cache, "cache", "download", "example.org", "!upper", "@v", "v1.0.0.partial")
	require.NoError(t, os.MkdirAll(filepath.Dir(mark), 0o755))
	require.NoError(t, os.WriteFile(mark, nil, 0o644))
	n, err := verify(sums(t, line), cache)
	require.NoError(t, err)
	assert.Zero(t, n)

	require.NoError(t, os.Remove(mark))
	_, err = verify(sums(t, line), cache)
	assert.ErrorContains(t, err, "is not what go.sum pins")
}

func TestOddPins(t *testing.T) {
	cache, _ := cached(t)
	_, err := verify(sums(t, "example.org/Upper v1.0.0\n"), cache)
	assert.ErrorContains(t, err, "is not a line of a go.sum")
	_, err = verify(sums(t, "example.org/Upper v1.0.0 h2:x\n"), cache)
	assert.ErrorContains(t, err, "is not a line of a go.sum")
	n, err := verify(filepath.Join(cache, "no.sum"), cache)
	require.NoError(t, err)
	assert.Zero(t, n)
}
