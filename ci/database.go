package main

import (
	"context"
	"fmt"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/azure"
	"slipway/step/result/scan"
)

// PublishDatabase builds the vulnerability database of the advisories that this
// repository carries, pushes and signs it, and only then gives it the tag by which
// slipway.yaml asks for it. It needs a signer, as sign does. It is for the embedded
// default and for tests; platforms use a mirror of the official database.
//
// Example: dagger call publish-database
//
// +cache="never"
func (s *Slipway) PublishDatabase(
	ctx context.Context,
	// When the advisories were taken, RFC 3339; now by default.
	// +optional
	updatedAt string,
) (string, error) {
	c := s.Config.Scan.Database
	at := time.Now().UTC()
	if updatedAt != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, updatedAt); err != nil {
			return "", step.Input("scan", fmt.Sprintf("updatedAt %q", updatedAt), "is not a time", "give it in RFC 3339")
		}
	}
	to := s.databaseRegistry()
	if err := to.needs("scan", databaseAccount); err != nil {
		return "", err
	}
	registry, err := s.registry(ctx, "scan", c.Repository, to)
	if err != nil {
		return "", err
	}
	signer, err := s.signer(ctx, registry.signing().Sign, "scan", "")
	if err != nil {
		return "", err
	}
	push := func(tag string) (string, error) {
		pushed, err := result[scan.Pushed](s.scan().WithAccount(dagger.ScanWithAccountOpts(registry.credentials)).
			PublishDatabase(ctx, c.Repository, at.Format(time.RFC3339), at.Add(24*time.Hour).Format(time.RFC3339),
				dagger.ScanPublishDatabaseOpts{Tag: tag, Service: registry.Service, Connect: registry.Connect}))
		return step.Refer(pushed.Repository, pushed.Digest).String(), err
	}
	reference, err := push("")
	if err != nil {
		return "", err
	}
	if err := passed(signer.Sign(ctx, reference, dagger.SignSignerSignOpts{Service: registry.Service, Connect: registry.Connect})); err != nil {
		return "", err
	}
	return push(c.Tag)
}

// databaseRegistry is how the vulnerability database is reached: as the images
// are, but with its own account, when it lies beside them, and anonymously elsewhere.
func (s *Slipway) databaseRegistry() *Endpoint {
	if config.SameHost("//"+s.Config.Scan.Database.Repository, "//"+s.Config.Registry.Repository) {
		return s.Registry.as(databaseAccount)
	}
	return &Endpoint{}
}

// database resolves the vulnerability database's digest now, unless it is pinned, sees
// who has signed that very artifact, and fetches it, once for each digest.
func (s *Slipway) database(ctx context.Context) (*dagger.Directory, error) {
	c := s.Config.Scan.Database
	registry, err := s.registry(ctx, "scan", c.Repository, s.databaseRegistry())
	if err != nil {
		return nil, err
	}
	// Anybody may read a database, but for one in a registry of Azure's.
	if !azure.Is(registry.Username) {
		registry.credentials = credentials{}
	}
	as := s.scan().WithAccount(dagger.ScanWithAccountOpts(registry.credentials))
	digest := c.Digest
	if digest == "" {
		resolved, err := result[scan.Resolved](as.DatabaseDigest(ctx, c.Repository, c.Tag, dagger.ScanDatabaseDigestOpts(registry.reached)))
		if err != nil {
			return nil, err
		}
		digest = resolved.Digest
	}
	database := as.Database(c.Repository, digest, dagger.ScanDatabaseOpts(registry.reached))
	return database, sideBySide(
		func() error {
			if c.Digest != "" || c.Trust == rules.Unsigned {
				return nil
			}
			return s.signedDatabase(ctx, registry, step.Refer(c.Repository, digest))
		},
		func() error { return passedIn(ctx, database) },
	)
}

// databaseMend is what to do about a database for which nobody vouches.
const databaseMend = "name who signs it as scan.database.signing in " + config.File + "; or pin one as scan.database.digest, or accept what nobody vouches for with scan.database.trust: " + rules.Unsigned

// signedDatabase refuses a database without a signature by who must have signed it.
func (s *Slipway) signedDatabase(ctx context.Context, registry access, reference Reference) error {
	must, err := s.databaseSigners(ctx)
	if err != nil {
		return err
	}
	at := registry.signing()
	err = passed(must.verifier(at.Sign).Verify(ctx, reference.String(), dagger.SignVerifierVerifyOpts{Service: at.Service, Connect: at.Connect}))
	if f, ok := step.AsFault(err); ok && f.Kind == step.KindPolicy {
		return step.Policy("scan", "vulnerability database "+f.Input, f.Reason, f.Mend+"; or "+databaseMend, f.Details...)
	}
	return err
}

// databaseSigners are who must have signed the vulnerability database.
func (s *Slipway) databaseSigners(ctx context.Context) (signers, error) {
	switch signing := s.Config.Scan.Database.Signing; {
	case signing.PublicKey != "":
		return signers{key: s.Source.File(signing.PublicKey)}, nil
	case signing.Named():
		return s.identities(signing, "")
	case s.DatabaseKey != nil:
		return signers{key: s.DatabaseKey}, nil
	}
	must, err := s.signers(ctx, "scan", "")
	if f, ok := step.AsFault(err); ok && f.Kind != step.KindInfrastructure {
		err = step.Input("scan", config.File+": scan.database", "does not say who must have signed it, and nothing else does: "+f.Input+" "+f.Reason, "give --database-key; "+databaseMend)
	}
	return must, err
}

// policy is the scan's, with the vulnerability database that it wants.
func (s *Slipway) policy(ctx context.Context) (rules.Policy, error) {
	policy, c := s.Config.Scan.Policy, s.Config.Scan.Database
	policy.Database = rules.Database{Repository: c.Repository, Tag: c.Tag, MaxAge: c.MaxAge, Trust: c.Trust}
	switch {
	case c.Digest != "":
		policy.Database.Trust = rules.Pinned(c.Digest)
		return policy, nil
	case c.Trust != "":
		return policy, nil
	}
	must, err := s.databaseSigners(ctx)
	if err != nil {
		return policy, err
	}
	file := must.root
	if must.key != nil {
		file = must.key
	}
	text, err := file.Contents(ctx)
	switch {
	case err != nil:
		err = step.Input("scan", "who signs the vulnerability database", "can't be read: "+err.Error(), "commit the file that "+config.File+" names, or give it")
	case must.key != nil:
		policy.Database.Trust, err = rules.SignedByKey([]byte(text))
	default:
		policy.Database.Trust = rules.SignedByIdentities(must.identities, []byte(text), must.logs, must.certificateLogs)
	}
	return policy, err
}
