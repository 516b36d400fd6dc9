package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func (g given) at(digest string) (name.Digest, error) {
	return name.NewDigest(g.registry+"/"+g.repository+"@"+digest, name.Insecure)
}

func (g given) tagged() (name.Tag, error) {
	return name.NewTag(g.registry+"/"+g.repository+":"+g.tag, name.Insecure, name.StrictValidation)
}

func moveTag(ctx context.Context, g given, _ io.Writer) error {
	ref, err := g.at(g.digest)
	if err != nil {
		return err
	}
	tag, err := g.tagged()
	if err != nil {
		return err
	}
	image, err := remote.Get(ref, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	return remote.Tag(tag, image, remote.WithContext(ctx))
}

func resolve(ctx context.Context, g given, out io.Writer) error {
	tag, err := g.tagged()
	if err != nil {
		return err
	}
	image, err := remote.Head(tag, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(out, image.Digest)
	return err
}

// manifest is one to push as it stands.
type manifest struct {
	content   []byte
	mediaType types.MediaType
}

func (m manifest) RawManifest() ([]byte, error) { return m.content, nil }

func (m manifest) MediaType() (types.MediaType, error) {
	if m.mediaType == "" {
		return "", errors.New("the registry names no media type")
	}
	return m.mediaType, nil
}

func graft(ctx context.Context, g given, out io.Writer) error {
	from, err := g.at(g.from)
	if err != nil {
		return err
	}
	to, err := g.at(g.to)
	if err != nil {
		return err
	}
	victim, err := remote.Head(to, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	index, err := remote.Referrers(from, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	all, err := index.IndexManifest()
	if err != nil {
		return err
	}
	if len(all.Manifests) == 0 {
		return errors.New("nothing refers to the image that is to be copied from")
	}
	for _, referrer := range all.Manifests {
		if err := g.refer(ctx, referrer, *victim); err != nil {
			return err
		}
	}
	_, err = fmt.Fprint(out, len(all.Manifests))
	return err
}

// refer pushes a copy of a referrer that refers to the victim.
func (g given) refer(ctx context.Context, referrer, victim v1.Descriptor) error {
	ref, err := g.at(referrer.Digest.String())
	if err != nil {
		return err
	}
	stored, err := remote.Get(ref, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	var content map[string]any
	if err := json.Unmarshal(stored.Manifest, &content); err != nil {
		return err
	}
	content["subject"] = v1.Descriptor{MediaType: victim.MediaType, Digest: victim.Digest, Size: victim.Size}
	changed, err := json.Marshal(content)
	if err != nil {
		return err
	}
	digest, _, err := v1.SHA256(bytes.NewReader(changed))
	if err != nil {
		return err
	}
	target, err := g.at(digest.String())
	if err != nil {
		return err
	}
	return remote.Put(target, manifest{changed, stored.MediaType}, remote.WithContext(ctx))
}
