package main

import (
	"context"
	"fmt"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/evidence"
	"slipway/step"
	"slipway/step/result/build"
	"slipway/step/result/scan"
)

// PublishedImage is a scanned image in the registry.
type PublishedImage struct {
	// Reference is repository@digest.
	Reference Reference
	// Moved says whether this publish had to push anything.
	Moved      bool
	App        string            // +private
	Verdict    *Verdict          // +private
	Statements *dagger.Directory // +private
	Revision   string            // +private
	Tree       string            // +private
	Stages     []Stage           // +private
	Slipway    *Slipway          // +private
}

// Publish pushes exactly the scanned bytes, by digest. It judges the findings
// again first, and refuses an app whose own tests fail. Publishing twice moves
// nothing the second time.
//
// Example: dagger call app --name hello build scan publish reference
//
// +cache="never"
func (i *ScannedImage) Publish(ctx context.Context) (*PublishedImage, error) {
	found, err := findings(ctx, i.Out)
	if err != nil {
		return nil, err
	}
	next := *i
	if next.Decided, err = i.Image.judge(ctx, found); err != nil {
		return nil, err
	}
	began := time.Now()
	tested, _, err := i.Image.App.tests(ctx)
	if err != nil {
		return nil, err
	}
	next.Stages = after(i.Stages, "test", began)
	files, err := next.statements(ctx, tested)
	if err != nil {
		return nil, err
	}
	return next.publish(ctx, files)
}

// publish pushes an image that has just been judged, with what is to be attested of it.
func (i *ScannedImage) publish(ctx context.Context, files map[string]evidence.File) (*PublishedImage, error) {
	began := time.Now()
	s := i.Image.App.Slipway
	repository := s.Config.Image(i.Image.App.Name)
	registry, err := s.registry(ctx, "publish", repository, s.Registry)
	if err != nil {
		return nil, err
	}
	pushed, err := result[build.Published](registry.build().
		Publish(ctx, i.Image.Layout, i.Image.Digest, repository, dagger.BuildPublishOpts(registry.reached)))
	if err != nil {
		return nil, err
	}
	folder, err := statements(files)
	if err != nil {
		return nil, err
	}
	return &PublishedImage{
		Reference: Reference(pushed.Reference), Moved: pushed.Pushed, App: i.Image.App.Name, Verdict: i.Decided,
		Statements: folder.WithDirectory(scan.SBOMFolder, i.Out.Directory(scan.SBOMFolder)),
		Revision:   i.Image.Revision, Tree: i.Image.Tree, Stages: after(i.Stages, "publish", began), Slipway: s,
	}, nil
}

// Sign signs the image's digest and attests what is known about it, all as
// Sigstore bundles beside the image: the scan's verdict, SLSA provenance, the
// result of the tests, and bills of materials. It needs a signer: the key and its
// password, with-kms-key or with-identity.
//
// Example: dagger call --key file:cosign.key --key-password env:COSIGN_PASSWORD app --name hello build scan publish sign reference
//
// +cache="never"
func (i *PublishedImage) Sign(
	ctx context.Context,
	// The environment that it is signed for, which says who may sign as an identity,
	// and what happens when a log is down. Without one, the rules that hold everywhere
	// apply.
	// +optional
	env string,
) (*SignedImage, error) {
	began := time.Now()
	s := i.Slipway
	if env != "" {
		if _, err := s.Config.Environment("sign", env); err != nil {
			return nil, err
		}
	}
	at, err := s.signing(ctx, "sign", i.Reference.Repository())
	if err != nil {
		return nil, err
	}
	signer, err := s.signer(ctx, at.Sign, "sign", env)
	if err != nil {
		return nil, err
	}
	if err := passed(signer.Sign(ctx, i.Reference.String(), dagger.SignSignerSignOpts{Statements: i.Statements, Service: at.Service, Connect: at.Connect})); err != nil {
		return nil, err
	}
	return &SignedImage{
		Reference: i.Reference, Moved: i.Moved, Revision: i.Revision, Tree: i.Tree, Verdict: i.Verdict, Stages: after(i.Stages, "sign", began),
		App: i.App, Slipway: s,
	}, nil
}

// statements are what is to be attested about a scanned image: of each of its platforms
// a bill of materials, too.
func (i *ScannedImage) statements(ctx context.Context, tested build.Tests) (map[string]evidence.File, error) {
	passed, err := i.attested(ctx, step.Refer(i.Image.App.Slipway.Config.Image(i.Image.App.Name), i.Digest), *i.Decided)
	if err != nil {
		return nil, err
	}
	ran, err := resultIn[scan.Summary](ctx, i.Out)
	if err != nil {
		return nil, err
	}
	built, err := i.Image.provenance(ctx)
	if err != nil {
		return nil, err
	}
	files := evidence.Bills(ran.Platforms)
	files["scan"] = evidence.File{PredicateType: evidence.ScanType, Predicate: passed}
	files["provenance"] = evidence.File{PredicateType: evidence.ProvenanceType, Predicate: built.Provenance()}
	// Where no test has run there is no result of one.
	if tested.Passed > 0 {
		files["tests"] = evidence.File{PredicateType: evidence.TestResultType, Predicate: evidence.Passed(i.Image.Tree, tested)}
	}
	return files, nil
}

// statements is a folder of statements, as the sign module takes it.
func statements(files map[string]evidence.File) (*dagger.Directory, error) {
	folder := dag.Directory()
	for name, file := range files {
		text, err := file.Encode()
		if err != nil {
			return nil, fmt.Errorf("encode statement %s: %w", name, err)
		}
		folder = folder.WithNewFile(name+".statement.json", text)
	}
	return folder, nil
}
