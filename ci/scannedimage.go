package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/rules"
	"slipway/step/printable"
	"slipway/step/result/scan"
)

// ScannedImage is an image that the scan's policy let pass.
type ScannedImage struct {
	// Digest of the image index.
	Digest string
	// Verdict is the decision, as JSON: the policy's and the database's
	// digests, what was reported and which exceptions were needed.
	Verdict string
	Decided *Verdict          // +private
	Image   *Image            // +private
	Out     *dagger.Directory // +private
	Stages  []Stage           // +private
}

// Report is what the scanner found.
//
// Example: dagger call app --name hello build scan report --format SARIF export --path hello.sarif
//
// +cache="never"
func (i *ScannedImage) Report(
	ctx context.Context,
	// TABLE, JSON or SARIF.
	// +default="TABLE"
	format Format,
) (*dagger.File, error) {
	return i.Image.Report(ctx, format)
}

// Scan looks for vulnerabilities in the image, secrets in the app's source and
// misconfigurations in infra/, and refuses what the policy of slipway.yaml does not let
// pass. The app's manifests are scanned by a release: as they are at the GitOps remote.
//
// Example: dagger call app --name hello build scan verdict
//
// +cache="never"
func (i *Image) Scan(ctx context.Context) (*ScannedImage, error) {
	database, err := i.App.Slipway.database(ctx)
	if err != nil {
		return nil, err
	}
	return i.scan(ctx, database)
}

func (i *Image) scan(ctx context.Context, database *dagger.Directory) (*ScannedImage, error) {
	began := time.Now()
	out, found, err := i.findings(ctx, database)
	if err != nil {
		return nil, err
	}
	verdict, err := i.judge(ctx, found)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(verdict)
	return &ScannedImage{Digest: i.Digest, Verdict: printable.JSON(string(data)), Decided: verdict, Image: i, Out: out, Stages: after(i.Stages, "scan", began)}, err
}

// judge decides over findings now.
func (i *Image) judge(ctx context.Context, found *scan.Findings) (*rules.Verdict, error) {
	policy, err := i.App.Slipway.policy(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	vex, err := i.vex(ctx, now)
	if err != nil {
		return nil, err
	}
	return policy.Evaluate(rules.Scanned{App: i.App.Name, Digest: i.Digest, Findings: *found, VEX: vex, Now: now})
}

// vex is what the app's OpenVEX document, if it has one, says of the image.
func (i *Image) vex(ctx context.Context, now time.Time) (rules.VEX, error) {
	a := i.App
	c := a.Slipway.Config
	found, err := a.source().Glob(ctx, rules.VEXFile)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	text, err := a.source().File(rules.VEXFile).Contents(ctx)
	if err != nil {
		return nil, err
	}
	about := rules.About{App: a.Name, Repository: c.Image(a.Name), Digest: i.Digest}
	return rules.ParseVEX(a.file(rules.VEXFile), about, []byte(text), c.Scan.Policy.VEXMaxAge, now)
}

// findings runs the scanner. Its work is kept by content: the same image, source and
// database are looked at once.
func (i *Image) findings(ctx context.Context, database *dagger.Directory) (*dagger.Directory, *scan.Findings, error) {
	s := i.App.Slipway
	settings, err := s.settings(ctx, i.App.Name)
	if err != nil {
		return nil, nil, err
	}
	expect := dagger.ScanImageOpts{}
	if settings.Build.Kind == config.KindGo {
		expect.Expect = "gobinary"
	}
	out := s.scan().Image(i.Layout, i.Digest, expect).
		Report(i.App.source(), i.App.title(), s.Source.Directory("infra"), database, dagger.ScanImageReportOpts{Revision: i.Tree})
	if err := passedIn(ctx, out); err != nil {
		return nil, nil, err
	}
	found, err := findings(ctx, out)
	return out, found, err
}

// findings are those that a scan has left.
func findings(ctx context.Context, out *dagger.Directory) (*scan.Findings, error) {
	text, err := out.File("findings.json").Contents(ctx)
	if err != nil {
		return nil, err
	}
	found := &scan.Findings{}
	if err := json.Unmarshal([]byte(text), found); err != nil {
		return nil, fmt.Errorf("decode findings: %w", err)
	}
	return found, nil
}

// ranAs is how a scan ran that left its results.
func ranAs(ctx context.Context, out *dagger.Directory, c *config.Config) (rules.Run, error) {
	s, err := resultIn[scan.Summary](ctx, out)
	return rules.Run{TrivyDigest: s.TrivyDigest, Repository: c.Scan.Database.Repository, StartedOn: s.StartedOn, FinishedOn: s.FinishedOn}, err
}

// scanned is what the scanner finds, and how it ran.
func (i *Image) scanned(ctx context.Context, database *dagger.Directory) (*scan.Findings, *rules.Run, error) {
	c := i.App.Slipway.Config
	out, found, err := i.findings(ctx, database)
	if err != nil {
		return nil, nil, err
	}
	run, err := ranAs(ctx, out, c)
	return found, &run, err
}

// attested is the predicate of the scan of an image.
func (i *ScannedImage) attested(ctx context.Context, reference Reference, verdict rules.Verdict) (rules.Scan, error) {
	found, err := findings(ctx, i.Out)
	if err != nil {
		return rules.Scan{}, err
	}
	run, err := ranAs(ctx, i.Out, i.Image.App.Slipway.Config)
	return rules.Attest(reference.String(), verdict, *found, run), err
}
