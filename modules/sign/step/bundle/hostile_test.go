package bundle_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/drill/sigstore/standintest"
	"slipway/sign/step/bundle"
)

// A bundle that lacks something, or has something else in its place, is decided:
// whoever can push could stop a release with one that is not.
func TestEveryMemberMayBeMissingOrAnother(t *testing.T) {
	s := standintest.New(t)
	trust := identity(t, s.Root(t), bundle.Identity{Subject: who, Issuer: issuer}, evidence)
	statement := statementAbout(t, digest)
	for name, good := range map[string][]byte{"Rekor v1": s.Attest(t, who, issuer, statement), "Rekor v2": s.AttestV2(t, who, issuer, statement)} {
		var tried, refused int
		verify := func(data []byte, what string) {
			tried++
			require.NotPanics(t, func() {
				verified, err := trust.Verify(data, digest)
				if err != nil {
					refused++
					assert.Nil(t, verified)
					return
				}
				// What is left verifies: then it is the statement as it was signed.
				assert.Equal(t, map[string]string{"app": "hello"}, verified.Statement.Claims(digest))
				assert.Equal(t, who, verified.Signer.Identity)
			}, what)
		}
		each(t, good, func(data []byte, what string) { verify(data, name+what) })
		assert.Greater(t, refused, tried/2, name)

		// The log's entry is a document of its own.
		var whole struct {
			VerificationMaterial struct {
				TlogEntries []struct{ CanonicalizedBody []byte }
			}
		}
		require.NoError(t, json.Unmarshal(good, &whole))
		body := whole.VerificationMaterial.TlogEntries[0].CanonicalizedBody
		tried, refused = 0, 0
		each(t, body, func(data []byte, what string) {
			changed := bytes.Replace(good, []byte(base64.StdEncoding.EncodeToString(body)), []byte(base64.StdEncoding.EncodeToString(data)), 1)
			require.NotEqual(t, good, changed)
			verify(changed, name+"'s entry"+what)
		})
		if name == "Rekor v1" {
			assert.Equal(t, tried, refused, "the log signed its entry as it is")
		}
		// For Rekor v2 the entry that counts is made anew of the bundle, whatever
		// its copy in there says.
	}
}

// each changes every value of a document in turn.
func each(t *testing.T, good []byte, try func(data []byte, what string)) {
	t.Helper()
	var document any
	require.NoError(t, json.Unmarshal(good, &document))
	for _, path := range paths(document, nil) {
		for _, instead := range []any{gone{}, nil, "", "AA==", "0", -1, 1 << 40, []any{}, []any{nil}, map[string]any{}} {
			var changed any
			require.NoError(t, json.Unmarshal(good, &changed))
			data, err := json.Marshal(put(changed, path, instead))
			require.NoError(t, err)
			try(data, fmt.Sprintf(": %v = %v", path, instead))
		}
	}
}

// gone takes a member out.
type gone struct{}

// paths are the ways to every value of a JSON document.
func paths(value any, at []any) [][]any {
	var all [][]any
	if len(at) > 0 {
		all = append(all, at)
	}
	switch value := value.(type) {
	case map[string]any:
		for name, member := range value {
			all = append(all, paths(member, append(slices.Clone(at), name))...)
		}
	case []any:
		for i, item := range value {
			all = append(all, paths(item, append(slices.Clone(at), i))...)
		}
	}
	return all
}

// put returns the document with another value at a path.
func put(document any, path []any, instead any) any {
	if len(path) == 0 {
		return instead
	}
	switch value := document.(type) {
	case map[string]any:
		name := path[0].(string)
		if changed := put(value[name], path[1:], instead); changed == (any)(gone{}) {
			delete(value, name)
		} else {
			value[name] = changed
		}
	case []any:
		i := path[0].(int)
		if _, out := instead.(gone); out && len(path) == 1 {
			return slices.Delete(value, i, i+1)
		}
		value[i] = put(value[i], path[1:], instead)
	default:
		panic(fmt.Sprintf("no %v in %T", path, document))
	}
	return document
}
