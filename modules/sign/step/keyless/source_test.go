package keyless_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/drill/sigstore/standin"
	"slipway/drill/sigstore/standintest"
	"slipway/sign/step/bundle"
	"slipway/sign/step/keyless"
	"slipway/step"
	"slipway/step/oidc"
)

const requestToken = "correct-horse-battery-staple"

// job is the service that a CI job asks for its ID tokens.
type job struct {
	*httptest.Server
	answer func(w http.ResponseWriter)
	asked  []string
}

func newJob(t *testing.T) *job {
	t.Helper()
	j := &job{}
	j.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		j.asked = append(j.asked, r.Method+" "+r.URL.RequestURI())
		switch {
		case r.Header.Get("Authorization") != "Bearer "+requestToken:
			w.WriteHeader(http.StatusUnauthorized)
		case j.answer != nil:
			j.answer(w)
		default:
			_, _ = w.Write([]byte(`{"value":"` + string(standin.Token(who, issuer)) + `"}`))
		}
	}))
	t.Cleanup(j.Close)
	return j
}

func (j *job) options(s *standintest.Services) keyless.Options {
	o := options(s)
	o.Token, o.Source, o.Audience = []byte(requestToken), &oidc.Source{RequestURL: j.URL + "/token?api-version=2.0"}, "sigstore"
	return o
}

func TestATokenIsAskedForWithEachSignature(t *testing.T) {
	s, j := standintest.New(t), newJob(t)
	o := j.options(s)
	o.Trust = trust(t, s, who, bundle.Evidence{})
	signer, err := keyless.New("sign", o)
	require.NoError(t, err)
	assert.Empty(t, j.asked, "nothing is signed yet")
	for range 3 {
		made, err := signer.Make(context.Background(), statement(t), digest)
		require.NoError(t, err)
		assert.Equal(t, who, made.Signer.Identity)
		assert.NotContains(t, string(made.Data), requestToken)
	}
	const asked = "GET /token?api-version=2.0&audience=sigstore"
	assert.Equal(t, []string{asked, asked, asked}, j.asked)
}

func TestSourcesThatGiveNoTokenAreRefused(t *testing.T) {
	s := standintest.New(t)
	say := func(text string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { _, _ = w.Write([]byte(text)) }
	}
	for name, c := range map[string]struct {
		change func(*keyless.Options)
		answer func(http.ResponseWriter)
		kind   step.Kind
		reason string
	}{
		"another job's":      {change: func(o *keyless.Options) { o.Token = []byte("guess") }, kind: step.KindInput, reason: "is refused with status 401"},
		"no URL":             {change: func(o *keyless.Options) { o.Source = &oidc.Source{} }, kind: step.KindInput, reason: "is empty"},
		"no audience":        {change: func(o *keyless.Options) { o.Audience = "" }, kind: step.KindInput, reason: "is empty"},
		"two tokens":         {change: func(o *keyless.Options) { o.Token = []byte("a b") }, kind: step.KindInput, reason: "is not one token"},
		"without TLS":        {change: func(o *keyless.Options) { o.Source = &oidc.Source{RequestURL: "http://ci.example.org/token"} }, kind: step.KindInput, reason: "is not an https URL"},
		"a connection alone": {change: func(o *keyless.Options) { o.Source.ServiceConnection = "x" }, kind: step.KindInput, reason: "is not a UUID"},
		"no JSON":            {answer: say("x"), kind: step.KindInput, reason: "is not in the answer"},
		"no JWT":             {answer: say(`{"value":"x"}`), kind: step.KindInfrastructure, reason: "is not a JWT"},
		"a redirect": {answer: func(w http.ResponseWriter) {
			w.Header().Set("Location", "https://elsewhere.example.org/")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, kind: step.KindInput, reason: "is refused with status 307"},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t)
			j.answer = c.answer
			o := j.options(s)
			if c.change != nil {
				c.change(&o)
			}
			signer, err := keyless.New("sign", o)
			if err == nil {
				_, err = signer.Make(context.Background(), statement(t), digest)
			}
			f := refused(t, err, c.kind)
			assert.Contains(t, f.Reason, c.reason)
			assert.False(t, strings.Contains(f.Error(), requestToken), "the fault shows the token")
		})
	}
}
