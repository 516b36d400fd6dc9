package main

import (
	"context"
	"encoding/json"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/step/result/build"
)

const (
	// toolboxName is the toolbox's name below the registry's prefix.
	toolboxName = "toolbox"
	// toolboxType is the predicate type of the attestation that an image is a
	// toolbox: an app's image, signed by the same key, is none.
	toolboxType = "https://slipway.dev/attestations/toolbox/v1"
)

// ToolboxImage is every program that the pipeline's stages run, except those that
// verify and pull it.
type ToolboxImage struct {
	Slipway *Slipway // +private
}

// Toolbox is every program that the pipeline's stages run, compiled: Trivy, Helm
// and the step programs.
//
// +cache="168h"
func (s *Slipway) Toolbox() *ToolboxImage { return &ToolboxImage{Slipway: s} }

// Publish compiles what is missing, pushes it to the configured registry as one
// image named toolbox, signs it, and returns its reference for --toolbox. It
// needs a signer, as sign does. Publishing the same programs twice gives the
// same digest.
//
// Example: dagger call with-registry --repository ghcr.io/acme --username bot --password env:TOKEN toolbox publish
//
// +cache="never"
func (t *ToolboxImage) Publish(ctx context.Context) (string, error) {
	s := t.Slipway
	repository := s.Config.Image(toolboxName)
	if err := s.Registry.needs("toolbox", toolboxAccount); err != nil {
		return "", err
	}
	registry, err := s.registry(ctx, "toolbox", repository, s.Registry.as(toolboxAccount))
	if err != nil {
		return "", err
	}
	signer, err := s.signer(ctx, registry.signing().Sign, "toolbox", "")
	if err != nil {
		return "", err
	}
	pushed, err := result[build.Published](registry.build().PublishFolder(ctx, dag.Directory().
		WithDirectory(scanPart, s.scan().Programs()).
		WithDirectory(gitopsPart, s.gitops().Programs()).
		WithDirectory(infraPart, s.infra().Programs()), repository, dagger.BuildPublishFolderOpts(registry.reached)))
	if err != nil {
		return "", err
	}
	// Only the platform's commit: the programs come from the modules themselves.
	from, err := s.platform().committed(ctx, config.File)
	if err != nil {
		return "", err
	}
	predicate, err := json.Marshal(map[string]string{"revision": from.revision()})
	if err != nil {
		return "", err
	}
	return pushed.Reference, passed(signer.Sign(ctx, pushed.Reference, dagger.SignSignerSignOpts{
		Predicate: string(predicate), PredicateType: toolboxType, Service: registry.Service, Connect: registry.Connect,
	}))
}

// WithToolbox takes the programs out of a published toolbox instead of compiling
// them. Its signature is verified first. It has to come from the same revision
// of Slipway: programs for other sources are refused where they are needed.
//
// Example: dagger call with-toolbox --reference ghcr.io/acme/toolbox@sha256:… --username bot --password env:TOKEN deliver --app hello --env dev
//
// +cache="never"
func (s *Slipway) WithToolbox(
	ctx context.Context,
	// What toolbox publish returned: repository@digest.
	reference string,
	// The PEM public key that must have signed it; by default the platform's, or its
	// identities.
	// +optional
	key *dagger.File,
	// Who reads.
	// +optional
	username string,
	// The registry's password or token.
	// +optional
	password *dagger.Secret,
	// A service that answers for the registry's host.
	// +optional
	service *dagger.Service,
) (*Slipway, error) {
	registry, err := s.registry(ctx, "toolbox", Reference(reference).Repository(), &Endpoint{Username: username, Password: password, Service: service})
	if err != nil {
		return nil, err
	}
	trusted, err := s.trustOr(ctx, registry.signing().Sign, key, "toolbox", "")
	if err != nil {
		return nil, err
	}
	if err := passed(trusted.Verify(ctx, reference, dagger.SignVerifierVerifyOpts{Attestation: toolboxType, Service: registry.Service, Connect: registry.Connect})); err != nil {
		return nil, err
	}
	pulled, err := registry.build().PullFolder(reference, dagger.BuildPullFolderOpts(registry.reached)).Sync(ctx)
	if err != nil {
		return nil, err
	}
	if err := passedIn(ctx, pulled); err != nil {
		return nil, err
	}
	next := *s
	next.Prebuilt = pulled.Directory("files")
	return &next, nil
}

// The parts of a toolbox: the modules that the programs belong to.
const (
	scanPart   = "scan"
	gitopsPart = "gitops"
	infraPart  = "infra"
)

// part is the toolbox's programs for one module; nil leaves them to be compiled.
func (s *Slipway) part(name string) *dagger.Directory {
	if s.Prebuilt == nil {
		return nil
	}
	return s.Prebuilt.Directory(name)
}

func (s *Slipway) scan() *dagger.Scan {
	return dag.Scan(dagger.ScanOpts{Prebuilt: s.part(scanPart)})
}

func (s *Slipway) gitops() *dagger.Gitops {
	return dag.Gitops(dagger.GitopsOpts{Prebuilt: s.part(gitopsPart)})
}

func (s *Slipway) infra() *dagger.Infra {
	return dag.Infra(dagger.InfraOpts{Prebuilt: s.part(infraPart)})
}
