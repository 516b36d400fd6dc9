package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/drill"
	"slipway/ci/evidence"
	"slipway/ci/rules"
	"slipway/step"
)

// delivery is what the target's app, which has nothing wrong, came to at each gate, and
// the first refusal, by the gate that made it.
type delivery struct {
	image     *Image
	scanned   *ScannedImage
	published *PublishedImage
	signed    *SignedImage
	release   *Release
	refusals  map[string]error
}

// deliver takes an image of the target's app through the gates.
func (t *target) deliver(ctx context.Context, note string) *delivery {
	d := &delivery{refusals: map[string]error{}}
	var failed error
	gate := func(name string, do func() error) {
		if failed == nil {
			failed = do()
		}
		d.refusals[name] = failed
	}
	gate("build", func() (err error) { d.image, err = t.image(ctx, drill.App, note); return })
	gate("scan", func() (err error) { d.scanned, err = d.image.scan(ctx, t.database); return })
	gate("publish", func() (err error) { d.published, err = d.scanned.Publish(ctx); return })
	gate("sign", func() (err error) { d.signed, err = d.published.Sign(ctx, t.env); return })
	gate("verify", func() error { return t.verify(ctx, d.signed) })
	gate("release", func() (err error) {
		d.release, err = d.signed.release(ctx, t.env, &Applied{}, releaseReason{Kind: "release"})
		return
	})
	return d
}

// publish publishes an image by the scan of the good one.
func (d *delivery) publish(ctx context.Context, digest string, image *Image) (*PublishedImage, error) {
	return (&ScannedImage{Digest: digest, Decided: d.scanned.Decided, Image: image, Out: d.scanned.Out}).Publish(ctx)
}

// commit is the release's, or empty.
func (d *delivery) commit() string {
	if d.release == nil {
		return ""
	}
	return d.release.Commit
}

// attackBox attacks from what an app brings along: its tests, its build and the
// commands of its Dockerfile. Its control is the app with nothing wrong.
func (t *target) attackBox(ctx context.Context) drill.Table {
	run := func(files map[string]string, test bool) error {
		app := t.app(drill.App, withFiles(t.Source, "apps/"+drill.App, files))
		if test {
			_, _, err := app.tests(ctx)
			return err
		}
		_, err := app.Build(ctx)
		return err
	}
	var table drill.Table
	tested, built := run(nil, true), run(nil, false)
	for _, a := range drill.BoxAttacks() {
		control := built
		if a.Test {
			control = tested
		}
		table = append(table, a.Judge(control, func() error { return run(a.Files, a.Test) }))
	}
	return table
}

// attackImages attacks what stands between a source and a release.
func (t *target) attackImages(ctx context.Context) (drill.Table, error) {
	baseline := t.deliver(ctx, "")
	vulnerable, err := t.image(ctx, drill.VulnerableApp, "")
	if err != nil {
		return nil, err
	}
	var attempts []func() drill.Result
	// The control of most is the good image at the same gate.
	try := func(a drill.Attack, attempt func() error) {
		attempts = append(attempts, func() drill.Result { return a.Judge(baseline.refusals[a.Gate], attempt) })
	}

	try(drill.VulnerableImage, func() error { _, err := vulnerable.scan(ctx, t.database); return err })
	try(drill.SecretInSource, func() error {
		image, err := t.app(drill.App, t.Source.WithNewFile(drill.Secret())).Build(ctx)
		if err != nil {
			return err
		}
		_, err = image.scan(ctx, t.database)
		return err
	})
	try(drill.StaleDatabase, func() error { return t.scanSigned(ctx, baseline.image, "stale-db", "2020-01-01T00:00:00Z") })
	attempts = append(attempts, func() drill.Result {
		signed := baseline.refusals["scan"]
		if signed == nil {
			signed = t.scanSigned(ctx, baseline.image, "foreign-db", "")
		}
		return drill.ForeignDatabase.Judge(signed, func() error { return t.scanForeign(ctx, baseline.image, "foreign-db") })
	})
	attempts = append(attempts, func() drill.Result {
		today := time.Now().UTC()
		return drill.ExpiredException.Judge(t.scanExcepted(ctx, vulnerable, today.AddDate(0, 0, 1)),
			func() error { return t.scanExcepted(ctx, vulnerable, today.AddDate(0, 0, -1)) })
	})
	try(drill.InlineIgnore, func() error {
		text, err := t.Source.File(drill.IgnoringFile).Contents(ctx)
		if err != nil {
			return err
		}
		image := *baseline.image
		image.App = t.app(drill.App, t.Source.WithNewFile(drill.IgnoringFile, drill.IgnoringComment+text))
		_, err = image.scan(ctx, t.database)
		return err
	})
	now := time.Now()
	stated := sync.OnceValue(func() error { return t.scanStated(ctx, vulnerable, drill.NotAffected(now, drill.VulnerablePackage)) })
	for _, said := range []struct {
		attack     drill.Attack
		statements []string
	}{
		{drill.VEXOfAnother, []string{drill.NotAffected(now, "pkg:golang/slipway.drill.example/other")}},
		{drill.VEXEnded, []string{drill.NotAffected(now.Add(-time.Minute), drill.VulnerablePackage), drill.Affected(now)}},
		{drill.VEXToCome, []string{drill.NotAffected(now.AddDate(1, 0, 0), drill.VulnerablePackage)}},
	} {
		attempts = append(attempts, func() drill.Result {
			return said.attack.Judge(stated(), func() error { return t.scanStated(ctx, vulnerable, said.statements...) })
		})
	}
	try(drill.OtherBytes, func() error {
		swapped := *baseline.image
		swapped.Layout = vulnerable.Layout
		_, err := baseline.publish(ctx, baseline.scanned.Digest, &swapped)
		return err
	})
	try(drill.OtherImage, func() error { _, err := baseline.publish(ctx, vulnerable.Digest, vulnerable); return err })

	if baseline.refusals["sign"] != nil {
		// Without a signed image there is nothing to attack further on.
		try(drill.NothingSigned, nil)
		return drill.Make(attempts), nil
	}
	other, err := t.others(ctx, "Unsigned", "Signed by another key", "Signed by another identity", "Grafted", "Of another type", "Replayed")
	if err != nil {
		return nil, err
	}
	path, statements := targetRepository+"/"+drill.App, baseline.published.Statements

	try(drill.ImageByTag, func() error {
		return t.sign(ctx, t.Slipway, Reference(t.settings.Image(drill.App)+":v1"), statements)
	})
	try(drill.Unsigned, func() error { return t.verify(ctx, other["Unsigned"]) })
	try(drill.MovedTag, func() error {
		for _, image := range []Reference{baseline.published.Reference, other["Unsigned"].Reference} {
			if _, err := t.remote.Tag(ctx, path, image.Digest(), "v1"); err != nil {
				return err
			}
		}
		if _, err := baseline.published.Sign(ctx, t.env); err != nil {
			return err
		}
		digest, err := t.remote.Resolve(ctx, path, "v1")
		if err != nil {
			return err
		}
		return t.verify(ctx, t.signed(drill.App, digest))
	})
	try(drill.OtherKey, func() error {
		theirs := *t.Slipway
		var err error
		if theirs.Key, theirs.KeyPassword, err = throwawayKey(ctx); err != nil {
			return err
		}
		image := other["Signed by another key"]
		if err := t.sign(ctx, &theirs, image.Reference, statements); err != nil {
			return err
		}
		return t.verify(ctx, image)
	})
	attempts = append(attempts, func() drill.Result { return t.otherKey(ctx, baseline.signed) })
	attempts = append(attempts, func() drill.Result {
		sigstore := t.remote.Sigstore()
		return drill.OtherIdentity.Judge(t.deliverByIdentity(ctx, sigstore, baseline),
			func() error {
				return t.attackIdentity(ctx, sigstore, other["Signed by another identity"].Reference, statements)
			})
	})
	try(drill.Grafted.Of(other["Grafted"].Reference.String()), func() error {
		image := other["Grafted"]
		if err := t.sign(ctx, t.Slipway, image.Reference, dag.Directory()); err != nil {
			return err
		}
		if _, err := t.remote.Graft(ctx, path, baseline.published.Reference.Digest(), image.Reference.Digest()); err != nil {
			return err
		}
		return t.verify(ctx, image)
	})
	try(drill.OtherType.Of(other["Of another type"].Reference.String()), func() error {
		return t.verifyScan(ctx, other["Of another type"], baseline, "https://example.org/scan/v1", *baseline.scanned.Decided)
	})
	try(drill.Replayed, func() error {
		old := *baseline.scanned.Decided
		old.DatabaseUpdatedAt = old.DatabaseUpdatedAt.AddDate(-1, 0, 0)
		return t.verifyScan(ctx, other["Replayed"], baseline, evidence.ScanType, old)
	})
	try(drill.FlippedBit, func() error {
		image, flipped := *baseline.signed, *t.Slipway
		flipped.Registry = &Endpoint{Service: t.remote.Flipped(path)}
		image.Slipway = &flipped
		return t.verify(ctx, &image)
	})
	try(drill.Revoked, func() error {
		image, revoked := *baseline.signed, *t.Slipway
		revoked.Revocations = []Revocation{{App: drill.App, Digest: image.Reference.Digest(), Reason: "drill", By: "drill", At: time.Now()}}
		image.Slipway = &revoked
		return t.verify(ctx, &image)
	})
	try(drill.Unapproved, func() error { return t.approvedByAnother(ctx, baseline.signed) })
	patched := sync.OnceValues(func() (*rendered, error) {
		return t.render(ctx, "release", drill.VulnerableApp, t.env, step.Refer(t.settings.Image(drill.VulnerableApp), baseline.image.Digest), false)
	})
	try(drill.HostileOverlay, func() error {
		rendered, err := patched()
		if err == nil {
			_, err = t.scanned(ctx, drill.VulnerableApp, t.env, rendered)
		}
		return err
	})
	try(drill.StrangeImage, func() error {
		rendered, err := patched()
		if err == nil {
			err = t.vouched(ctx, drill.VulnerableApp, t.env, rendered)
		}
		return err
	})
	second := sync.OnceValue(func() error {
		if err := baseline.refusals["release"]; err != nil {
			return err
		}
		// A second release puts the first one into the past.
		return t.deliver(ctx, "Second").refusals["release"]
	})
	back := func(a drill.Attack, reason releaseReason) {
		attempts = append(attempts, func() drill.Result {
			return a.Of(baseline.commit()).Judge(second(), func() error {
				_, err := baseline.signed.release(ctx, t.env, &Applied{}, reason)
				return err
			})
		})
	}
	back(drill.OldRollback, releaseReason{Kind: "rollback", Of: baseline.commit()})
	back(drill.OlderRun, releaseReason{Kind: "release"})
	return drill.Make(attempts), nil
}

// approvedByAnother has somebody whom the platform doesn't name approve an image that
// wants an approval.
func (t *target) approvedByAnother(ctx context.Context, image *SignedImage) error {
	const named = "gitops/approver.pub"
	changed, err := t.with(func(c *config.Config) {
		c.Verification.Named = map[string]rules.Approver{"approver": {PublicKey: named, Emails: []string{"approver@drill.example"}}}
		c.Verification.Rules = append(slices.Clone(c.Verification.Rules), rules.Rule{Require: rules.RequireApproval, MaxAge: time.Hour})
	})
	if err != nil {
		return err
	}
	key, password, err := throwawayKey(ctx)
	if err != nil {
		return err
	}
	changed.Source = changed.Source.WithFile(named, dag.Sign().PublicKey(key, password).File("cosign.pub"))
	wanting := *image
	wanting.Slipway = changed
	now := time.Now().UTC()
	if err := image.attest(ctx, "verify", t.env, map[string]evidence.File{"approval": {PredicateType: evidence.ApprovalType, Predicate: rules.Approved{
		Environment: t.env, Image: image.Reference.String(), At: now, Until: now.Add(time.Hour),
	}}}); err != nil {
		return err
	}
	return t.verify(ctx, &wanting)
}

// withDatabase is the target with a database of its own, which its key has to sign.
func (t *target) withDatabase(name string) (*Slipway, error) {
	return t.with(func(c *config.Config) {
		c.Scan.Database = config.Database{Repository: targetRegistry + "/" + name, Tag: c.Scan.Database.Tag, MaxAge: c.Scan.Database.MaxAge}
	})
}

// scanWith scans an image with the database that some settings name.
func scanWith(ctx context.Context, s *Slipway, image *Image) error {
	next := *image
	next.App = &App{Name: image.App.Name, Slipway: s}
	_, err := next.Scan(ctx)
	return err
}

// scanSigned publishes a database, signed, and scans an image with it.
func (t *target) scanSigned(ctx context.Context, image *Image, name, updatedAt string) error {
	s, err := t.withDatabase(name)
	if err != nil {
		return err
	}
	if _, err := s.PublishDatabase(ctx, updatedAt); err != nil {
		return err
	}
	return scanWith(ctx, s, image)
}

// scanForeign moves a database's tag to a newer one, as somebody with the registry's
// password can, and scans an image with it.
func (t *target) scanForeign(ctx context.Context, image *Image, name string) error {
	s, err := t.withDatabase(name)
	if err != nil {
		return err
	}
	c := s.Config.Scan.Database
	connect, err := t.Registry.connect(ctx, "drill", "//"+c.Repository, registryAlias)
	if err != nil {
		return err
	}
	at := time.Now().UTC().Add(time.Minute)
	if err := passed(s.scan().PublishDatabase(ctx, c.Repository, at.Format(time.RFC3339), at.Add(time.Hour).Format(time.RFC3339),
		dagger.ScanPublishDatabaseOpts{Tag: c.Tag, Service: t.Registry.Service, Connect: connect})); err != nil {
		return err
	}
	return scanWith(ctx, s, image)
}

// scanExcepted scans the vulnerable image, whose vulnerability is excepted until a day.
func (t *target) scanExcepted(ctx context.Context, vulnerable *Image, until time.Time) error {
	changed, err := t.with(func(c *config.Config) {
		c.Scan.Policy.Exceptions = append(slices.Clone(c.Scan.Policy.Exceptions), rules.Exception{
			ID: drill.Vulnerability, App: drill.VulnerableApp, Reason: "drill", Owner: "drill", Expires: until.Format(time.DateOnly),
		})
	})
	if err != nil {
		return err
	}
	_, err = (&Image{Digest: vulnerable.Digest, Tree: vulnerable.Tree, Layout: vulnerable.Layout, App: &App{Name: drill.VulnerableApp, Slipway: changed}}).scan(ctx, t.database)
	return err
}

// scanStated scans the vulnerable image, about whose vulnerability its app makes
// statements, where such hold for an hour.
func (t *target) scanStated(ctx context.Context, vulnerable *Image, statements ...string) error {
	changed, err := t.with(func(c *config.Config) { c.Scan.Policy.VEXMaxAge = time.Hour })
	if err != nil {
		return err
	}
	changed.Source = t.Source.WithNewFile(drill.VEX(statements...))
	image := *vulnerable
	image.App = &App{Name: drill.VulnerableApp, Slipway: changed}
	_, err = image.scan(ctx, t.database)
	return err
}

// verifyScan signs an image, attests what was attested about the good one, but another
// statement about its scan, and then verifies it.
func (t *target) verifyScan(ctx context.Context, image *SignedImage, baseline *delivery, predicateType string, verdict rules.Verdict) error {
	scan, err := baseline.scanned.attested(ctx, image.Reference, verdict)
	if err != nil {
		return err
	}
	text, err := evidence.File{PredicateType: predicateType, Predicate: scan}.Encode()
	if err != nil {
		return err
	}
	if err := t.sign(ctx, t.Slipway, image.Reference, baseline.published.Statements.WithNewFile("scan.statement.json", text)); err != nil {
		return err
	}
	return t.verify(ctx, image)
}
