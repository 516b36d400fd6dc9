// Package registry is the one client of OCI registries, over the OCI distribution
// specification 1.1. It reaches them at other addresses where it is told to, in
// plain HTTP on this machine only; it tries again what may pass, and believes
// nothing but digests. Every error is a *step.Fault.
package registry

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/step"
)

// A registry's address and the distribution specification's grammar of names:
// go-containerregistry lets names like .. pass.
var (
	repositoryPattern = regexp.MustCompile(`\A([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?(/` + component + `)+\z`)
	tagPattern        = regexp.MustCompile(`\A[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\z`)
)

const component = `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`

// Reference is an image or artifact by its digest.
type Reference struct {
	// Text is REGISTRY/NAME@sha256:…, as it was given.
	Text       string
	Repository name.Repository
	Digest     v1.Hash
}

// ParseRepository reads "REGISTRY/NAME" with no tag or digest; what is named so in
// faults. The registry has to be written out: no name falls back to a public one.
func ParseRepository(stage, what, value string) (name.Repository, error) {
	repo, err := name.NewRepository(value, name.StrictValidation)
	if err != nil || repo.Name() != value || !repositoryPattern.MatchString(value) {
		return repo, step.Input(stage, what+" "+quote(value), "is not a repository",
			"give registry/name in lower case, such as localhost:5000/hello, with no tag or digest")
	}
	return repo, nil
}

// ParseReference reads "REGISTRY/NAME@sha256:…". A tag, alone or beside the digest,
// is refused, since it can move.
func ParseReference(stage, what, value string) (*Reference, error) {
	repository, digest, ok := strings.Cut(value, "@")
	fault := step.Input(stage, what+" "+quote(value), "is not a reference by digest", "give registry/name@sha256:…, with no tag")
	if !ok || step.Digest(stage, what, digest) != nil {
		return nil, fault
	}
	repo, err := ParseRepository(stage, what, repository)
	if err != nil {
		return nil, fault
	}
	hash, err := v1.NewHash(digest)
	if err != nil {
		return nil, fault
	}
	return &Reference{Text: value, Repository: repo, Digest: hash}, nil
}

// CheckTag refuses what the specification does not let be a tag.
func CheckTag(stage, tag string) error {
	if !tagPattern.MatchString(tag) {
		return step.Input(stage, "tag "+quote(tag), "is not a valid tag",
			"use 1 to 128 letters, digits, dots, dashes and underscores, the first a letter, digit or underscore")
	}
	return nil
}

// quote renders a hostile value harmlessly: escaped, and cut when long.
func quote(value string) string { return fmt.Sprintf("%.200q", value) }
