package registry

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/steptest"
)

const someDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// input asserts a whole refusal of an input.
func input(t *testing.T, err error, reason string, about ...any) {
	t.Helper()
	f := steptest.Refused(t, err)
	assert.Equal(t, step.KindInput, f.Kind, about...)
	assert.Equal(t, reason, f.Reason, about...)
}

func TestParseReference(t *testing.T) {
	for _, text := range []string{"localhost:5000/hello", "localhost:5000/a/b", "ghcr.io/a/b-c/d_e.f", "127.0.0.1:5000/x", "[::1]:5000/x", "registry:5000/a__b", "10.0.0.1:5000/a"} {
		ref, err := ParseReference("verify", "--reference", text+"@"+someDigest)
		require.NoError(t, err)
		assert.Equal(t, text, ref.Repository.Name())
		assert.Equal(t, someDigest, ref.Digest.String())
		assert.Equal(t, text+"@"+someDigest, ref.Text)
	}
	for _, value := range []string{
		"", "a", "hello", "library/hello", "localhost:5000", "localhost:5000/", "localhost:5000/Hello", "localhost:5000/hello:v1", "localhost:5000/../x", "../a", "../x",
		"http://localhost:5000/hello", "localhost:5000/a b", "-x", "-x/hello", "-x.example.org/a", "localhost:5000/hello\n", "localhost:5000/a\nb", "localhost:5000/$(id)", "localhost:5000/a/",
		"localhost:5000/a@sha256:0", "docker.io/hello", "GHCR.io/x", "localhost:5000/" + strings.Repeat("a", 300), "user@localhost/x", "[::1%25lo]/x",
	} {
		_, err := ParseRepository("publish", "--repository", value)
		input(t, err, "is not a repository", value)
		_, err = ParseReference("verify", "--reference", value+"@"+someDigest)
		input(t, err, "is not a reference by digest", value)
	}
	for _, value := range []string{
		"localhost:5000/hello", "localhost:5000/hello:v1", "localhost:5000/hello@sha256:01", "localhost:5000/hello:v1@" + someDigest, "@" + someDigest,
		"localhost:5000/hello@" + someDigest + "\n", "localhost:5000/hello@" + strings.ToUpper(someDigest), "localhost:5000/hello@" + someDigest + "@" + someDigest,
	} {
		_, err := ParseReference("verify", "--reference", value)
		input(t, err, "is not a reference by digest", value)
	}
}

func TestCheckTag(t *testing.T) {
	for _, tag := range []string{"2", "v1.2.3", "_x", strings.Repeat("a", 128)} {
		assert.NoError(t, CheckTag("scan", tag))
	}
	for _, tag := range []string{"", "../x", "a b", "-x", ".x", "a\nb", "a/b", someDigest, strings.Repeat("a", 129)} {
		input(t, CheckTag("scan", tag), "is not a valid tag", tag)
	}
}
