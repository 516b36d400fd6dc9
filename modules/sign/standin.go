package main

import (
	"context"
	"crypto/rand"
	"net/url"
	"strconv"

	"dagger/sign/internal/dagger"
)

const (
	standInPort  = 8080
	standInAlias = "sigstore"
)

// StandIn is a Sigstore for tests and drills: a certificate authority, logs and a
// timestamp authority that believe every token and keep nothing. Nothing of it
// proves who has signed.
type StandIn struct {
	// +private
	Run string
}

// StandIn makes a new one, with keys of its own that end with the call.
//
// Example: dagger -m modules/sign call stand-in service up --ports 8080:8080
//
// +cache="168h"
func (*Sign) StandIn(
	// A name of the run: another one makes another Sigstore.
	// +optional
	run string,
) *StandIn {
	return &StandIn{Run: run}
}

// Service is the running Sigstore, on port 8080: Fulcio at /fulcio, Rekor at
// /rekor1 (API 1) and /rekor2 (API 2), and a timestamp authority at /tsa.
//
// +cache="168h"
func (s *StandIn) Service() *dagger.Service {
	return standIn().
		WithEnvVariable("SLIPWAY_RUN", s.Run).
		WithExposedPort(standInPort).
		AsService(dagger.ContainerAsServiceOpts{Args: []string{"/step", "serve", "--listen", ":" + strconv.Itoa(standInPort)}})
}

// TrustedRoot is whom its signatures are verified with, as trusted_root.json.
//
// +cache="never"
func (s *StandIn) TrustedRoot(ctx context.Context) (string, error) {
	return s.get(ctx, "/trusted_root.json")
}

// Token is an OIDC token that it believes.
//
// +cache="never"
func (s *StandIn) Token(
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

func (s *StandIn) get(ctx context.Context, path string) (string, error) {
	return standIn().
		WithServiceBinding(standInAlias, s.Service()).
		WithEnvVariable("SLIPWAY_RUN", rand.Text()).
		WithExec([]string{"/step", "get", "http://" + standInAlias + ":" + strconv.Itoa(standInPort) + path}).
		Stdout(ctx)
}

func standIn() *dagger.Container {
	return dag.Toolbox().Runner(dag.Toolbox().Step("modules/sign/standin", dag.CurrentModule().Source().Directory("standin")))
}
