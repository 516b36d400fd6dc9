// Package gitops has the results of the program that reads and changes the GitOps
// repository.
package gitops

import "time"

// Unreleased is the digest of an overlay before its first release. No content
// has it, so nothing can be pulled by it: an overlay that was never released
// can't run an image that nobody verified, as one without a digest could.
const Unreleased = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// Released says what a release did.
type Released struct {
	// Commit is the commit that set the digest: the one that was pushed, or
	// the earlier one when the digest was already there.
	Commit string `json:"commit"`
	// Created says whether this run made the commit.
	Created bool `json:"created"`
	// Attempts counts the rounds of read, edit and push; 1 when nobody was in
	// the way.
	Attempts int `json:"attempts"`
	// Path is the changed file, inside the repository.
	Path string `json:"path"`
	// Branch is the branch's short name.
	Branch string `json:"branch"`
	// Image is what the overlay's containers run: repository@digest.
	Image string `json:"image"`
	// Containers counts the containers of the rendered overlay that run it.
	Containers int `json:"containers"`
	// Evidence is what the commit's trailer says of the decision that allowed it;
	// of an earlier commit, it may be another decision, or nothing.
	Evidence string `json:"evidence,omitempty"`
}

// Merged is a commit that is on a branch.
type Merged struct {
	Commit string `json:"commit"`
	// Head is the branch's newest commit.
	Head string `json:"head"`
}

// Preview says what a release would change.
type Preview struct {
	// Head is the branch's newest commit, which the release would be made on.
	// It is empty for a folder on disk.
	Head string `json:"head"`
	// Before is the digest that the overlay has, and After the one it would
	// have.
	Before string `json:"before"`
	After  string `json:"after"`
	// Running is the release that After would take the place of; absent where none
	// runs, where nothing changes, and where it does not matter which.
	Running *Entry `json:"running,omitempty"`
	// Standing is the release that the overlay has After from, where a release would
	// change nothing.
	Standing *Entry `json:"standing,omitempty"`
	// Path is the overlay's kustomization.yaml, inside the repository.
	Path string `json:"path"`
	// Changes says whether the rendered manifests would differ, and SHA256 is the
	// sha256:… of what they would be: of manifests.yaml.
	Changes bool   `json:"changes"`
	SHA256  string `json:"sha256"`
	// Images are those that the rendered manifests name; never null.
	Images []Used `json:"images"`
}

// Used is an image that an object of rendered manifests names.
type Used struct {
	// Object is its kind and name, such as "Deployment hello".
	Object string `json:"object"`
	// Place is the field, such as spec.template.spec.containers[main].image.
	Place string `json:"place"`
	Image string `json:"image"`
}

// Rendered is where the manifests are that an overlay renders to.
type Rendered struct {
	// File is the manifests' file name, below --out.
	File string `json:"file"`
	// Path is the overlay, relative to the GitOps folder.
	Path string `json:"path"`
}

// State is what an overlay on the remote says.
type State struct {
	App string `json:"app"`
	Env string `json:"env"`
	// Repository and Digest are the image that the overlay runs.
	Repository string `json:"repository"`
	Digest     string `json:"digest"`
	// Released is false before the first release.
	Released bool `json:"released"`
	// Commit is the commit that set the digest.
	Commit string `json:"commit"`
	// Head is the branch's newest commit.
	Head string `json:"head"`
	// Path is the overlay's kustomization.yaml, inside the repository.
	Path string `json:"path"`
	// Branch is the branch's short name.
	Branch string `json:"branch"`
}

// History is what an overlay ran on the branch.
type History struct {
	// Releases are newest first, and empty before the first release.
	Releases []Entry `json:"releases"`
}

// Entry is one release of an overlay: a commit that changed its digest.
type Entry struct {
	// Digest and Repository are the image that the overlay ran from then on.
	Digest     string `json:"digest"`
	Repository string `json:"repository"`
	// Commit is the commit that set the digest.
	Commit string `json:"commit"`
	// Author and Email are the commit's author, and At is when it was made.
	Author string    `json:"author"`
	Email  string    `json:"email"`
	At     time.Time `json:"at"`
	// Subject is the first line of the commit's message.
	Subject string `json:"subject"`
	// SourceRevision is the commit that the image was built from, where the
	// message says so.
	SourceRevision string `json:"sourceRevision,omitempty"`
	// PromotedFrom is the environment that a promotion came from.
	PromotedFrom string `json:"promotedFrom,omitempty"`
	// Reverts is the commit whose release a rollback took back.
	Reverts string `json:"reverts,omitempty"`
	// Evidence is the digest of the decision that allowed the release, where the
	// message says so.
	Evidence string `json:"evidence,omitempty"`
}

// Committed is the commit of a release, as a receipt tells of it.
type Committed struct {
	Commit string `json:"commit"`
	// Path is the overlay's kustomization.yaml, inside the repository.
	Path string `json:"path"`
	// Repository and Digest are the image that the commit released.
	Repository string `json:"repository"`
	Digest     string `json:"digest"`
	// Evidence is the digest in the commit's trailer; empty when there is none.
	Evidence string `json:"evidence,omitempty"`
}
