package step

import "strings"

// Reference is an image by its digest: repository@sha256:<hex>.
type Reference string

// Refer names the image with a digest in a repository.
func Refer(repository, digest string) Reference { return Reference(repository + "@" + digest) }

func (r Reference) String() string { return string(r) }

// Repository is where the image is: everything, where there is no digest.
func (r Reference) Repository() string {
	repository, _, _ := strings.Cut(string(r), "@")
	return repository
}

// Digest is the image's; empty where there is none. It is not known to be one: see the
// function Digest.
func (r Reference) Digest() string {
	_, digest, _ := strings.Cut(string(r), "@")
	return digest
}

// Untagged is the reference without the tag that may stand before the digest.
func (r Reference) Untagged() Reference {
	repository := r.Repository()
	if colon := strings.LastIndex(repository, ":"); colon > strings.LastIndex(repository, "/") {
		repository = repository[:colon]
	}
	return Refer(repository, r.Digest())
}
