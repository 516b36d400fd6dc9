package main

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/drill"
	"slipway/ci/evidence"
	"slipway/ci/policy"
	"slipway/ci/render"
	"slipway/step"
)

// Drill is what became of attacks on every gate.
type Drill struct {
	// Environment whose rules were attacked.
	Environment string
	// Summary says in a line how it ended.
	Summary string
	// Complete is false when the call was not given the means for every attack.
	Complete bool
	Rows     []Row // +private
}

// Text is the table for people: gate, attack, verdict, where it was stopped,
// expected, observed.
//
// +cache="168h"
func (d *Drill) Text() string { return drill.Table(d.Rows).Text() }

// Json is the table as JSON, with what became of each control.
//
// +cache="168h"
func (d *Drill) Json() (string, error) { return render.Indented(d.Rows) }

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
) (*Drill, error) {
	c := s.Config
	if env == "" {
		env = c.EnvironmentNames()[0]
	}
	if _, err := c.Environment("drill", env); err != nil {
		return nil, err
	}
	g, err := s.ground(ctx, c, env)
	if err != nil {
		return nil, err
	}
	var boxes, images, plans, live drill.Table
	if err := sideBySide(
		func() error { boxes = g.attackBox(ctx); return nil },
		func() (err error) { images, err = g.attackImages(ctx); return },
		func() error { plans = g.attackPlans(ctx); return nil },
		func() (err error) { live, err = s.attackCluster(ctx, c, env); return },
	); err != nil {
		return nil, err
	}
	table := slices.Concat(boxes, images, plans, live)
	return &Drill{Environment: env, Summary: table.Summary(), Complete: len(table.Untried()) == 0, Rows: table}, table.Refusal()
}

// ground is the platform that a drill attacks: the caller's configuration, with
// nothing else of theirs.
type ground struct {
	*Slipway
	env      string
	settings *config.Config
	// registry, remote and state of the drill.
	remote *dagger.Drillground
	// database is the caller's.
	database *dagger.Directory
}

// groundRepository is where a drill's images are, in the drill's registry.
const (
	groundRegistry   = "localhost:5000"
	groundRepository = "drill"
)

func (s *Slipway) ground(ctx context.Context, c *config.Config, env string) (*ground, error) {
	database, err := s.database(ctx)
	if err != nil {
		return nil, err
	}
	own := *c
	own.Registry = config.Registry{Repository: groundRegistry + "/" + groundRepository}
	own.GitOps = config.GitOps{Remote: "http://" + groundRegistry + "/gitops.git", Branch: "main", Root: "gitops", Author: c.GitOps.Author}
	own.Infra = config.Infra{Code: drill.Code, State: "http://" + groundRegistry + "/state"}
	own.Signing = config.Signing{}
	files, err := drill.Files(env, own.Registry.Repository)
	if err != nil {
		return nil, err
	}
	source := dag.Directory()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		source = source.WithNewFile(name, files[name])
	}
	g := &ground{env: env, settings: &own, database: database, remote: dag.Drillground(dagger.DrillgroundOpts{Run: rand.Text()})}
	at := &Endpoint{Service: g.remote.Service()}
	if _, err := at.Service.Start(ctx); err != nil {
		return nil, err
	}
	if _, err := g.remote.Seed(ctx, source.Directory("gitops")); err != nil {
		return nil, err
	}
	key, password, err := throwawayKey(ctx)
	if err != nil {
		return nil, err
	}
	g.Slipway, err = (&Slipway{
		Source: source, Key: key, KeyPassword: password, Terraform: s.Terraform,
		Registry: at, GitOps: at, State: at, Cluster: &Endpoint{}, Prebuilt: s.Prebuilt, Runner: s.Runner, Invocation: s.Invocation,
	}).configured(own)
	return g, err
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

// with is the ground with other settings.
func (g *ground) with(change func(*config.Config)) (*Slipway, error) {
	c := *g.settings
	change(&c)
	return g.configured(c)
}

// served is the ground with another registry service in the place of its own.
func (g *ground) served(service *dagger.Service) *Slipway {
	next := *g.Slipway
	next.Registry = &Endpoint{Service: service}
	return &next
}

// image builds an app of the ground. A note makes it another image.
func (g *ground) image(ctx context.Context, name, note string) (*Image, error) {
	next := *g.Slipway
	if note != "" {
		at := "apps/" + name + "/" + config.AppFile
		text, err := g.Source.File(at).Contents(ctx)
		if err != nil {
			return nil, err
		}
		next.Source = g.Source.WithNewFile(at, strings.Replace(text, "description: ", "description: "+note+". ", 1))
	}
	return (&App{Name: name, Slipway: &next}).Build(ctx)
}

// push pushes an image past all gates, as somebody with the registry's password
// can.
func (g *ground) push(ctx context.Context, i *Image) (*SignedImage, error) {
	repository := g.settings.Image(drill.App)
	connect, err := g.Registry.connect(ctx, "drill", "//"+repository, registryAlias)
	if err != nil {
		return nil, err
	}
	text, err := dag.Build().Publish(ctx, i.Layout, i.Digest, repository, dagger.BuildPublishOpts{Service: g.Registry.Service, Connect: connect})
	if err := decodeText(text, err, nil); err != nil {
		return nil, err
	}
	return g.signed(drill.App, i.Digest), nil
}

// good is what the ground's app came to at each gate, and the first refusal, by
// the gate that made it.
type good struct {
	image     *Image
	scanned   *ScannedImage
	published *PublishedImage
	signed    *SignedImage
	release   *Release
	refusals  map[string]error
}

// deliver takes the ground's app, which has nothing wrong, through the gates.
func (g *ground) deliver(ctx context.Context) *good {
	d := &good{refusals: map[string]error{}}
	var failed error
	gate := func(name string, do func() error) {
		if failed == nil {
			failed = do()
		}
		d.refusals[name] = failed
	}
	gate("build", func() (err error) { d.image, err = g.image(ctx, drill.App, ""); return })
	gate("scan", func() (err error) { d.scanned, err = d.image.scan(ctx, g.database); return })
	gate("publish", func() (err error) { d.published, err = d.scanned.Publish(ctx); return })
	gate("sign", func() (err error) { d.signed, err = d.published.Sign(ctx, g.env); return })
	gate("verify", func() error { _, err := d.signed.verify(ctx, "verify", g.env); return err })
	gate("release", func() (err error) {
		d.release, err = d.signed.release(ctx, g.env, &Applied{}, origin{Kind: "release"})
		return
	})
	return d
}

// attackBox attacks from what an app brings along: its tests, its build and the
// commands of its Dockerfile. Its control is the app with nothing wrong.
func (g *ground) attackBox(ctx context.Context) drill.Table {
	run := func(files map[string]string, test bool) error {
		next := *g.Slipway
		for _, name := range slices.Sorted(maps.Keys(files)) {
			next.Source = next.Source.WithNewFile("apps/"+drill.App+"/"+name, files[name])
		}
		app := &App{Name: drill.App, Slipway: &next}
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
func (g *ground) attackImages(ctx context.Context) (drill.Table, error) {
	good := g.deliver(ctx)
	vulnerable, err := g.image(ctx, drill.VulnerableApp, "")
	if err != nil {
		return nil, err
	}
	var attempts []func() drill.Row
	try := func(a drill.Attack, control error, attempt func() error) {
		attempts = append(attempts, func() drill.Row { return a.Judge(control, attempt) })
	}
	refusedBy := func(stage, says string) drill.Expected {
		return drill.Expected{Stage: stage, Kind: step.KindPolicy, Says: says}
	}
	excepted := func(until time.Time) error {
		changed, err := g.with(func(c *config.Config) {
			c.Scan.Policy.Exceptions = append(slices.Clone(c.Scan.Policy.Exceptions), policy.Exception{
				ID: drill.Vulnerability, App: drill.VulnerableApp, Reason: "drill", Owner: "drill", Expires: until.Format(time.DateOnly),
			})
		})
		if err != nil {
			return err
		}
		_, err = (&Image{Digest: vulnerable.Digest, Tree: vulnerable.Tree, Layout: vulnerable.Layout, App: &App{Name: drill.VulnerableApp, Slipway: changed}}).scan(ctx, g.database)
		return err
	}

	try(drill.Attack{Gate: "scan", Name: "vulnerable image", Expected: refusedBy("scan", drill.Vulnerability)}, good.refusals["scan"],
		func() error { _, err := vulnerable.scan(ctx, g.database); return err })
	try(drill.Attack{Gate: "scan", Name: "secret in the source", Expected: refusedBy("scan", "secret: ")}, good.refusals["scan"],
		func() error {
			next := *g.Slipway
			next.Source = g.Source.WithNewFile("apps/"+drill.App+"/deploy.env", "GITHUB_TOKEN="+syntheticToken()+"\n")
			image, err := (&App{Name: drill.App, Slipway: &next}).Build(ctx)
			if err != nil {
				return err
			}
			_, err = image.scan(ctx, g.database)
			return err
		})
	try(drill.Attack{Gate: "scan", Name: "stale database", Expected: refusedBy("scan", "is stale")}, good.refusals["scan"],
		func() error {
			stale, err := g.with(func(c *config.Config) { c.Scan.Database.Repository = groundRegistry + "/stale-db" })
			if err != nil {
				return err
			}
			if _, err := stale.PublishDatabase(ctx, "2020-01-01T00:00:00Z"); err != nil {
				return err
			}
			database, err := stale.database(ctx)
			if err != nil {
				return err
			}
			_, err = good.image.scan(ctx, database)
			return err
		})
	today := time.Now().UTC()
	attempts = append(attempts, func() drill.Row {
		return drill.Attack{Gate: "scan", Name: "expired exception", Expected: refusedBy("scan", "expired on")}.Judge(
			excepted(today.AddDate(0, 0, 1)), func() error { return excepted(today.AddDate(0, 0, -1)) })
	})
	try(drill.Attack{Gate: "publish", Name: "other bytes under the scanned digest", Expected: refusedBy("publish", "not just")}, good.refusals["publish"],
		func() error {
			swapped := *good.image
			swapped.Layout = vulnerable.Layout
			_, err := (&ScannedImage{Digest: good.scanned.Digest, Decided: good.scanned.Decided, Image: &swapped, Out: good.scanned.Out}).Publish(ctx)
			return err
		})
	try(drill.Attack{Gate: "publish", Name: "another image under a scan that passed", Expected: refusedBy("scan", "the findings are about")}, good.refusals["publish"],
		func() error {
			_, err := (&ScannedImage{Digest: vulnerable.Digest, Decided: good.scanned.Decided, Image: vulnerable, Out: good.scanned.Out}).Publish(ctx)
			return err
		})

	if good.refusals["sign"] != nil {
		// Without a signed image there is nothing to attack further on.
		try(drill.Attack{Gate: "sign", Name: "none", Expected: refusedBy("sign", "")}, good.refusals["sign"], nil)
		return made(attempts), nil
	}
	verify := func(i *SignedImage) func() error {
		return func() error { _, err := i.verify(ctx, "verify", g.env); return err }
	}
	other, err := g.others(ctx, "Unsigned", "Signed by another key", "Signed by another identity", "Grafted", "Of another type", "Replayed")
	if err != nil {
		return nil, err
	}
	path := groundRepository + "/" + drill.App

	try(drill.Attack{Gate: "sign", Name: "image named by tag", Expected: drill.Expected{Stage: "sign", Kind: step.KindInput, Says: "names no digest"}}, good.refusals["sign"],
		func() error {
			_, err := (&PublishedImage{Reference: Reference(g.settings.Image(drill.App) + ":v1"), App: drill.App, Statements: good.published.Statements, Slipway: g.Slipway}).Sign(ctx, g.env)
			return err
		})
	try(drill.Attack{Gate: "verify", Name: "unsigned image", Expected: refusedBy("verify", "no signature")}, good.refusals["verify"], verify(other["Unsigned"]))
	try(drill.Attack{Gate: "verify", Name: "tag moved between scan and sign", Expected: refusedBy("verify", "no signature")}, good.refusals["verify"],
		func() error {
			if _, err := g.remote.Tag(ctx, path, good.published.Reference.Digest(), "v1"); err != nil {
				return err
			}
			if _, err := g.remote.Tag(ctx, path, other["Unsigned"].Reference.Digest(), "v1"); err != nil {
				return err
			}
			if _, err := good.published.Sign(ctx, g.env); err != nil {
				return err
			}
			digest, err := g.remote.Resolve(ctx, path, "v1")
			if err != nil {
				return err
			}
			return verify(g.signed(drill.App, digest))()
		})
	try(drill.Attack{Gate: "verify", Name: "signed by another key", Expected: refusedBy("verify", "has no valid signature by key")}, good.refusals["verify"],
		func() error {
			next := *g.Slipway
			var err error
			if next.Key, next.KeyPassword, err = throwawayKey(ctx); err != nil {
				return err
			}
			image := *other["Signed by another key"]
			if _, err := (&PublishedImage{Reference: image.Reference, App: drill.App, Statements: good.published.Statements, Slipway: &next}).Sign(ctx, g.env); err != nil {
				return err
			}
			return verify(&image)()
		})
	attempts = append(attempts, func() drill.Row {
		identities := g.identities()
		return drill.Attack{Gate: "verify", Name: "signed by another identity", Expected: refusedBy("verify", "has no valid signature by identity "+strconv.Quote(rightful))}.Judge(
			identities.control(ctx, good), func() error { return identities.attack(ctx, good, other["Signed by another identity"]) })
	})
	try(drill.Attack{Gate: "verify", Name: "attestations of another image", Expected: refusedBy("verify", "scan verdict of "+other["Grafted"].Reference.String()+" is missing")}, good.refusals["verify"],
		func() error {
			image := other["Grafted"]
			if _, err := (&PublishedImage{Reference: image.Reference, App: drill.App, Statements: dag.Directory(), Slipway: g.Slipway}).Sign(ctx, g.env); err != nil {
				return err
			}
			if _, err := g.remote.Graft(ctx, path, good.published.Reference.Digest(), image.Reference.Digest()); err != nil {
				return err
			}
			return verify(image)()
		})
	try(drill.Attack{Gate: "verify", Name: "scan under another predicate type", Expected: refusedBy("verify", "scan verdict of "+other["Of another type"].Reference.String()+" is missing")}, good.refusals["verify"],
		func() error {
			image := other["Of another type"]
			scan, err := good.scanned.attested(ctx, image.Reference, *good.scanned.Decided)
			if err != nil {
				return err
			}
			return g.signWith(ctx, image, good, evidence.File{PredicateType: "https://example.org/scan/v1", Predicate: scan}, verify(image))
		})
	try(drill.Attack{Gate: "verify", Name: "old release replayed", Expected: refusedBy("verify", "older than")}, good.refusals["verify"],
		func() error {
			image := other["Replayed"]
			v := *good.scanned.Decided
			v.DatabaseUpdatedAt = v.DatabaseUpdatedAt.AddDate(-1, 0, 0)
			scan, err := good.scanned.attested(ctx, image.Reference, v)
			if err != nil {
				return err
			}
			return g.signWith(ctx, image, good, evidence.File{PredicateType: policy.PredicateType, Predicate: scan}, verify(image))
		})
	try(drill.Attack{Gate: "verify", Name: "flipped bit in a manifest", Expected: refusedBy("verify", "the registry serves other bytes")}, good.refusals["verify"],
		func() error {
			image := *good.signed
			image.Slipway = g.served(g.remote.Flipped(path))
			return verify(&image)()
		})
	// A second release puts the first one into the past.
	attempts = append(attempts, func() drill.Row {
		second := good.refusals["release"]
		if second == nil {
			second = g.supersede(ctx)
		}
		return drill.Attack{
			Gate: "release", Name: "rollback of a release that runs no more",
			Expected: drill.Expected{Stage: "release", Kind: step.KindInput, Says: "rollback-of " + good.commit()},
		}.Judge(second, func() error {
			_, err := good.signed.release(ctx, g.env, &Applied{}, origin{Kind: "rollback", Of: good.commit()})
			return err
		})
	})
	return made(attempts), nil
}

// atOnce is how many attacks are made at the same time: each waits for containers
// more than it computes.
const atOnce = 4

// made makes attempts, and tells what became of them in their order.
func made(attempts []func() drill.Row) drill.Table {
	table := make(drill.Table, len(attempts))
	var group errgroup.Group
	group.SetLimit(atOnce)
	for n, attempt := range attempts {
		group.Go(func() error {
			table[n] = attempt()
			return nil
		})
	}
	_ = group.Wait() // a row tells what went wrong
	return table
}

// others are images like the good one, by their notes, pushed past all gates.
func (g *ground) others(ctx context.Context, notes ...string) (map[string]*SignedImage, error) {
	pushed := make([]*SignedImage, len(notes))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for n, note := range notes {
		group.Go(func() error {
			image, err := g.image(ctx, drill.App, note)
			if err != nil {
				return err
			}
			pushed[n], err = g.push(ctx, image)
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

// supersede releases another image with nothing wrong.
func (g *ground) supersede(ctx context.Context) error {
	image, err := g.image(ctx, drill.App, "Second")
	if err != nil {
		return err
	}
	scanned, err := image.scan(ctx, g.database)
	if err != nil {
		return err
	}
	published, err := scanned.Publish(ctx)
	if err != nil {
		return err
	}
	signed, err := published.Sign(ctx, g.env)
	if err != nil {
		return err
	}
	_, err = signed.release(ctx, g.env, &Applied{}, origin{Kind: "release"})
	return err
}

// commit is the release's, or empty.
func (d *good) commit() string {
	if d.release == nil {
		return ""
	}
	return d.release.Commit
}

// signWith signs an image and attests what was attested about the good one, but
// another statement about its scan, and then verifies it.
func (g *ground) signWith(ctx context.Context, image *SignedImage, good *good, scan evidence.File, verify func() error) error {
	text, err := scan.Encode()
	if err != nil {
		return err
	}
	_, err = (&PublishedImage{
		Reference: image.Reference, App: drill.App, Statements: good.published.Statements.WithNewFile("scan.statement.json", text), Slipway: g.Slipway,
	}).Sign(ctx, g.env)
	if err != nil {
		return err
	}
	return verify()
}

// syntheticToken has the form of a GitHub token, and opens nothing. It is made
// here so that no source holds one.
func syntheticToken() string { return "ghp_" + strings.Repeat("aB3dE5fG7h", 4)[:36] }

// attackPlans attacks what stands between a plan and its apply.
func (g *ground) attackPlans(ctx context.Context) drill.Table {
	tampered := drill.Attack{Gate: "apply", Name: "tampered plan", Expected: drill.Expected{Stage: "apply", Kind: step.KindPolicy, Says: "is not the plan that was bound"}}
	destroying := drill.Attack{Gate: "check", Name: "plan with a destroy", Expected: drill.Expected{Stage: "check", Kind: step.KindPolicy, Says: "destroys, replaces or forgets"}}
	infra := &Infra{Environment: g.env, Slipway: g.Slipway}
	next := *g.Slipway
	next.Source = g.Source.WithoutFile("infra/" + drill.Code + "/spare.tf")
	smaller := &Infra{Environment: g.env, Slipway: &next}

	var table drill.Table
	var checked *CheckedPlan
	control := func() (err error) {
		plan, err := infra.Plan(ctx)
		if err == nil {
			checked, err = plan.Check(ctx, false)
		}
		return err
	}()
	table = append(table, tampered.Judge(control, func() error {
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
	return append(table, destroying.Judge(control, func() error { _, err := plan.Check(ctx, false); return err }))
}

// planFile is the name of the plan in a plan's folder.
const planFile = "plan.tfplan"

// attackCluster asks the caller's cluster about images that nobody has signed, in
// the place of one that is healthy there. It stores nothing.
func (s *Slipway) attackCluster(ctx context.Context, c *config.Config, env string) (drill.Table, error) {
	admission := drill.Attack{Gate: "admission", Name: "pod of an image that nobody signed", Expected: drill.Expected{Stage: "admit", Kind: step.KindPolicy, Says: "the cluster refuses its pods"}}
	waiting := drill.Attack{Gate: "wait", Name: "release that does not come to run", Expected: drill.Expected{Stage: "wait", Kind: step.KindInfrastructure, Says: "is not healthy in time"}}
	skip := func(why string) drill.Table { return drill.Table{admission.Skip(why), waiting.Skip(why)} }
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
	charted, err := s.charted(ctx, release.App)
	if err != nil {
		return nil, err
	}
	connect, err := s.GitOps.connect(ctx, "drill", c.GitOps.Remote, gitAlias)
	if err != nil {
		return nil, err
	}
	api, err := s.cluster(ctx, "drill")
	if err != nil {
		return nil, err
	}
	nobody := step.Refer(c.Image(release.App), "sha256:"+strings.Repeat("0f", 32))
	admit := func(reference Reference) error {
		return (&SignedImage{Reference: reference, App: release.App, Slipway: s}).admit(ctx, c, env, connect, api, charted)
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
	table = append(table, admission.Judge(admit(release.Reference), func() error { return admit(nobody) }))
	return append(table, waiting.Judge(wait(release.Reference, "1m"), func() error { return wait(nobody, "15s") })), nil
}

// healthy is the release of an app that is healthy in an environment, or nil.
func (s *Slipway) healthy(ctx context.Context, c *config.Config, env string) (*Release, error) {
	apps, err := s.Apps(ctx)
	if err != nil {
		return nil, err
	}
	for _, app := range apps {
		releases, err := s.history(ctx, "drill", c, app, env)
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
		standing, err := s.standing(ctx, "drill", c, app, env)
		if err != nil {
			return nil, err
		}
		reference := step.Refer(c.Image(app), releases[0].Digest)
		if now := standing[env]; runs(now, reference) && now.Health == "Healthy" && now.Sync == "Synced" {
			return &Release{Commit: releases[0].Commit, Environment: env, Reference: reference, App: app, Slipway: s}, nil
		}
	}
	return nil, nil
}
