package attach_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/registry"
	"slipway/sign/step/attach"
	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
	"slipway/step"
	"slipway/step/reach"
	"slipway/step/result/sign"
)

const verdictType = "https://example.org/verdict/v1"

var ctx = context.Background()

// world is a registry with one image index in it, which the logical name
// localhost:5000 stands for.
type world struct {
	t      *testing.T
	server *httptest.Server
	ref    *registry.Reference
	key    *key.Signer
	// before may answer a request in the registry's stead.
	before func(http.ResponseWriter, *http.Request) bool
	// change may change a body that is read.
	change func(path string, body []byte) []byte
	asked  atomic.Int32
}

func newWorld(t *testing.T, referrersAPI bool) *world {
	t.Helper()
	w := &world{t: t, key: must(t, ours)}
	real := fake.New(fake.WithReferrersSupport(referrersAPI), fake.Logger(log.New(io.Discard, "", 0)))
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if w.before != nil && w.before(rw, r) {
			return
		}
		if w.change == nil || r.Method != http.MethodGet {
			real.ServeHTTP(rw, r)
			return
		}
		recorded := httptest.NewRecorder()
		real.ServeHTTP(recorded, r)
		body := w.change(r.URL.Path, recorded.Body.Bytes())
		for name, values := range recorded.Header() {
			if name != "Content-Length" {
				rw.Header()[name] = values
			}
		}
		rw.WriteHeader(recorded.Code)
		_, _ = rw.Write(body)
	}))
	t.Cleanup(w.server.Close)

	index, err := random.Index(64, 1, 2)
	require.NoError(t, err)
	digest, err := index.Digest()
	require.NoError(t, err)
	w.ref, err = registry.ParseReference("sign", "reference", "localhost:5000/apps/hello@"+digest.String())
	require.NoError(t, err)
	pushed, err := registry.ParseReference("sign", "reference", w.address()+"/apps/hello@"+digest.String())
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(pushed.Repository.Digest(digest.String()), index))
	return w
}

func (w *world) address() string { return strings.TrimPrefix(w.server.URL, "http://") }

func (w *world) access(stage string) registry.Access {
	return registry.Access{Stage: stage, Connections: reach.Connections{"localhost:5000": w.address()}, Pause: time.Microsecond}
}

// signing is a client of the stage sign.
func (w *world) signing() *registry.Client {
	return registry.New(w.access("sign"), w.ref.Repository, registry.Push)
}

func (w *world) client() *registry.Client {
	return registry.New(w.access("verify"), w.ref.Repository, registry.Push)
}

func (w *world) sign(annotations map[string]string) (*sign.Attached, error) {
	return w.one(attach.Request{PredicateType: bundle.SignPredicateType, Annotations: annotations})
}

func (w *world) attest(predicate string) (*sign.Attached, error) {
	return w.one(attach.Request{PredicateType: verdictType, Predicate: []byte(predicate)})
}

func (w *world) one(request attach.Request) (*sign.Attached, error) {
	all, err := attach.Sign(ctx, w.signing(), bundle.SignKey(w.key), "sign", w.ref, request)
	if err != nil {
		return nil, err
	}
	require.Len(w.t, all, 1)
	return all[0], nil
}

func (w *world) verify(public *key.Public, predicateType string) (*sign.Found, error) {
	return attach.Verify(ctx, w.client(), bundle.TrustKey(public), attach.Wanted{Stage: "verify", Reference: w.ref, PredicateType: predicateType})
}

// attachRaw attaches bytes as if they were a bundle.
func (w *world) attachRaw(data []byte) v1.Hash {
	w.t.Helper()
	subject, _, err := w.client().Manifest(ctx, w.ref.Digest)
	require.NoError(w.t, err)
	digest, err := w.client().Attach(ctx, registry.Artifact{Subject: subject, Type: bundle.MediaType, Data: data})
	require.NoError(w.t, err)
	return digest
}

// One key signs, and a stranger does not: sealing a key is slow on purpose.
var (
	ours     = sync.OnceValues(makeSigner)
	stranger = sync.OnceValues(makeSigner)
)

func makeSigner() (*key.Signer, error) {
	pair, err := key.Generate([]byte("secret"))
	if err != nil {
		return nil, err
	}
	return key.Open(pair.Private, []byte("secret"))
}

func must(t *testing.T, of func() (*key.Signer, error)) *key.Signer {
	t.Helper()
	signer, err := of()
	require.NoError(t, err)
	return signer
}

func refused(t *testing.T, err error, kind step.Kind, stage string) *step.Fault {
	t.Helper()
	fault, ok := step.AsFault(err)
	require.True(t, ok, "want a fault, got %v", err)
	assert.Equal(t, kind, fault.Kind, fault.Error())
	assert.Equal(t, stage, fault.Stage)
	assert.NotEmpty(t, fault.Input)
	assert.NotEmpty(t, fault.Mend)
	return fault
}

// eachRegistry runs a test with the referrers API and with the tag schema.
func eachRegistry(t *testing.T, test func(*testing.T, *world)) {
	t.Run("referrers API", func(t *testing.T) { test(t, newWorld(t, true)) })
	t.Run("tag schema", func(t *testing.T) { test(t, newWorld(t, false)) })
}

func TestSignedImageVerifies(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		claims := map[string]string{"app": "hello", "revision": strings.Repeat("a", 40)}
		signed, err := w.sign(claims)
		require.NoError(t, err)
		assert.True(t, signed.Signed)
		assert.Equal(t, w.ref.Text, signed.Reference)
		assert.Equal(t, w.key.Public().Hint(), signed.KeyHint)
		_, err = w.attest(`{"passed":true}`)
		require.NoError(t, err)

		got, err := w.verify(w.key.Public(), bundle.SignPredicateType)
		require.NoError(t, err)
		assert.Equal(t, &sign.Found{
			Reference: w.ref.Text, Digest: w.ref.Digest.String(), KeyHint: w.key.Public().Hint(), Verified: 1,
			PredicateType: bundle.SignPredicateType, Predicates: []json.RawMessage{[]byte("{}")},
			Annotations: []map[string]string{claims}, Referrers: []string{signed.Referrer},
		}, got)

		got, err = w.verify(w.key.Public(), verdictType)
		require.NoError(t, err)
		assert.Equal(t, []json.RawMessage{[]byte(`{"passed":true}`)}, got.Predicates)
	})
}

func TestReferrerIsWhatCosignWrites(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		signed, err := w.sign(nil)
		require.NoError(t, err)
		digest, err := v1.NewHash(signed.Referrer)
		require.NoError(t, err)
		_, data, err := w.client().Manifest(ctx, digest)
		require.NoError(t, err)
		var m struct {
			v1.Manifest
			ArtifactType string `json:"artifactType"`
		}
		require.NoError(t, json.Unmarshal(data, &m))
		assert.Equal(t, "application/vnd.dev.sigstore.bundle.v0.3+json", m.ArtifactType)
		assert.EqualValues(t, "application/vnd.oci.empty.v1+json", m.Config.MediaType)
		assert.Equal(t, w.ref.Digest, m.Subject.Digest)
		assert.EqualValues(t, "application/vnd.oci.image.index.v1+json", m.Subject.MediaType)
		require.Len(t, m.Layers, 1)
		assert.EqualValues(t, "application/vnd.dev.sigstore.bundle.v0.3+json", m.Layers[0].MediaType)
		assert.Equal(t, "dsse-envelope", m.Annotations["dev.sigstore.bundle.content"])
		assert.Equal(t, "https://sigstore.dev/cosign/sign/v1", m.Annotations["dev.sigstore.bundle.predicateType"])
		assert.Regexp(t, regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`), m.Annotations["org.opencontainers.image.created"])
		assert.Len(t, m.Annotations, 3)

		enveloped, err := w.one(attach.Request{PredicateType: verdictType, Predicate: []byte(`{}`), Envelope: sign.EnvelopeDSSE})
		require.NoError(t, err)
		digest, err = v1.NewHash(enveloped.Referrer)
		require.NoError(t, err)
		_, data, err = w.client().Manifest(ctx, digest)
		require.NoError(t, err)
		var alone struct {
			ArtifactType string            `json:"artifactType"`
			Annotations  map[string]string `json:"annotations"`
		}
		require.NoError(t, json.Unmarshal(data, &alone))
		assert.Equal(t, bundle.EnvelopeMediaType, alone.ArtifactType)
		assert.Equal(t, verdictType, alone.Annotations["in-toto.io/predicate-type"])
		assert.Regexp(t, regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`), alone.Annotations["org.opencontainers.image.created"])
		assert.Len(t, alone.Annotations, 2)
	})
}

func TestSigningAgainAddsNothing(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		count := func() int {
			list, err := w.client().Referrers(ctx, w.ref.Digest)
			require.NoError(t, err)
			return len(list)
		}
		first, err := w.sign(map[string]string{"app": "hello"})
		require.NoError(t, err)
		again, err := w.sign(map[string]string{"app": "hello"})
		require.NoError(t, err)
		assert.False(t, again.Signed)
		assert.Equal(t, first.Referrer, again.Referrer)
		assert.Equal(t, 1, count())

		verdict, err := w.attest(`{"passed":true,"at":1}`)
		require.NoError(t, err)
		assert.True(t, verdict.Signed)
		same, err := w.attest(`{ "at": 1, "passed": true }`)
		require.NoError(t, err)
		assert.False(t, same.Signed)
		assert.Equal(t, verdict.Referrer, same.Referrer)
		assert.Equal(t, 2, count())

		other, err := w.attest(`{"passed":true,"at":2}`)
		require.NoError(t, err)
		assert.True(t, other.Signed, "another predicate is another statement")
		claims, err := w.sign(map[string]string{"app": "other"})
		require.NoError(t, err)
		assert.True(t, claims.Signed, "other claims are another statement")
		w.key = must(t, stranger)
		mine, err := w.sign(map[string]string{"app": "hello"})
		require.NoError(t, err)
		assert.True(t, mine.Signed, "another key's signature is not mine")
		assert.Equal(t, 5, count())
	})
}

func TestVerifyRefusesAnUnsignedImage(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		_, err := w.verify(w.key.Public(), bundle.SignPredicateType)
		fault := refused(t, err, step.KindPolicy, "verify")
		assert.Equal(t, w.ref.Text, fault.Input)
		assert.Equal(t, "has no signature", fault.Reason)
		assert.Contains(t, fault.Mend, "sign the image")
	})
}

func TestAnAttestationIsNoSignature(t *testing.T) {
	w := newWorld(t, true)
	_, err := w.attest(`{}`)
	require.NoError(t, err)
	_, err = w.verify(w.key.Public(), bundle.SignPredicateType)
	assert.Equal(t, "has no signature", refused(t, err, step.KindPolicy, "verify").Reason)

	w = newWorld(t, true)
	_, err = w.sign(nil)
	require.NoError(t, err)
	_, err = w.verify(w.key.Public(), verdictType)
	assert.Equal(t, "has no attestation "+verdictType, refused(t, err, step.KindPolicy, "verify").Reason)
}

func TestVerifyRefusesAnotherKey(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		signed, err := w.sign(nil)
		require.NoError(t, err)
		other := must(t, stranger).Public()
		_, err = w.verify(other, bundle.SignPredicateType)
		fault := refused(t, err, step.KindPolicy, "verify")
		assert.Contains(t, fault.Reason, "no valid signature by key "+other.Hint())
		require.Len(t, fault.Details, 1)
		assert.Contains(t, fault.Details[0], signed.Referrer)
		assert.Contains(t, fault.Details[0], w.key.Public().Hint(), "it names the key that signed")
	})
}

func TestVerifyRefusesASignatureOfAnotherImage(t *testing.T) {
	w := newWorld(t, true)
	statement, err := bundle.NewStatement("sha256:"+strings.Repeat("ab", 32), bundle.SignPredicateType, nil, nil)
	require.NoError(t, err)
	data, err := bundle.Sign(ctx, w.key, statement)
	require.NoError(t, err)
	digest := w.attachRaw(data)
	_, err = w.verify(w.key.Public(), bundle.SignPredicateType)
	fault := refused(t, err, step.KindPolicy, "verify")
	require.Len(t, fault.Details, 1)
	assert.Contains(t, fault.Details[0], digest.String())
	assert.Contains(t, fault.Details[0], "digest")
}

func TestVerifyNamesRubbishAndTakesOneValidSignature(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		digest := w.attachRaw([]byte("rubbish"))
		_, err := w.verify(w.key.Public(), bundle.SignPredicateType)
		fault := refused(t, err, step.KindPolicy, "verify")
		assert.Contains(t, fault.Reason, "1 bundles")
		require.Len(t, fault.Details, 1)
		assert.Contains(t, fault.Details[0], digest.String()+": is not a readable Sigstore bundle")

		_, err = w.sign(nil)
		require.NoError(t, err)
		got, err := w.verify(w.key.Public(), bundle.SignPredicateType)
		require.NoError(t, err)
		assert.Equal(t, 1, got.Verified)
		require.Len(t, got.Ignored, 1)
		assert.Contains(t, got.Ignored[0], digest.String())
	})
}

func TestVerifyRefusesWithoutTheWantedClaims(t *testing.T) {
	w := newWorld(t, true)
	_, err := w.sign(map[string]string{"app": "hello"})
	require.NoError(t, err)
	want := attach.Wanted{Stage: "verify", Reference: w.ref, PredicateType: bundle.SignPredicateType, Annotations: map[string]string{"app": "other"}}
	_, err = attach.Verify(ctx, w.client(), bundle.TrustKey(w.key.Public()), want)
	fault := refused(t, err, step.KindPolicy, "verify")
	assert.Equal(t, "has no signature with the wanted claims", fault.Reason)
	assert.Contains(t, fault.Details[0], `does not claim "app=other"`)
	want.Annotations["app"] = "hello"
	_, err = attach.Verify(ctx, w.client(), bundle.TrustKey(w.key.Public()), want)
	assert.NoError(t, err)
}

func TestVerifyRefusesChangedContent(t *testing.T) {
	flip := func(body []byte) []byte {
		changed := bytes.Clone(body)
		changed[len(changed)/2] ^= 1
		return changed
	}
	eachRegistry(t, func(t *testing.T, w *world) {
		signed, err := w.sign(nil)
		require.NoError(t, err)

		t.Run("image manifest", func(t *testing.T) {
			w.change = func(path string, body []byte) []byte {
				if strings.HasSuffix(path, "/manifests/"+w.ref.Digest.String()) {
					return flip(body)
				}
				return body
			}
			_, err := w.verify(w.key.Public(), bundle.SignPredicateType)
			assert.Contains(t, refused(t, err, step.KindPolicy, "verify").Reason, "the registry serves other bytes")
		})
		t.Run("bundle", func(t *testing.T) {
			w.change = func(path string, body []byte) []byte {
				if strings.Contains(path, "/blobs/") {
					return flip(body)
				}
				return body
			}
			_, err := w.verify(w.key.Public(), bundle.SignPredicateType)
			fault := refused(t, err, step.KindPolicy, "verify")
			require.Len(t, fault.Details, 1)
			assert.Contains(t, fault.Details[0], "the registry serves other bytes")
		})
		t.Run("referrer's manifest", func(t *testing.T) {
			w.change = func(path string, body []byte) []byte {
				if strings.HasSuffix(path, "/manifests/"+signed.Referrer) {
					return flip(body)
				}
				return body
			}
			_, err := w.verify(w.key.Public(), bundle.SignPredicateType)
			assert.Contains(t, refused(t, err, step.KindPolicy, "verify").Details[0], "the registry serves other bytes")
		})
	})
}

func TestABundleThatIsRewrittenConsistentlyIsRefused(t *testing.T) {
	w := newWorld(t, true)
	statement, err := bundle.NewStatement(w.ref.Digest.String(), verdictType, []byte(`{"passed":false}`), nil)
	require.NoError(t, err)
	data, err := bundle.Sign(ctx, w.key, statement)
	require.NoError(t, err)
	var b map[string]any
	require.NoError(t, json.Unmarshal(data, &b))
	envelope := b["dsseEnvelope"].(map[string]any)
	statement.Predicate = []byte(`{"passed":true}`)
	payload, err := json.Marshal(statement)
	require.NoError(t, err)
	envelope["payload"] = payload
	data, err = json.Marshal(b)
	require.NoError(t, err)
	w.attachRaw(data)
	_, err = w.verify(w.key.Public(), verdictType)
	assert.Contains(t, refused(t, err, step.KindPolicy, "verify").Details[0], "could not verify envelope")
}

func TestARegistryThatFailsIsAskedThreeTimes(t *testing.T) {
	w := newWorld(t, true)
	w.before = func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/manifests/") {
			w.asked.Add(1)
			rw.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	}
	_, err := w.verify(w.key.Public(), bundle.SignPredicateType)
	fault := refused(t, err, step.KindInfrastructure, "verify")
	assert.Equal(t, "registry localhost:5000", fault.Input)
	assert.Contains(t, fault.Reason, "read "+w.ref.Text+" failed, 3 of 3 tries made")
	assert.EqualValues(t, registry.Tries, w.asked.Load())

	w.asked.Store(0)
	_, err = w.sign(nil)
	_ = refused(t, err, step.KindInfrastructure, "sign")
	assert.EqualValues(t, registry.Tries, w.asked.Load())
}

func TestAFailureWhileReadingABundleIsNoRefusalOfIt(t *testing.T) {
	w := newWorld(t, true)
	_, err := w.sign(nil)
	require.NoError(t, err)
	w.before = func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			rw.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	}
	_, err = w.verify(w.key.Public(), bundle.SignPredicateType)
	_ = refused(t, err, step.KindInfrastructure, "verify")
}

func TestAFailedUploadIsTriedThreeTimesAndListsNothing(t *testing.T) {
	w := newWorld(t, true)
	w.before = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			w.asked.Add(1)
			rw.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	}
	_, err := w.sign(nil)
	assert.Contains(t, refused(t, err, step.KindInfrastructure, "sign").Reason, "upload localhost:5000/apps/hello@sha256:")
	assert.EqualValues(t, registry.Tries, w.asked.Load())
	list, err := w.client().Referrers(ctx, w.ref.Digest)
	require.NoError(t, err)
	assert.Empty(t, list)
}

func TestAPassingFailureIsSurvived(t *testing.T) {
	eachRegistry(t, func(t *testing.T, w *world) {
		w.before = func(rw http.ResponseWriter, r *http.Request) bool {
			if w.asked.Add(1)%3 == 0 {
				rw.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			return false
		}
		client := w.client()
		_, _, err := client.Manifest(ctx, w.ref.Digest)
		require.NoError(t, err)
		_, err = client.Referrers(ctx, w.ref.Digest)
		require.NoError(t, err)
	})
}

func TestAnUnreachableRegistryIsAnInfrastructureFault(t *testing.T) {
	w := newWorld(t, true)
	w.server.Close()
	_, err := w.verify(w.key.Public(), bundle.SignPredicateType)
	fault := refused(t, err, step.KindInfrastructure, "verify")
	assert.Contains(t, fault.Reason, "3 of 3 tries made")
}

func TestAnImageThatIsNotThereIsTheCallersMistake(t *testing.T) {
	w := newWorld(t, true)
	missing, err := registry.ParseReference("verify", "reference", "localhost:5000/apps/hello@sha256:"+strings.Repeat("0", 64))
	require.NoError(t, err)
	w.ref = missing
	_, err = w.verify(w.key.Public(), bundle.SignPredicateType)
	fault := refused(t, err, step.KindInput, "verify")
	assert.Contains(t, fault.Reason, "is not in the registry")
	assert.Contains(t, fault.Mend, "publish it first")
	_, err = w.sign(nil)
	_ = refused(t, err, step.KindInput, "sign")
}

// A lost race for the tag schema's list: the first write of it is overwritten.
func TestAReferrerThatALostRaceUnlistedIsListedAgain(t *testing.T) {
	w := newWorld(t, false)
	w.before = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256-") && w.asked.Add(1) == 1 {
			rw.WriteHeader(http.StatusCreated)
			return true
		}
		return false
	}
	_, err := w.sign(nil)
	require.NoError(t, err)
	assert.EqualValues(t, 2, w.asked.Load())
	_, err = w.verify(w.key.Public(), bundle.SignPredicateType)
	assert.NoError(t, err)
}

func TestAReferrerThatIsNeverListedIsAFault(t *testing.T) {
	w := newWorld(t, false)
	w.before = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256-") {
			rw.WriteHeader(http.StatusCreated)
			return true
		}
		return false
	}
	_, err := w.sign(nil)
	assert.Contains(t, refused(t, err, step.KindInfrastructure, "sign").Reason, "pushed referrer is not listed")
}

func TestReferrersAreReadPageByPage(t *testing.T) {
	w := newWorld(t, true)
	signed, err := w.sign(nil)
	require.NoError(t, err)
	list, err := w.client().Referrers(ctx, w.ref.Digest)
	require.NoError(t, err)
	require.Len(t, list, 1)
	other := list[0]
	other.ArtifactType, other.Digest = "application/spdx+json", w.ref.Digest
	w.before = func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/referrers/") {
			return false
		}
		page := v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{other}}
		if r.URL.Query().Get("page") == "" {
			rw.Header().Set("Link", `<`+r.URL.Path+`?page=2>; rel="next"`)
		} else {
			page.Manifests = list
		}
		rw.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		assert.NoError(t, json.NewEncoder(rw).Encode(page))
		return true
	}
	got, err := w.verify(w.key.Public(), bundle.SignPredicateType)
	require.NoError(t, err)
	assert.Equal(t, []string{signed.Referrer}, got.Referrers)
}

// list has the registry list referrers, in this order, after those that it has.
func (w *world) list(artifactType string, digests ...v1.Hash) {
	w.change = func(path string, body []byte) []byte {
		if !strings.Contains(path, "/referrers/") {
			return body
		}
		var index v1.IndexManifest
		assert.NoError(w.t, json.Unmarshal(body, &index))
		there := index.Manifests
		index.Manifests = nil
		for _, digest := range digests {
			index.Manifests = append(index.Manifests, v1.Descriptor{ArtifactType: artifactType, Digest: digest})
		}
		index.Manifests = append(index.Manifests, there...)
		body, err := json.Marshal(index)
		assert.NoError(w.t, err)
		return body
	}
}

// Whoever can push can list what they like before the one signature that counts.
func TestReferrersOfOthersDoNotCount(t *testing.T) {
	w := newWorld(t, true)
	junk := make([]v1.Hash, attach.MaxStatements+100)
	for n := range junk {
		junk[n] = v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064x", n+1)}
	}
	w.list(bundle.MediaType, junk...)
	_, err := w.verify(w.key.Public(), bundle.SignPredicateType)
	fault := refused(t, err, step.KindPolicy, "verify")
	assert.Contains(t, fault.Reason, "1100 bundles are attached that do not verify")
	require.Len(t, fault.Details, 21)
	assert.Equal(t, "and 1080 more", fault.Details[20])
	assert.Equal(t, junk[0].String()+": is not in the registry", fault.Details[0])

	rightful := w.key
	w.key = must(t, stranger)
	for range 3 {
		_, err = w.attest(`{"by":"a stranger"}`)
		require.NoError(t, err)
	}
	w.key = rightful
	signed, err := w.sign(nil)
	require.NoError(t, err, "nor do they keep anybody from signing")
	got, err := w.verify(w.key.Public(), bundle.SignPredicateType)
	require.NoError(t, err)
	assert.Equal(t, []string{signed.Referrer}, got.Referrers)
	all, err := attach.VerifyAll(ctx, w.client(), bundle.TrustKey(w.key.Public()), "verify", w.ref)
	require.NoError(t, err)
	assert.Len(t, all.Statements, 1)
	assert.Len(t, all.Ignored, 21)
}

// The control: those of who is trusted do.
func TestTooManyStatementsAreNotCutShort(t *testing.T) {
	w := newWorld(t, true)
	_, err := w.sign(nil)
	require.NoError(t, err)
	content, digests := map[string][]byte{}, []v1.Hash{}
	add := func(data []byte) v1.Hash {
		digest, _, err := v1.SHA256(bytes.NewReader(data))
		require.NoError(t, err)
		content[digest.String()] = data
		return digest
	}
	for n := range attach.MaxStatements {
		statement, err := bundle.NewStatement(w.ref.Digest.String(), verdictType, fmt.Appendf(nil, `{"n":%d}`, n), nil)
		require.NoError(t, err)
		data, err := bundle.Sign(ctx, w.key, statement)
		require.NoError(t, err)
		digests = append(digests, add(fmt.Appendf(nil, `{"schemaVersion":2,"layers":[{"mediaType":"%s","size":%d,"digest":"%s"}]}`, bundle.MediaType, len(data), add(data))))
	}
	w.before = func(rw http.ResponseWriter, r *http.Request) bool {
		data, ok := content[path.Base(r.URL.Path)]
		if ok {
			rw.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			_, _ = rw.Write(data)
		}
		return ok
	}
	w.list(bundle.MediaType, digests[1:]...)
	_, err = w.verify(w.key.Public(), bundle.SignPredicateType)
	require.NoError(t, err)
	w.list(bundle.MediaType, digests...)
	_, err = w.verify(w.key.Public(), bundle.SignPredicateType)
	fault := refused(t, err, step.KindPolicy, "verify")
	assert.Equal(t, "carries more than 1000 statements by key "+w.key.Public().Hint(), fault.Reason)
	assert.Equal(t, "delete in the registry those that newer ones have replaced", fault.Mend)
}

func TestCredentials(t *testing.T) {
	w := newWorld(t, true)
	w.before = func(rw http.ResponseWriter, r *http.Request) bool {
		if name, password, ok := r.BasicAuth(); ok && name == "ci" && password == "hunter2" {
			return false
		}
		rw.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		rw.WriteHeader(http.StatusUnauthorized)
		return true
	}
	access := w.access("sign")
	access.Auth = &authn.Basic{Username: "ci", Password: "hunter2"}
	request := attach.Request{PredicateType: bundle.SignPredicateType}
	_, err := attach.Sign(ctx, registry.New(access, w.ref.Repository, registry.Push), bundle.SignKey(w.key), "sign", w.ref, request)
	require.NoError(t, err)

	access.Auth = &authn.Basic{Username: "ci", Password: "hunter3"}
	_, err = attach.Sign(ctx, registry.New(access, w.ref.Repository, registry.Push), bundle.SignKey(w.key), "sign", w.ref, request)
	fault := refused(t, err, step.KindInput, "sign")
	assert.Equal(t, "registry localhost:5000", fault.Input)
	assert.Contains(t, fault.Reason, "credentials refused with status 401")
	assert.NotContains(t, fault.Error(), "hunter")
}

func TestPlainHTTPIsForLocalhostOnly(t *testing.T) {
	for _, host := range []string{"10.0.0.1:5000", "172.16.0.9:5000"} {
		w := newWorld(t, true)
		ref, err := registry.ParseReference("verify", "reference", host+"/apps/hello@"+w.ref.Digest.String())
		require.NoError(t, err)
		client := registry.New(registry.Access{Stage: "verify", Connections: reach.Connections{host: w.address()}, Pause: time.Microsecond}, ref.Repository, registry.Pull)
		_, err = attach.Verify(ctx, client, bundle.TrustKey(w.key.Public()), attach.Wanted{Stage: "verify", Reference: ref, PredicateType: bundle.SignPredicateType})
		fault := refused(t, err, step.KindInput, "verify")
		assert.Contains(t, fault.Reason, "plain HTTP is only for loopback names", host)
	}
}

func TestSignRefusesItsInput(t *testing.T) {
	w := newWorld(t, true)
	for _, uri := range []string{"", "verdict", "://x", "https://example.org/" + strings.Repeat("a", 300)} {
		_, err := w.one(attach.Request{PredicateType: uri})
		assert.Equal(t, "is not a URI", refused(t, err, step.KindInput, "sign").Reason)
	}
	_, err := w.attest(`[1]`)
	assert.Equal(t, "predicate is not a JSON object", refused(t, err, step.KindInput, "sign").Reason)
}

func TestParseReferenceRefuses(t *testing.T) {
	sum := sha256.Sum256(nil)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	for _, text := range []string{
		"", "localhost:5000/hello", "localhost:5000/hello:v1", "localhost:5000/hello:v1@" + digest, "hello@" + digest,
		"localhost:5000/hello@sha256:abc", "localhost:5000/hello@" + digest + "\n", "localhost:5000/../x@" + digest,
		"localhost:5000/$(id)@" + digest, "-x/hello@" + digest, "localhost:5000/Hello@" + digest, "localhost:5000/a b@" + digest,
		"localhost:5000/" + strings.Repeat("a", 300) + "@" + digest, "@" + digest,
	} {
		_, err := registry.ParseReference("verify", "reference", text)
		require.Error(t, err, text)
		_ = refused(t, err, step.KindInput, "verify")
	}
	for _, text := range []string{"localhost:5000/hello", "ghcr.io/a/b-c/d_e.f", "127.0.0.1:5000/x", "[::1]:5000/x"} {
		ref, err := registry.ParseReference("verify", "reference", text+"@"+digest)
		require.NoError(t, err)
		assert.Equal(t, text, ref.Repository.Name())
	}
}

// A key elsewhere that signs something else, or in another way.
func TestASignatureThatDoesNotVerifyIsNotAttached(t *testing.T) {
	w := newWorld(t, true)
	remote, err := key.NewRemote(w.key.GetPublicKey(), func(ctx context.Context, data []byte) ([]byte, error) {
		sig, _, err := w.key.SignData(ctx, append([]byte("not "), data...))
		return sig, err
	})
	require.NoError(t, err)
	assert.Equal(t, w.key.Public().Hint(), remote.Public().Hint())
	for _, envelope := range []sign.Envelope{sign.EnvelopeBundle, sign.EnvelopeDSSE} {
		_, err = attach.Sign(ctx, w.signing(), bundle.SignKey(remote), "sign", w.ref, attach.Request{PredicateType: bundle.SignPredicateType, Envelope: envelope})
		fault := refused(t, err, step.KindInfrastructure, "sign")
		assert.Contains(t, fault.Reason, "made no signature that verifies", envelope)
	}
	list, err := w.client().Referrers(ctx, w.ref.Digest)
	require.NoError(t, err)
	assert.Empty(t, list)
}
