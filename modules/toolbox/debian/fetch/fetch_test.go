package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/toolbox/debian/lock"
)

func pinned(content string) lock.Package {
	sum := sha256.Sum256([]byte(content))
	return lock.Package{Name: "git", Version: "1", SHA256: hex.EncodeToString(sum[:]), Path: "pool/git.deb"}
}

func fetcher(t *testing.T, answers ...func(w http.ResponseWriter, r *http.Request)) (*Fetcher, *[]string) {
	t.Helper()
	asked := &[]string{}
	f := &Fetcher{Client: http.DefaultClient, Sleep: func(context.Context, time.Duration) error { return nil }}
	for n, answer := range answers {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			*asked = append(*asked, string(rune('a'+n))+r.URL.Path)
			answer(w, r)
		}))
		t.Cleanup(server.Close)
		f.Mirrors = append(f.Mirrors, server.URL+"/debian/")
	}
	return f, asked
}

func serve(content string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(content)) }
}

func code(status int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func TestTheNextMirrorIsAskedWhenOneLacksThePackage(t *testing.T) {
	f, asked := fetcher(t, code(404), serve("the package"))
	data, err := f.Get(t.Context(), pinned("the package"))
	require.NoError(t, err)
	assert.Equal(t, "the package", string(data))
	assert.Equal(t, []string{"a/debian/pool/git.deb", "b/debian/pool/git.deb"}, *asked)
}

func TestOtherBytesAreRefusedAndNoOtherMirrorIsAsked(t *testing.T) {
	f, asked := fetcher(t, serve("something else"), serve("the package"))
	_, err := f.Get(t.Context(), pinned("the package"))
	fault, ok := step.AsFault(err)
	require.True(t, ok)
	assert.Equal(t, step.KindPolicy, fault.Kind)
	assert.Contains(t, fault.Reason, "but the lock says "+pinned("the package").SHA256)
	assert.Len(t, *asked, 1)
}

func TestAMirrorThatFailsIsTriedAgain(t *testing.T) {
	calls := 0
	f, _ := fetcher(t, func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls < 3 {
			code(503)(w, r)
			return
		}
		serve("the package")(w, r)
	})
	_, err := f.Get(t.Context(), pinned("the package"))
	require.NoError(t, err)
	assert.Equal(t, 3, calls)
}

func TestAPackageOnNoMirrorIsAFaultThatNamesAll(t *testing.T) {
	f, asked := fetcher(t, code(404), code(503))
	_, err := f.Get(t.Context(), pinned("x"))
	fault, ok := step.AsFault(err)
	require.True(t, ok)
	assert.Equal(t, step.KindInfrastructure, fault.Kind)
	assert.Len(t, fault.Details, 4, "one answer of the first mirror, three of the second")
	assert.Len(t, *asked, 4)
	assert.Contains(t, fault.Mend, "make the lock again")
}
