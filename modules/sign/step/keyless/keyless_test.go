package keyless_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/drill/sigstore/standin"
	"slipway/drill/sigstore/standintest"
	"slipway/sign/step/bundle"
	"slipway/sign/step/keyless"
	"slipway/step"
)

const (
	who    = "release@example.org"
	issuer = "https://issuer.example.org"
)

var digest = "sha256:" + strings.Repeat("ab", 32)

func statement(t *testing.T) *bundle.Statement {
	t.Helper()
	made, err := bundle.NewStatement(digest, "https://example.org/verdict/v1", []byte(`{"passed":true}`), map[string]string{"app": "hello"})
	require.NoError(t, err)
	return made
}

// options ask every service.
func options(s *standintest.Services) keyless.Options {
	return keyless.Options{
		Token: standin.Token(who, issuer), Fulcio: s.URL(standin.Fulcio),
		Logs:                 []keyless.Log{{URL: s.URL(standin.Rekor1), Version: 1}, {URL: s.URL(standin.Rekor2), Version: 2}},
		TimestampAuthorities: []string{s.URL(standin.TSA)},
		Pause:                time.Microsecond,
	}
}

func trust(t *testing.T, s *standintest.Services, subject string, evidence bundle.Evidence) *bundle.Trust {
	t.Helper()
	root, err := bundle.ParseRoot(s.Root(t))
	require.NoError(t, err)
	evidence.CertificateLogs = bundle.None
	made, err := bundle.TrustIdentities([]bundle.Identity{{Subject: subject, Issuer: issuer}}, root, evidence)
	require.NoError(t, err)
	return made
}

func refused(t *testing.T, err error, kind step.Kind) *step.Fault {
	t.Helper()
	fault, ok := step.AsFault(err)
	require.True(t, ok, "want a fault, got %v", err)
	assert.Equal(t, kind, fault.Kind, fault.Error())
	assert.Equal(t, "sign", fault.Stage)
	assert.NotEmpty(t, fault.Mend)
	for _, part := range strings.Split(string(standin.Token(who, issuer)), ".") {
		assert.NotContains(t, fault.Error(), part)
		for cause := fault.Unwrap(); cause != nil; cause = nil {
			assert.NotContains(t, cause.Error(), part)
		}
	}
	return fault
}

func TestAnIdentitySigns(t *testing.T) {
	s := standintest.New(t)
	for name, c := range map[string]struct {
		logs     []keyless.Log
		times    []string
		evidence bundle.Evidence
	}{
		"Rekor v1 alone":            {logs: []keyless.Log{{URL: s.URL(standin.Rekor1), Version: 1}}, evidence: bundle.Evidence{}},
		"Rekor v2 and a timestamp":  {logs: []keyless.Log{{URL: s.URL(standin.Rekor2), Version: 2}}, times: []string{s.URL(standin.TSA)}, evidence: bundle.Evidence{}},
		"a timestamp alone":         {times: []string{s.URL(standin.TSA)}, evidence: bundle.Evidence{Logs: bundle.None}},
		"both logs and a timestamp": {logs: options(s).Logs, times: []string{s.URL(standin.TSA)}, evidence: bundle.Evidence{Logs: 2, Timestamps: 2}},
		"a base path with a slash":  {logs: []keyless.Log{{URL: s.URL(standin.Rekor1) + "/", Version: 1}}, evidence: bundle.Evidence{}},
	} {
		t.Run(name, func(t *testing.T) {
			o := options(s)
			o.Logs, o.TimestampAuthorities = c.logs, c.times
			o.Trust = trust(t, s, who, c.evidence)
			signer, err := keyless.New("sign", o)
			require.NoError(t, err)
			made, err := signer.Make(context.Background(), statement(t), digest)
			require.NoError(t, err)
			assert.Nil(t, made.Degraded)
			assert.Equal(t, who, made.Signer.Identity)
			assert.Equal(t, issuer, made.Signer.Issuer)
			assert.NotContains(t, string(made.Data), string(o.Token))

			verified, err := trust(t, s, who, c.evidence).Verify(made.Data, digest)
			require.NoError(t, err)
			assert.Equal(t, map[string]string{"app": "hello"}, verified.Statement.Claims(digest))
			_, err = trust(t, s, "other@example.org", c.evidence).Verify(made.Data, digest)
			assert.ErrorIs(t, err, bundle.ErrUntrusted)
		})
	}
}

func TestWhatWasMadeMustBeTrusted(t *testing.T) {
	s := standintest.New(t)
	o := options(s)
	o.Trust = trust(t, s, "other@example.org", bundle.Evidence{})
	signer, err := keyless.New("sign", o)
	require.NoError(t, err)
	assert.Same(t, o.Trust, signer.Trust())
	_, err = signer.Make(context.Background(), statement(t), digest)
	assert.Contains(t, refused(t, err, step.KindPolicy).Input, who)
}

func TestAServiceThatIsDownIsRefused(t *testing.T) {
	for _, service := range []standin.Service{standin.TSA, standin.Rekor1, standin.Rekor2} {
		t.Run(string(service), func(t *testing.T) {
			s := standintest.New(t)
			s.Down(service, http.StatusServiceUnavailable)
			signer, err := keyless.New("sign", options(s))
			require.NoError(t, err)
			made, err := signer.Make(context.Background(), statement(t), digest)
			fault := refused(t, err, step.KindInfrastructure)
			assert.Nil(t, made)
			assert.Equal(t, "service "+s.URL(service), fault.Input)
			assert.Contains(t, fault.Reason, "3 tries")
			assert.Contains(t, fault.Reason, "503")
			assert.Equal(t, keyless.Attempts, s.Asked(service))
		})
	}
}

func TestAPassingFailureIsSurvived(t *testing.T) {
	s := standintest.New(t)
	s.Answer(standin.TSA, func(w http.ResponseWriter, _ *http.Request) {
		s.Answer(standin.TSA, nil)
		http.Error(w, "busy", http.StatusTooManyRequests)
	})
	signer, err := keyless.New("sign", options(s))
	require.NoError(t, err)
	made, err := signer.Make(context.Background(), statement(t), digest)
	require.NoError(t, err)
	assert.Nil(t, made.Degraded)
	assert.Equal(t, 2, s.Asked(standin.TSA))
}

func TestASignatureIsDegradedByName(t *testing.T) {
	for _, down := range [][]standin.Service{{standin.Rekor1}, {standin.Rekor1, standin.Rekor2}, {standin.TSA}} {
		t.Run(fmt.Sprint(down), func(t *testing.T) {
			s := standintest.New(t)
			o := options(s)
			o.DegradedFor = time.Hour
			var missing []string
			for _, service := range down {
				s.Stop(service)
				missing = append(missing, s.URL(service))
			}
			signer, err := keyless.New("sign", o)
			require.NoError(t, err)
			made, err := signer.Make(context.Background(), statement(t), digest)
			require.NoError(t, err)
			require.NotNil(t, made.Degraded)
			assert.Equal(t, missing, made.Degraded.Missing)
			assert.Equal(t, who, made.Signer.Identity)

			// The mark is signed, and the claims besides it are the statement's.
			verified, err := trust(t, s, who, bundle.Evidence{Degraded: 24 * time.Hour}).Verify(made.Data, digest)
			require.NoError(t, err)
			mark, err := verified.Statement.Degraded(digest)
			require.NoError(t, err)
			assert.Equal(t, made.Degraded, mark)
			assert.Equal(t, mark, verified.Signer.Degraded)
			assert.Equal(t, "hello", verified.Statement.Claims(digest)["app"])

			// Whoever asks for the logs, and did not agree to less, refuses it.
			_, err = trust(t, s, who, bundle.Evidence{Logs: 2, Timestamps: 2}).Verify(made.Data, digest)
			assert.ErrorIs(t, err, bundle.ErrUntrusted)
		})
	}
}

func TestWithoutAnyTimeNothingIsSigned(t *testing.T) {
	s := standintest.New(t)
	o := options(s)
	o.DegradedFor = time.Hour
	s.Stop(standin.TSA)
	s.Stop(standin.Rekor1)
	signer, err := keyless.New("sign", o)
	require.NoError(t, err)
	made, err := signer.Make(context.Background(), statement(t), digest)
	assert.Nil(t, made)
	fault := refused(t, err, step.KindInfrastructure)
	assert.Contains(t, fault.Reason, "no other gives a time")
	assert.Contains(t, fault.Input, s.URL(standin.TSA))
}

func TestACertificateAuthorityHasNoStandIn(t *testing.T) {
	s := standintest.New(t)
	o := options(s)
	o.DegradedFor = time.Hour
	signer, err := keyless.New("sign", o)
	require.NoError(t, err)

	s.Answer(standin.Fulcio, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "can't work with "+r.Header.Get("Authorization"), http.StatusBadGateway)
	})
	_, err = signer.Make(context.Background(), statement(t), digest)
	fault := refused(t, err, step.KindInfrastructure)
	assert.Equal(t, "certificate authority "+s.URL(standin.Fulcio), fault.Input)
	assert.Contains(t, fault.Reason, "can't work with")

	s.Answer(standin.Fulcio, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "expired: "+r.Header.Get("Authorization"), http.StatusUnauthorized)
	})
	_, err = signer.Make(context.Background(), statement(t), digest)
	fault = refused(t, err, step.KindInput)
	assert.Equal(t, "identity token", fault.Input)
	assert.Contains(t, fault.Reason, "expired")
}

// A wrong answer is no service that is down: nothing is degraded.
func TestAWrongAnswerIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		service standin.Service
		answer  http.HandlerFunc
	}{
		"a log that refuses": {standin.Rekor1, func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"code":400,"message":"no"}`, http.StatusBadRequest)
		}},
		"a log's empty entry": {standin.Rekor1, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("ETag", "a")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte(`{"a":{"body":"","logID":"","logIndex":0,"integratedTime":1}}`))
		}},
		"tiles of rubbish": {standin.Rekor2, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("hello"))
		}},
		"a timestamp's refusal": {standin.TSA, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }},
		"a rubbish timestamp": {standin.TSA, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write([]byte("hello"))
		}},
		"a redirect": {standin.TSA, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}},
		"no certificate": {standin.Fulcio, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := standintest.New(t)
			o := options(s)
			o.DegradedFor = time.Hour
			s.Answer(c.service, c.answer)
			signer, err := keyless.New("sign", o)
			require.NoError(t, err)
			made, err := signer.Make(context.Background(), statement(t), digest)
			assert.Nil(t, made)
			assert.Contains(t, refused(t, err, step.KindInfrastructure).Reason, "answered wrongly")
			assert.Equal(t, 1, s.Asked(c.service), "it is not asked again")
		})
	}
}

func TestACertificateOfAnotherKeyIsRefused(t *testing.T) {
	s := standintest.New(t)
	other, _, err := ca.GenerateRootCa()
	require.NoError(t, err)
	s.Answer(standin.Fulcio, func(w http.ResponseWriter, _ *http.Request) {
		leaf := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Raw}))
		assert.NoError(t, json.NewEncoder(w).Encode(map[string]any{"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{"certificates": []string{leaf}}}}))
	})
	o := options(s)
	o.Logs = nil
	signer, err := keyless.New("sign", o)
	require.NoError(t, err)
	made, err := signer.Make(context.Background(), statement(t), digest)
	assert.Nil(t, made)
	fault := refused(t, err, step.KindInfrastructure)
	assert.Equal(t, "service "+s.URL(standin.Fulcio), fault.Input)
	assert.Contains(t, fault.Reason, "it certifies another key")
}

func TestAnEndedContextEndsSigning(t *testing.T) {
	s := standintest.New(t)
	ctx, cancel := context.WithCancel(context.Background())
	s.Answer(standin.TSA, func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		http.Error(w, "busy", http.StatusServiceUnavailable)
	})
	o := options(s)
	o.DegradedFor = time.Hour
	signer, err := keyless.New("sign", o)
	require.NoError(t, err)
	made, err := signer.Make(ctx, statement(t), digest)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Nil(t, made)
}

func TestNewRefuses(t *testing.T) {
	token := standin.Token(who, issuer)
	base := func(change func(*keyless.Options)) keyless.Options {
		o := keyless.Options{Token: token, Fulcio: "https://fulcio.example.org", TimestampAuthorities: []string{"https://tsa.example.org/api"}}
		change(&o)
		return o
	}
	for name, c := range map[string]struct {
		change        func(*keyless.Options)
		input, reason string
	}{
		"no token":      {func(o *keyless.Options) { o.Token = nil }, "identity token", "is not a JWT"},
		"rubbish token": {func(o *keyless.Options) { o.Token = []byte("a.b.c") }, "identity token", "claims can't be read"},
		"no Fulcio":     {func(o *keyless.Options) { o.Fulcio = "" }, "service", "is not a URL"},
		"plain HTTP":    {func(o *keyless.Options) { o.Fulcio = "http://fulcio.example.org" }, "service", "without TLS"},
		"other scheme":  {func(o *keyless.Options) { o.Fulcio = "ftp://fulcio.example.org" }, "service", "neither https nor http"},
		"user in URL":   {func(o *keyless.Options) { o.Fulcio = "https://me@fulcio.example.org" }, "service", "is not a URL"},
		"no time":       {func(o *keyless.Options) { o.TimestampAuthorities = nil }, "services", "none gives a time"},
		"tiles give no time": {func(o *keyless.Options) {
			o.TimestampAuthorities, o.Logs = nil, []keyless.Log{{URL: "https://log.example.org", Version: 2}}
		}, "services", "none gives a time"},
		"unknown API":     {func(o *keyless.Options) { o.Logs = []keyless.Log{{URL: "https://log.example.org", Version: 3}} }, "transparency log", "Rekor's API 3"},
		"twice":           {func(o *keyless.Options) { o.TimestampAuthorities = append(o.TimestampAuthorities, o.Fulcio) }, "service", "is given twice"},
		"short expiry":    {func(o *keyless.Options) { o.DegradedFor = time.Second }, "expiry", "is not between"},
		"negative expiry": {func(o *keyless.Options) { o.DegradedFor = -time.Hour }, "expiry", "is not between"},
		"endless expiry":  {func(o *keyless.Options) { o.DegradedFor = 10000 * time.Hour }, "expiry", "is not between"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := keyless.New("sign", base(c.change))
			fault := refused(t, err, step.KindInput)
			assert.Contains(t, fault.Input, c.input)
			assert.Contains(t, fault.Reason, c.reason)
		})
	}
	_, err := keyless.New("sign", base(func(*keyless.Options) {}))
	assert.NoError(t, err)
}
