package main

import (
	"context"
	"crypto/rand"
	"net/url"
	"strconv"

	"dagger/drill/internal/dagger"
)

const (
	sigstorePort    = 8080
	sigstoreAlias   = "sigstore"
	sigstoreProgram = "/sigstore"
)

// Sigstore is a stand-in for one: a certificate authority, logs and a timestamp
// authority that believe every token and keep nothing. Nothing of it proves who has
// signed.
type Sigstore struct {
	Run string // +private
}

// Sigstore makes a new one, with keys of its own that end with the call.
//
// Example: dagger -m modules/drill call sigstore service up --ports 8080:8080
//
// +cache="168h"
func (d *Drill) Sigstore() *Sigstore { return &Sigstore{Run: d.Run} }

// Service is the running Sigstore, on port 8080: Fulcio at /fulcio, Rekor at
// /rekor1 (API 1) and /rekor2 (API 2), and a timestamp authority at /tsa.
//
// +cache="168h"
func (s *Sigstore) Service() *dagger.Service {
	return sigstore().
		WithEnvVariable("SLIPWAY_RUN", s.Run).
		WithExposedPort(sigstorePort).
		AsService(dagger.ContainerAsServiceOpts{Args: []string{sigstoreProgram, "serve", "--listen", ":" + strconv.Itoa(sigstorePort)}})
}

// TrustedRoot is whom its signatures are verified with, as trusted_root.json.
//
// +cache="never"
func (s *Sigstore) TrustedRoot(ctx context.Context) (string, error) {
	return s.get(ctx, "/trusted_root.json")
}

// Token is an OIDC token that it believes.
//
// +cache="never"
func (s *Sigstore) Token(
	ctx context.Context,
	// The e-mail address that the token names.
	email string,
	// The issuer that the token names.
	issuer string,
) (*dagger.Secret, error) {
	text, err := s.get(ctx, "/token?"+url.Values{"email": {email}, "issuer": {issuer}}.Encode())
	if err != nil {
		return nil, err
	}
	return dag.SetSecret("stand-in-token-"+s.Run+"-"+email, text), nil
}

func (s *Sigstore) get(ctx context.Context, path string) (string, error) {
	return sigstore().
		WithServiceBinding(sigstoreAlias, s.Service()).
		WithEnvVariable("SLIPWAY_RUN", rand.Text()).
		WithExec([]string{sigstoreProgram, "get", "http://" + sigstoreAlias + ":" + strconv.Itoa(sigstorePort) + path}).
		Stdout(ctx)
}

func sigstore() *dagger.Container {
	return dag.Toolbox().Scratch().
		WithFile(sigstoreProgram, dag.Toolbox().Binary(dag.CurrentModule().Source().Directory("sigstore"), "."))
}
