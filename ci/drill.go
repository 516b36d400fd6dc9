package main

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/drill"
	"slipway/ci/render"
	"slipway/step"
)

// DrillReport is what became of attacks on every gate.
type DrillReport struct {
	// Environment whose rules were attacked.
	Environment string
	// Summary says in a line how it ended.
	Summary string
	// Complete is false when the call was not given the means for every attack.
	Complete bool
	Rows     []Result // +private
}

// Text is the table for people: gate, attack, verdict, where it was stopped,
// expected, observed.
//
// +cache="168h"
func (d *DrillReport) Text() string { return drill.Table(d.Rows).Text() }

// Json is the table as JSON, with what became of each control.
//
// +cache="168h"
func (d *DrillReport) Json() (string, error) { return render.Indented(d.Rows) }

// Drill attacks every gate of this configuration, and fails unless each attack is
// stopped by the gate that is meant to stop it, after a control with nothing wrong has
// passed that gate. It works with an app, a key, a registry, a Git remote and a
// Terraform state of its own, which end with the call, under the policy, the rules and
// the database of slipway.yaml. With --terraform it attacks the plan's gates, too; with
// --kubeconfig it asks the cluster, by a dry run and by waiting, about an app that is
// healthy there, and changes nothing there, except that Argo CD looks at it again.
//
// Example: dagger call drill text
//
// +cache="never"
func (s *Slipway) Drill(
	ctx context.Context,
	// The environment whose rules are attacked; by default the first by name.
	// +optional
	env string,
) (*DrillReport, error) {
	c := s.Config
	if env == "" {
		env = c.EnvironmentNames()[0]
	}
	if _, err := c.Environment("drill", env); err != nil {
		return nil, err
	}
	t, err := s.target(ctx, c, env)
	if err != nil {
		return nil, err
	}
	var boxes, images, plans, environments, cluster drill.Table
	if err := sideBySide(
		func() error { boxes = t.attackBox(ctx); return nil },
		func() (err error) { images, err = t.attackImages(ctx); return },
		func() error { plans = t.attackPlans(ctx); return nil },
		func() (err error) { environments, err = t.attackEnvironments(ctx); return },
		func() (err error) { cluster, err = s.attackCluster(ctx, c, env); return },
	); err != nil {
		return nil, err
	}
	table := slices.Concat(boxes, images, plans, environments, cluster)
	return &DrillReport{Environment: env, Summary: table.Summary(), Complete: len(table.Untried()) == 0, Rows: table}, table.Refusal()
}

// target is the platform that a drill attacks: the caller's configuration, with
// nothing else of theirs.
type target struct {
	*Slipway
	env      string
	settings *config.Config
	// remote is the registry, the Git remote and the state of the drill.
	remote *dagger.Drill
	// database is the caller's.
	database *dagger.Directory
}

const (
	targetRegistry = "localhost:5000"
	// targetRepository is where a drill's images are in its registry.
	targetRepository = "drill"
)

func (s *Slipway) target(ctx context.Context, c *config.Config, env string) (*target, error) {
	database, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	own := *c
	own.Registry = config.Registry{Repository: targetRegistry + "/" + targetRepository}
	own.GitOps = config.GitOps{Remote: "http://" + targetRegistry + "/gitops.git", Branch: "main", Root: "gitops", Author: c.GitOps.Author}
	own.Infra = config.Infra{Code: drill.Code, State: "http://" + targetRegistry + "/state", Allow: c.Infra.Allow}
	// Whoever must have signed there is the drill's own key.
	own.Signing, own.Scan.Database.Signing = config.Signing{}, config.Signing{}
	own.Verification = own.Verification.WithoutWaits()
	// What it attacks lies in no platform's repository, and in no cluster, and is the
	// drill's own for every environment.
	own.Environments = map[string]config.Environment{}
	for name, e := range c.Environments {
		e.Platform, e.Cluster, e.Server, e.GitOps, e.State, e.Signing.PublicKey = "", "", "", config.EnvironmentGitOps{}, nil, ""
		own.Environments[name] = e
	}
	files, err := drill.Files(env, own.Registry.Repository)
	if err != nil {
		return nil, err
	}
	source := withFiles(dag.Directory(), "", files)
	t := &target{env: env, settings: &own, database: database, remote: dag.Drill(dagger.DrillOpts{Run: rand.Text()})}
	at := &Endpoint{Service: t.remote.Service()}
	if _, err := at.Service.Start(ctx); err != nil {
		return nil, err
	}
	if _, err := t.remote.Seed(ctx, source.Directory("gitops")); err != nil {
		return nil, err
	}
	key, password, err := throwawayKey(ctx)
	if err != nil {
		return nil, err
	}
	t.Slipway, err = (&Slipway{
		Source: source, Key: key, KeyPassword: password, Terraform: s.Terraform,
		Registry: at, GitOps: at, Platform: at, State: at, Cluster: &Endpoint{}, Prebuilt: s.Prebuilt, Runner: s.Runner, Invocation: s.Invocation,
	}).configured(own)
	return t, err
}

// withFiles adds files, by their path below a folder.
func withFiles(to *dagger.Directory, folder string, files map[string]string) *dagger.Directory {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		to = to.WithNewFile(path.Join(folder, name), files[name])
	}
	return to
}

// throwawayKey is a key pair that nobody keeps.
func throwawayKey(ctx context.Context) (key, password *dagger.Secret, err error) {
	password = dag.SetSecret("drill-password-"+rand.Text(), rand.Text())
	text, err := dag.Sign().Keygen(password).File("cosign.key").Contents(ctx)
	if err != nil {
		return nil, nil, err
	}
	return dag.SetSecret("drill-key-"+rand.Text(), text), password, nil
}

// with is the target with other settings.
func (t *target) with(change func(*config.Config)) (*Slipway, error) {
	c := *t.settings
	change(&c)
	return t.configured(c)
}

// app is an app of the target, with another source.
func (t *target) app(name string, source *dagger.Directory) *App {
	next := *t.Slipway
	next.Source = source
	return &App{Name: name, Slipway: &next}
}

// image builds an app of the target. A note makes it another image.
func (t *target) image(ctx context.Context, name, note string) (*Image, error) {
	source := t.Source
	if note != "" {
		at := path.Join("apps", name, config.AppFile)
		text, err := source.File(at).Contents(ctx)
		if err != nil {
			return nil, err
		}
		source = source.WithNewFile(at, strings.Replace(text, "description: ", "description: "+note+". ", 1))
	}
	return t.app(name, source).Build(ctx)
}

// push pushes an image past all gates, as somebody with the registry's password
// can.
func (t *target) push(ctx context.Context, i *Image) (*SignedImage, error) {
	repository := t.settings.Image(drill.App)
	connect, err := t.Registry.connect(ctx, "drill", "//"+repository, registryAlias)
	if err != nil {
		return nil, err
	}
	if err := passed(dag.Build().Publish(ctx, i.Layout, i.Digest, repository, dagger.BuildPublishOpts{Service: t.Registry.Service, Connect: connect})); err != nil {
		return nil, err
	}
	return t.signed(drill.App, i.Digest), nil
}

// others are images like the good one, by their notes, pushed past all gates.
func (t *target) others(ctx context.Context, notes ...string) (map[string]*SignedImage, error) {
	pushed := make([]*SignedImage, len(notes))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(drill.AtOnce)
	for n, note := range notes {
		group.Go(func() error {
			image, err := t.image(ctx, drill.App, note)
			if err != nil {
				return err
			}
			pushed[n], err = t.push(ctx, image)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	others := map[string]*SignedImage{}
	for n, note := range notes {
		others[note] = pushed[n]
	}
	return others, nil
}

// verify asks the gate that a release passes.
func (t *target) verify(ctx context.Context, i *SignedImage) error {
	_, err := i.verify(ctx, "verify", t.env, "")
	return err
}

// sign signs an image and attests statements about it, whatever they say.
func (t *target) sign(ctx context.Context, by *Slipway, image Reference, statements *dagger.Directory) error {
	_, err := (&PublishedImage{Reference: image, App: drill.App, Statements: statements, Slipway: by}).Sign(ctx, t.env)
	return err
}

// attackPlans attacks what stands between a plan and its apply.
func (t *target) attackPlans(ctx context.Context) drill.Table {
	infra := &Infrastructure{Environment: t.env, Slipway: t.Slipway}
	next := *t.Slipway
	next.Source = t.Source.WithoutFile("infra/" + drill.Code + "/spare.tf")
	smaller := &Infrastructure{Environment: t.env, Slipway: &next}

	var table drill.Table
	var checked *CheckedPlan
	control := func() (err error) {
		plan, err := infra.Plan(ctx)
		if err == nil {
			checked, err = plan.Check(ctx, false)
		}
		return err
	}()
	table = append(table, drill.OtherState.Judge(control, func() error {
		name, text := drill.Exfiltration(t.settings.Infra.State)
		next := *t.Slipway
		next.Source = t.Source.WithNewFile(name, text)
		_, err := (&Infrastructure{Environment: t.env, Slipway: &next}).Plan(ctx)
		return err
	}))
	table = append(table, drill.TamperedPlan.Judge(control, func() error {
		another, err := smaller.Plan(ctx)
		if err != nil {
			return err
		}
		changed := *checked.Plan
		changed.Out = changed.Out.WithFile(planFile, another.Out.File(planFile))
		_, err = (&CheckedPlan{Sha256: checked.Sha256, Plan: &changed, Out: checked.Out}).Apply(ctx)
		return err
	}))
	if control == nil {
		_, control = checked.Apply(ctx)
	}
	// The control of a destroying plan is that an explicit yes lets it pass.
	var plan *Plan
	if control == nil {
		if plan, control = smaller.Plan(ctx); control == nil {
			_, control = plan.Check(ctx, true)
		}
	}
	return append(table, drill.DestroyingPlan.Judge(control, func() error { _, err := plan.Check(ctx, false); return err }))
}

// planFile is the name of the plan in a plan's folder.
const planFile = "plan.tfplan"

// attackCluster asks the caller's cluster about images that nobody has signed, in
// the place of one that is healthy there. It stores nothing.
func (s *Slipway) attackCluster(ctx context.Context, c *config.Config, env string) (drill.Table, error) {
	skip := func(why string) drill.Table {
		return drill.Table{drill.UnsignedPod.Skip(why), drill.NeverRuns.Skip(why)}
	}
	if s.Kubeconfig == nil {
		return skip("give --kubeconfig file:PATH"), nil
	}
	release, err := s.healthy(ctx, c, env)
	if err != nil {
		return nil, err
	}
	if release == nil {
		return skip("release an app to " + env + ": none is healthy there"), nil
	}
	cluster, err := s.argocd(ctx, "drill", env)
	if err != nil {
		return nil, err
	}
	nobody := step.Refer(c.Image(release.App), "sha256:"+strings.Repeat("0f", 32))
	admit := func(reference Reference) error {
		rendered, err := s.render(ctx, "drill", release.App, env, reference, true)
		if err != nil {
			return err
		}
		return cluster.admit(ctx, rendered)
	}
	// The revision that is synced, so that no later commit is in the way.
	revision := release.Commit
	wait := func(reference Reference, deadline string) error {
		next := *release
		next.Commit, next.Reference = revision, reference
		seen, outcome, err := next.observe(ctx, deadline)
		if err != nil {
			return err
		}
		if outcome == Healthy {
			revision = seen.Revision
			return nil
		}
		return next.refusal(outcome, seen)
	}
	var table drill.Table
	table = append(table, drill.UnsignedPod.Judge(admit(release.Reference), func() error { return admit(nobody) }))
	return append(table, drill.NeverRuns.Judge(wait(release.Reference, "1m"), func() error { return wait(nobody, "15s") })), nil
}

// healthy is the release of an app that is healthy in an environment, or nil.
func (s *Slipway) healthy(ctx context.Context, c *config.Config, env string) (*Release, error) {
	apps, err := s.Apps(ctx)
	if err != nil {
		return nil, err
	}
	for _, app := range apps {
		releases, err := s.history(ctx, "drill", app, env)
		var f *step.Fault
		if errors.As(err, &f) && f.Kind == step.KindInput {
			continue // has no overlay there
		}
		if err != nil {
			return nil, err
		}
		if len(releases) == 0 {
			continue
		}
		statuses, err := s.statuses(ctx, "drill", app, env)
		if err != nil {
			return nil, err
		}
		reference := step.Refer(c.Image(app), releases[0].Digest)
		if now := statuses[env]; runs(now, reference) && now.Health == "Healthy" && now.Sync == "Synced" {
			return &Release{Commit: releases[0].Commit, Environment: env, Reference: reference, App: app, Slipway: s}, nil
		}
	}
	return nil, nil
}
