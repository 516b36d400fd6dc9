package release

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"

	"slipway/gitops/step/overlay"
	"slipway/step/result/gitops"
)

// edited is one overlay with a digest put into it, proven.
type edited struct {
	// file is the overlay's kustomization.yaml, inside the GitOps folder;
	// source and edited are its content.
	file   string
	source []byte
	edited []byte
	// was is the images entry in source.
	was overlay.Image
	// before and after are the rendered manifests.
	before []byte
	after  []byte
	// images are those that after names.
	images []gitops.Used
	// containers counts those that run the image.
	containers int
}

// edit puts the digest into the overlay of app in env, renders it before and
// after, and proves that nothing but the image changes and that nothing is left to
// be filled in. The tree stays as it is.
func edit(with overlay.Renderer, tree overlay.Tree, app, env, repository, digest string) (*edited, error) {
	e := &edited{file: overlay.File(app, env)}
	var err error
	if e.source, err = tree.Lookup(app, env); err != nil {
		return nil, err
	}
	if e.edited, err = overlay.SetDigest(e.file, e.source, repository, digest); err != nil {
		return nil, err
	}
	if e.was, err = overlay.Find(e.file, e.source, repository); err != nil {
		return nil, err
	}
	if e.before, err = with.Render(tree, app, env); err != nil {
		return nil, err
	}
	tree.Files = maps.Clone(tree.Files)
	tree.Files[e.file] = e.edited
	if e.after, err = with.Render(tree, app, env); err != nil {
		return nil, err
	}
	e.containers, err = overlay.Prove(overlay.Folder(app, env), e.before, e.after, repository, digest)
	if err != nil {
		return nil, err
	}
	fields, err := overlay.ImageFields(tree, app, env)
	if err != nil {
		return nil, err
	}
	if e.images, err = overlay.Images(overlay.Folder(app, env), e.after, fields); err != nil {
		return nil, err
	}
	if err := overlay.Filled(overlay.Folder(app, env), e.after); err != nil {
		return nil, err
	}
	return e, nil
}

// hashed is sha256:… of rendered manifests.
func hashed(manifests []byte) string {
	sum := sha256.Sum256(manifests)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// had is the digest that the overlay had; one without any was never released.
func (e *edited) had() string { return cmp.Or(e.was.Digest, overlay.Unreleased) }

// changed says whether the digest was another one.
func (e *edited) changed() bool { return !bytes.Equal(e.edited, e.source) }
