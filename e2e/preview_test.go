//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type previewed struct {
	Repository, Head, Before, After, Refusal, Uncompared, Diff string
	Changes                                                    bool
	Delta                                                      struct {
		Packages        struct{ Added, Removed, Changed []struct{ Name string } }
		Vulnerabilities struct{ Introduced, Fixed, Remaining []struct{ ID string } }
	}
}

func preview(t *testing.T, p *platform, dir, app string) previewed {
	t.Helper()
	out, err := p.call(dir, p.options(), "preview", "--app", app, "--env", "dev", "json")
	require.NoError(t, err)
	var v previewed
	require.NoError(t, json.Unmarshal([]byte(out), &v), out)
	return v
}

func TestPreviewSaysWhatAReleaseWouldChangeAndChangesNothing(t *testing.T) {
	p := shared
	digest := published(t, p)
	head := git(t, p.remote(t), "rev-parse", "HEAD")
	untouched := func(after string) {
		t.Helper()
		assert.Equal(t, head, git(t, p.remote(t), "rev-parse", "HEAD"), "nothing is committed")
		status, _ := fetch(t, p, "/v2/hello/manifests/"+after, indexType)
		assert.Equal(t, http.StatusNotFound, status, "nothing is pushed")
	}

	t.Run("what runs already", func(t *testing.T) {
		same := preview(t, p, p.repo, "hello")
		assert.False(t, same.Changes)
		assert.Equal(t, digest, same.Before)
		assert.Equal(t, digest, same.After)
		assert.Empty(t, same.Diff)
		text, err := p.call(p.repo, p.options(), "preview", "--app", "hello", "--env", "dev", "text")
		require.NoError(t, err)
		assert.Contains(t, text, "hello in dev: a release of the present source would change nothing\n")
		assert.Contains(t, text, digest+" (as it is)")
	})
	t.Run("another image", func(t *testing.T) {
		dir := source(t, map[string]string{"apps/hello/greeting/extra.go": "package greeting\n\n// Extra makes another image.\nconst Extra = \"previewed\"\n\nfunc init() { println(Extra) }\n"})
		other := preview(t, p, dir, "hello")
		assert.True(t, other.Changes)
		assert.Equal(t, "localhost:5000/hello", other.Repository)
		assert.Equal(t, head, other.Head)
		assert.Equal(t, digest, other.Before)
		assert.NotEqual(t, digest, other.After)
		assert.Empty(t, other.Refusal)
		assert.Empty(t, other.Uncompared)
		assert.Contains(t, other.Diff, "-      - image: localhost:5000/hello@"+digest)
		assert.Contains(t, other.Diff, "+      - image: localhost:5000/hello@"+other.After)
		assert.Empty(t, other.Delta.Packages.Added)
		untouched(other.After)
	})
	t.Run("an image that the scan refuses", func(t *testing.T) {
		bad := preview(t, p, p.repo, "legacy")
		assert.Contains(t, bad.Refusal, "CVE-2022-32149")
		assert.Empty(t, bad.Before, "it was never released")
		assert.False(t, p.pushed(t, "legacy"))
		assert.Equal(t, head, git(t, p.remote(t), "rev-parse", "HEAD"))
	})
}
