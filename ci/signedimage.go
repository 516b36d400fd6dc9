package main

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/evidence"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/sign"
)

// SignedImage is an image that can be released. Holding one proves nothing:
// verify and release look at the registry.
type SignedImage struct {
	// Reference is repository@digest.
	Reference Reference
	Moved     bool     // +private
	Revision  string   // +private
	Tree      string   // +private
	Verdict   *Verdict // +private
	Stages    []Stage  // +private
	App       string   // +private
	Slipway   *Slipway // +private
}

// Signed names an image that an earlier run signed, to verify or release it.
//
// Example: dagger call signed --app hello --digest sha256:… release --env staging
//
// +cache="168h"
func (s *Slipway) Signed(
	// The app.
	app string,
	// The image index's digest, sha256:….
	digest string,
) (*SignedImage, error) {
	if err := step.Name("verify", "app", app); err != nil {
		return nil, err
	}
	if err := step.Digest("verify", "digest", digest); err != nil {
		return nil, err
	}
	return s.signed(app, digest), nil
}

func (s *Slipway) signed(app, digest string) *SignedImage {
	return &SignedImage{Reference: step.Refer(s.Config.Image(app), digest), App: app, Slipway: s}
}

// Verify reads the image back from the registry and checks every blob against
// its digest, the signature against the public key or the identities that may sign
// for the environment, and everything that they attested about it against the rules
// of slipway.yaml.
//
// Example: dagger call signed --app hello --digest sha256:… verify --env production reference
//
// +cache="never"
func (i *SignedImage) Verify(
	ctx context.Context,
	// The environment whose rules count; without one, those that hold everywhere.
	// +optional
	env string,
) (*SignedImage, error) {
	if env != "" {
		if _, err := i.Slipway.Config.Environment("verify", env); err != nil {
			return nil, err
		}
	}
	_, err := i.verify(ctx, "verify", env, "")
	return i, err
}

// verify judges the image for an environment, and refuses it unless every rule
// lets it pass. What it returns was decided now, or is what a signed summary still
// answers. The plan is the digest of what is to be applied there; empty for nothing.
func (i *SignedImage) verify(ctx context.Context, stage, env, plan string) (*decision, error) {
	j, err := i.judge(ctx, stage, env, plan)
	if err != nil {
		return nil, err
	}
	return j, j.Refusal(stage)
}

// decision is a judgement, and where it is from.
type decision struct {
	rules.Judgement
	// Answered is true when a signed summary gave it.
	Answered bool
	// In is what it was decided by.
	In rules.Evidence
}

func (i *SignedImage) judge(ctx context.Context, stage, env, plan string) (*decision, error) {
	s := i.Slipway
	c := s.Config
	registry, err := s.registry(ctx, stage, i.Reference.Repository(), s.Registry)
	if err != nil {
		return nil, err
	}
	at := registry.signing()
	must, err := s.trust(ctx, at.Sign, stage, env)
	if err != nil {
		return nil, err
	}
	policy, err := s.policy(ctx)
	if err != nil {
		return nil, err
	}
	in := rules.Evidence{
		Reference: i.Reference.String(), Environment: env, Policy: policy, Rules: c.Verification, Repository: c.Origin(i.Reference.Repository()), Revocations: s.Revocations, Plan: plan,
	}
	if err := sideBySide(
		func() error {
			return passed(registry.build().Verify(ctx, i.Reference.String(), dagger.BuildVerifyOpts(registry.reached)))
		},
		func() (err error) {
			signed, err := i.signatures(ctx, verifier{must, registry.reached})
			in.Statements, in.KeyHint = signed.Statements, signed.KeyHint
			return err
		},
		func() (err error) {
			in.Approvals, err = i.approvals(ctx, at, env)
			return err
		},
		func() (err error) {
			in.Elsewhere, err = i.elsewhere(ctx, at, stage, env)
			return err
		},
	); err != nil {
		return nil, err
	}
	in.Now = time.Now()
	if answer, ok := rules.Answer(in); ok {
		return &decision{Judgement: *answer, Answered: true, In: in}, nil
	}
	return &decision{Judgement: rules.Judge(in), In: in}, nil
}

// signed is where the image is, or will be, in the registry.
func (i *ScannedImage) signed() *SignedImage {
	signed := i.Image.App.Slipway.signed(i.Image.App.Name, i.Digest)
	signed.Revision, signed.Tree, signed.Verdict, signed.Stages = i.Image.Revision, i.Image.Tree, i.Decided, i.Stages
	return signed
}

// storedDecision is the signed decision that answers for an image that the registry has; nil
// where there is none, for whatever reason. It refuses nothing: who publishes is told.
func (i *Image) storedDecision(ctx context.Context, env string) *decision {
	j, err := i.App.Slipway.signed(i.App.Name, i.Digest).judge(ctx, "verify", env, "")
	if err != nil || !j.Answered || j.Refusal("verify") != nil {
		return nil
	}
	return j
}

// signatures checks the image's signature and returns everything that who is trusted
// signed about it.
func (i *SignedImage) signatures(ctx context.Context, trusted verifier) (sign.Evidence, error) {
	return result[sign.Evidence](trusted.Verify(ctx, i.Reference.String(), dagger.SignVerifierVerifyOpts{All: true, Service: trusted.Service, Connect: trusted.Connect}))
}

func (i *SignedImage) statements(ctx context.Context, trusted verifier) ([]sign.Statement, error) {
	signed, err := i.signatures(ctx, trusted)
	return signed.Statements, err
}

// verifier is who must have signed, and how the registry is reached that has the
// signatures.
type verifier struct {
	*dagger.SignVerifier
	reached
}

// trust is who must have signed the image for an environment.
func (i *SignedImage) trust(ctx context.Context, stage, env string) (verifier, error) {
	at, err := i.Slipway.signing(ctx, stage, i.Reference.Repository())
	if err != nil {
		return verifier{}, err
	}
	must, err := i.Slipway.trust(ctx, at.Sign, stage, env)
	return verifier{must, at.reached}, err
}

// summarise attests a judgement that let the image pass, where the caller may
// sign, so that nobody has to decide again while nothing changes, and so that the
// environment's cluster lets it in. Where approvers are asked, it refuses a caller whose
// approval counts, or of whom nothing is known.
func (i *SignedImage) summarise(ctx context.Context, stage string, j *decision) error {
	s := i.Slipway
	asks := len(s.Config.Verification.Approvers(j.Environment)) > 0
	if asks && s.Identity == nil {
		if err := i.deliveredByKey(ctx, stage, j); err != nil {
			return err
		}
	}
	if !s.signs() {
		return nil
	}
	named, judgement := asks && s.Identity != nil, j.Judgement
	if named {
		// Only a new signature says who the caller is.
		judgement = rules.Judge(j.In)
	}
	files := map[string]evidence.File{}
	if named || !j.Answered && j.Until.After(j.At) {
		summary, ok := judgement.Summary()
		if !ok {
			return judgement.Refusal(stage)
		}
		file := evidence.File{PredicateType: evidence.SummaryType, Predicate: summary, Envelope: sign.EnvelopeDSSE}
		if s.Identity != nil {
			file.Envelope = "" // an envelope alone holds no certificate
		}
		files["summary"] = file
	}
	admission := map[string]evidence.File{}
	if file := (evidence.Admission{App: i.App, Environment: j.Environment}).File(); !evidence.Attested(j.In.Statements, map[string]evidence.File{"admission": file}) {
		admission["admission"] = file
	}
	if !named {
		maps.Copy(files, admission)
	}
	if len(files) == 0 {
		return nil
	}
	at, err := s.signing(ctx, "verify", i.Reference.Repository())
	if err != nil {
		return err
	}
	signer, err := s.signer(ctx, at.Sign, "verify", j.Environment)
	if err != nil {
		return err
	}
	done, err := i.attestBy(ctx, at, signer, files)
	if err != nil || !named {
		return err
	}
	if err := rules.Judge(j.In.DeliveredBy(done.Attestations)).Refusal(stage); err != nil || len(admission) == 0 {
		return err
	}
	_, err = i.attestBy(ctx, at, signer, admission)
	return err
}

// attest signs statements about the image for an environment.
func (i *SignedImage) attest(ctx context.Context, stage, env string, files map[string]evidence.File) error {
	at, err := i.Slipway.signing(ctx, stage, i.Reference.Repository())
	if err != nil {
		return err
	}
	signer, err := i.Slipway.signer(ctx, at.Sign, stage, env)
	if err != nil {
		return err
	}
	_, err = i.attestBy(ctx, at, signer, files)
	return err
}

// attestBy has a signer sign statements about the image.
func (i *SignedImage) attestBy(ctx context.Context, at signing, signer *dagger.SignSigner, files map[string]evidence.File) (sign.Attested, error) {
	folder, err := statements(files)
	if err != nil {
		return sign.Attested{}, err
	}
	return result[sign.Attested](signer.Attest(ctx, i.Reference.String(), folder, dagger.SignSignerAttestOpts(at.reached)))
}

// newestScan returns the attested scan of an image that knows the newest
// advisories, or nil.
func (i *SignedImage) newestScan(ctx context.Context, trusted verifier) (*rules.Scan, error) {
	statements, err := i.statements(ctx, trusted)
	if err != nil {
		if f, ok := step.AsFault(err); ok && f.Kind == step.KindPolicy {
			return nil, nil
		}
		return nil, err
	}
	var newest *rules.Scan
	for _, s := range statements {
		var scan rules.Scan
		if s.PredicateType != evidence.ScanType || json.Unmarshal(s.Predicate, &scan) != nil {
			continue
		}
		if newest == nil || scan.Scanner.DB.LastUpdate.After(newest.Scanner.DB.LastUpdate) {
			newest = &scan
		}
	}
	return newest, nil
}

// pulled is an image's OCI layout out of the registry.
func (s *Slipway) pulled(ctx context.Context, stage string, reference Reference) (*dagger.Directory, error) {
	registry, err := s.registry(ctx, stage, reference.Repository(), s.Registry)
	if err != nil {
		return nil, err
	}
	out, err := registry.build().Pull(reference.String(), dagger.BuildPullOpts(registry.reached)).Sync(ctx)
	if err != nil {
		return nil, err
	}
	return out.Directory("layout"), passedIn(ctx, out)
}
