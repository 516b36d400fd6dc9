package main

import (
	"context"
	"fmt"
	"net"
	"strings"

	"dagger/sandbox/internal/dagger"

	"slipway/step"
	"slipway/step/result/build"
)

const (
	// stage is the stage that faults name.
	stage = "toolbox"
	// nodeName is the image's name below the registry's prefix.
	nodeName = "node"
	// nodeType is the predicate type of the attestation that an image is a
	// cluster's node: an app's image, signed by the same key, is none.
	nodeType = "https://slipway.dev/attestations/node/v1"
	// The one folder of the published image, and what lies in it.
	nodePart        = "node"
	rootfsFolder    = "rootfs"
	providersFolder = "providers"
	kustomizeFile   = "kustomize"
)

// Programs is everything that this module compiles, sealed with the key of its
// sources: the node's file system, Kustomize, and the mirror of Terraform
// providers.
//
// +cache="168h"
func (s *Sandbox) Programs() (*dagger.Directory, error) {
	node, err := s.NodeImage()
	if err != nil {
		return nil, err
	}
	return dag.Toolbox().Seal(sources(), dag.Directory().
		WithDirectory(rootfsFolder, node.Rootfs()).
		WithFile(kustomizeFile, s.Kustomize()).
		WithDirectory(providersFolder, s.KubectlProvider())), nil
}

// sources are what determines the programs. The services beside the cluster, which the
// host runs, don't.
func sources() *dagger.Directory {
	return dag.CurrentModule().Source().WithoutDirectory("host").WithoutDirectory("azure")
}

// Publish compiles what is missing, pushes it to a registry as one image named
// node, signs it, and returns its reference for --toolbox.
//
// Example: dagger -m modules/sandbox call publish --repository ghcr.io/acme --username bot --password env:TOKEN --key file:cosign.key --key-password env:COSIGN_PASSWORD
//
// +cache="never"
func (s *Sandbox) Publish(
	ctx context.Context,
	// Prefix of the image: host[:port][/path].
	repository string,
	// The signing key, in cosign's encrypted format.
	key *dagger.Secret,
	// The signing key's password.
	keyPassword *dagger.Secret,
	// Who pushes.
	// +optional
	username string,
	// The registry's password or token.
	// +optional
	password *dagger.Secret,
	// A service that answers for the registry. Example: tcp://localhost:5000
	// +optional
	service *dagger.Service,
) (string, error) {
	connect, err := reach(ctx, repository, service)
	if err != nil {
		return "", err
	}
	programs, err := s.Programs()
	if err != nil {
		return "", err
	}
	text, err := dag.Build().WithAccount(dagger.BuildWithAccountOpts{Username: username, Password: password}).
		PublishFolder(ctx, dag.Directory().WithDirectory(nodePart, programs), repository+"/"+nodeName, dagger.BuildPublishFolderOpts{Service: service, Connect: connect})
	var pushed build.Published
	if err := decode(text, err, &pushed); err != nil {
		return "", err
	}
	text, err = dag.Sign().WithAccount(dagger.SignWithAccountOpts{Username: username, Password: password}).KeyFile(key, keyPassword).
		Sign(ctx, pushed.Reference, dagger.SignSignerSignOpts{Predicate: "{}", PredicateType: nodeType, Service: service, Connect: connect})
	return pushed.Reference, decode(text, err, nil)
}

// decode reads a step's result.
func decode(text string, err error, value any) error {
	if err != nil {
		return err
	}
	return step.Decode([]byte(text), value)
}

// pull verifies a published node and takes its programs.
func pull(
	ctx context.Context, reference string, key *dagger.File, username string, password *dagger.Secret, service *dagger.Service,
) (*dagger.Directory, error) {
	if key == nil {
		return nil, step.Input(stage, reference, "has no public key to be verified with", "give --toolbox-key")
	}
	connect, err := reach(ctx, reference, service)
	if err != nil {
		return nil, err
	}
	text, err := dag.Sign().WithAccount(dagger.SignWithAccountOpts{Username: username, Password: password}).Key(key).
		Verify(ctx, reference, dagger.SignVerifierVerifyOpts{Attestation: nodeType, Service: service, Connect: connect})
	if err := decode(text, err, nil); err != nil {
		return nil, err
	}
	pulled, err := dag.Build().WithAccount(dagger.BuildWithAccountOpts{Username: username, Password: password}).
		PullFolder(reference, dagger.BuildPullFolderOpts{Service: service, Connect: connect}).Sync(ctx)
	if err != nil {
		return nil, err
	}
	text, err = pulled.File(step.ResultFile).Contents(ctx)
	if err := decode(text, err, nil); err != nil {
		return nil, err
	}
	return dag.Toolbox().Unseal("the cluster's node", sources(), pulled.Directory("files/"+nodePart)), nil
}

// reach returns what sends a registry's address to its service; empty without one.
func reach(ctx context.Context, reference string, service *dagger.Service) (string, error) {
	if service == nil {
		return "", nil
	}
	port, err := portOf(ctx, service)
	if err != nil {
		return "", err
	}
	host, _, _ := strings.Cut(reference, "/")
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(host, "443")
	}
	return fmt.Sprintf("%s=registry:%s", host, port), nil
}
