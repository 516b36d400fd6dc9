// Package attach signs images and checks their signatures: a bundle beside
// the image in its registry, found as its referrer. Every refusal is a
// step.Fault.
package attach

import (
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/step"
)

// repositoryPattern is a host with an optional port, and the repository name
// of the OCI distribution specification: go-containerregistry lets names like
// .. pass.
var repositoryPattern = regexp.MustCompile(`\A([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+\z`)

// Reference is an image by its digest.
type Reference struct {
	// Text is repository@sha256:… as it was given.
	Text       string
	Repository name.Repository
	Digest     v1.Hash
}

// ParseReference reads repository@sha256:…; a tag, alone or beside the
// digest, is refused, since it can move.
func ParseReference(stage, text string) (*Reference, error) {
	repository, digest, found := strings.Cut(text, "@")
	if !found {
		return nil, step.Input(stage, "reference "+quote(text), "names no digest", "give repository@sha256:…, never a tag")
	}
	if err := step.Digest(stage, "reference", digest); err != nil {
		return nil, err
	}
	parsed, err := name.NewRepository(repository, name.StrictValidation)
	if err != nil || parsed.Name() != repository || !repositoryPattern.MatchString(repository) {
		return nil, step.Input(stage, "reference "+quote(text), "is not registry/repository@digest",
			"give the registry's host, the repository in lower case and the digest, without a tag")
	}
	hash, err := v1.NewHash(digest)
	if err != nil {
		return nil, step.Input(stage, "reference "+quote(text), err.Error(), "give repository@sha256:…")
	}
	return &Reference{Text: text, Repository: parsed, Digest: hash}, nil
}
