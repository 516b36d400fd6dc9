package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/evidence"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/sign"
)

const approveStage = "approve"

// Approve signs, by an approver's own key or identity, that the image may go to an
// environment, and shows what every rule says then. slipway.yaml names the approvers,
// and how many of them an environment wants. Nobody approves a commit that they have
// authored, or an image that they have signed or delivered there. The approval is of
// this digest for this environment, and of a plan where one is named, and runs out.
// Where a freeze holds, it can override that by name.
//
// Example: dagger call --key file:jo.key --key-password env:JO_PASSWORD signed --app hello --digest sha256:… approve --env production --by jo text
//
// +cache="never"
func (i *SignedImage) Approve(
	ctx context.Context,
	// The environment that the image may go to.
	env string,
	// Who approves: their name in slipway.yaml.
	by string,
	// The digest of the plan of the environment's infrastructure that is approved, too,
	// as infra plan digest says. A delivery that would change infrastructure wants it.
	// +optional
	plan string,
	// The name of a freeze that it may go there in spite of.
	// +optional
	freeze string,
	// Why, in a line, for the record. Who overrides a freeze has to say it.
	// +optional
	reason string,
) (*Verification, error) {
	s := i.Slipway
	approver, err := s.approver(env, by)
	if err != nil {
		return nil, err
	}
	if plan != "" {
		if err := step.Digest(approveStage, "plan", plan); err != nil {
			return nil, err
		}
	}
	switch {
	case freeze != "" && !s.Config.Verification.Overrides(env, by, freeze):
		return nil, step.Input(approveStage, fmt.Sprintf("freeze %.80q", freeze), "is none of "+env+"'s that "+by+" may override", "name one that a no-freeze rule of "+config.File+" has, with "+by+" in its by")
	case freeze != "" && reason == "":
		return nil, step.Input(approveStage, "reason", "is not given for overriding freeze "+freeze, "say with --reason why it can't wait")
	case len(reason) > 500 || !printable.IsLine(reason):
		return nil, step.Input(approveStage, fmt.Sprintf("reason %.80q", reason), "is not a line of at most 500 bytes", "say in a few words why")
	}
	if c := s.Config.For(env).Signing; c.PublicKey == "" && len(c.Identities) == 0 && s.PublicKey == nil {
		return nil, step.Input(approveStage, "public key", "is not given, and an approver's key is not the platform's",
			"commit the platform's and name it as signing.publicKey in "+config.File+", or use with-public-key")
	}
	judged, err := i.judge(ctx, approveStage, env, plan)
	if err != nil {
		return nil, err
	}
	if err := i.unrevoked(approveStage, env); err != nil {
		return nil, err
	}
	if why := judged.In.Unfit(by); why != "" {
		return nil, step.Policy(approveStage, i.Reference.String(), fmt.Sprintf("%s's approval for %s %s", by, env, why), "have somebody else approve it")
	}
	at, err := s.signing(ctx, approveStage, i.Reference.Repository())
	if err != nil {
		return nil, err
	}
	signer, err := s.approving(ctx, at.Sign, by, approver)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	if _, err := i.attestBy(ctx, at, signer, map[string]evidence.File{"approval": {PredicateType: evidence.ApprovalType, Predicate: rules.Approved{
		Environment: env, Image: i.Reference.String(), Plan: plan, At: now, Until: now.Add(s.Config.Verification.ApprovalAge(env, by)), Freeze: freeze, Reason: reason,
	}}}); err != nil {
		return nil, err
	}
	return i.inspect(ctx, approveStage, env)
}

// approver is one of those whom an environment's rules ask.
func (s *Slipway) approver(env, by string) (rules.Approver, error) {
	if _, err := s.Config.Environment(approveStage, env); err != nil {
		return rules.Approver{}, err
	}
	asked := s.Config.Verification.Approvers(env)
	approver, ok := asked[by]
	switch {
	case len(asked) == 0:
		return approver, step.Input(approveStage, "environment "+env, "asks nobody for approval", "add a rule with require: approval to verification.rules in "+config.File)
	case !ok:
		return approver, step.Input(approveStage, fmt.Sprintf("approver %.80q", by), "is not asked for "+env, "use one of "+strings.Join(slices.Sorted(maps.Keys(asked)), ", "))
	}
	return approver, nil
}

// approving is the caller's signer, which has to be the approver's.
func (s *Slipway) approving(ctx context.Context, at *dagger.Sign, by string, approver rules.Approver) (*dagger.SignSigner, error) {
	another := step.Input(approveStage, "signer", "is not "+by+"'s", "sign by the key or as the identity that verification.approvers names for "+by)
	if approver.PublicKey == "" {
		if s.Identity == nil {
			return nil, another
		}
		must, err := s.themselves(approver)
		if err != nil {
			return nil, err
		}
		return s.identity(ctx, at, approveStage, "", must.identities)
	}
	if s.Identity != nil {
		return nil, another
	}
	signer, err := s.signer(ctx, at, approveStage, "")
	if err != nil {
		return nil, err
	}
	out, err := s.publicKey(ctx, approveStage)
	if err != nil {
		return nil, err
	}
	if err := passedIn(ctx, out); err != nil {
		return nil, err
	}
	theirs, err := s.Source.File(approver.PublicKey).Contents(ctx)
	if err != nil {
		return nil, err
	}
	own, err := out.File("cosign.pub").Contents(ctx)
	if err != nil {
		return nil, err
	}
	if a, b := decodePEM(own), decodePEM(theirs); a == nil || !bytes.Equal(a, b) {
		return nil, another
	}
	return signer, nil
}

func decodePEM(text string) []byte {
	if block, _ := pem.Decode([]byte(text)); block != nil {
		return block.Bytes
	}
	return nil
}

// approvals are what those have signed about the image whom the environment's rules
// ask, each by their own key or identity.
func (i *SignedImage) approvals(ctx context.Context, at signing, env string) ([]rules.Approval, error) {
	s := i.Slipway
	asked := s.Config.Verification.Approvers(env)
	names := slices.Sorted(maps.Keys(asked))
	given := make([][]rules.Approval, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for n, name := range names {
		group.Go(func() (err error) {
			given[n], err = i.approvalsBy(ctx, at, name, asked[name])
			return err
		})
	}
	err := group.Wait()
	return slices.Concat(given...), err
}

// themselves is an approver, as who must have signed.
func (s *Slipway) themselves(approver rules.Approver) (signers, error) {
	if approver.PublicKey != "" {
		return signers{key: s.Source.File(approver.PublicKey)}, nil
	}
	signing := s.Config.Signing
	signing.Identities = rules.Identities{{Issuer: approver.Issuer, Subject: approver.Subject}}
	return s.identities(signing, "")
}

// deliveredByKey refuses a caller by whose key somebody has approved the image, or
// without a key.
func (i *SignedImage) deliveredByKey(ctx context.Context, stage string, j *decision) error {
	s := i.Slipway
	if !s.signs() {
		return step.Policy(stage, i.Reference.String(), "is delivered to "+j.Environment+" by nobody who is known, and who delivers can't be who approves",
			"give the delivery's signer: --key and --key-password, with-kms-key or with-identity")
	}
	out, err := s.publicKey(ctx, stage)
	if err != nil {
		return err
	}
	key, err := resultIn[sign.Key](ctx, out)
	if err != nil {
		return err
	}
	return rules.Judge(j.In.DeliveredBy([]*sign.Attached{{KeyHint: key.KeyHint}})).Refusal(stage)
}

// elsewhere are the statements about the image by who may sign for the environments in
// which an environment's rules want it to have been healthy.
func (i *SignedImage) elsewhere(ctx context.Context, at signing, stage, env string) (map[string][]sign.Statement, error) {
	found := map[string][]sign.Statement{}
	for _, other := range i.Slipway.Config.Verification.Soaks(env) {
		must, err := i.Slipway.trust(ctx, at.Sign, stage, other)
		if err == nil {
			found[other], err = i.statements(ctx, verifier{must, at.reached})
		}
		// Nobody who may sign there has signed it: so nobody has seen it there.
		if f, ok := step.AsFault(err); err != nil && (!ok || f.Kind != step.KindPolicy) {
			return nil, err
		}
	}
	return found, nil
}

func (i *SignedImage) approvalsBy(ctx context.Context, at signing, name string, approver rules.Approver) ([]rules.Approval, error) {
	must, err := i.Slipway.themselves(approver)
	if err != nil {
		return nil, err
	}
	found, err := result[sign.Found](must.verifier(at.Sign).Verify(ctx, i.Reference.String(), dagger.SignVerifierVerifyOpts{PredicateType: evidence.ApprovalType, Service: at.Service, Connect: at.Connect}))
	if err != nil {
		// None, or none that can be read: either way they haven't approved.
		if f, ok := step.AsFault(err); ok && f.Kind == step.KindPolicy {
			return nil, nil
		}
		return nil, err
	}
	var given []rules.Approval
	for n, approved := range found.Predicates {
		signer := sign.Signer{KeyHint: found.KeyHint}
		if n < len(found.Signers) {
			signer = found.Signers[n]
		}
		given = append(given, rules.Approval{By: name, Signer: signer, Referrer: found.Referrers[n], Approved: approved})
	}
	return given, nil
}
