// Slipway delivers an app: build, scan, publish, sign, provision, release.
//
// Each stage is a function of the type that the stage before it returns, so the
// order can be read from the types and can't be walked around: only a scanned
// image can be published, only a published one signed, only a signed one
// released. Each stage checks again what it relies on.
//
// Examples:
//
//	dagger call deliver --app hello --env dev
//	dagger call app --name hello build scan publish sign release --env dev receipt
//	dagger call infra --env dev plan check apply
package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/evidence"
	"slipway/ci/receipt"
	"slipway/step"
	"slipway/step/result/build"
)

// Slipway is one platform: its source, its configuration, and the key and
// services that this call may use.
type Slipway struct {
	Source           *dagger.Directory // +private
	Config           *Config           // +private
	Revocations      []Revocation      // +private
	Repository       *dagger.Directory // +private
	Checkouts        []*Checkout       // +private
	Key              *dagger.Secret    // +private
	KeyPassword      *dagger.Secret    // +private
	ManagedKey       *ManagedKey       // +private
	Identity         *SigningIdentity  // +private
	PublicKey        *dagger.File      // +private
	DatabaseKey      *dagger.File      // +private
	Terraform        *dagger.File      // +private
	Providers        *dagger.Directory // +private
	Registry         *Endpoint         // +private
	GitOps           *Endpoint         // +private
	Platform         *Endpoint         // +private
	State            *Endpoint         // +private
	Kubeconfig       *dagger.Secret    // +private
	Cluster          *Endpoint         // +private
	Azure            *Azure            // +private
	Variables        *dagger.Secret    // +private
	BuildSecretNames []string          // +private
	BuildSecrets     []*dagger.Secret  // +private
	Prebuilt         *dagger.Directory // +private
	Modules          *ModuleSource     // +private
	Packages         *PackageSource    // +private
	Runner           string            // +private
	Invocation       string            // +private
}

// New reads and checks slipway.yaml and, where there are any, the revocations.
//
// +cache="168h"
func New(
	ctx context.Context,
	// The platform's repository.
	// +defaultPath="/"
	// +ignore=["*", "!slipway.yaml", "!apps", "!infra", "!gitops", "!.git", ".git/*", "infra/**/.terraform", "infra/**/*.tfstate*"]
	source *dagger.Directory,
	// The checkout that the source belongs to: its .git folder is read, but never its
	// settings. What is delivered is compared with the commit at its head. The commit's
	// id goes into provenance, release and receipt, with -dirty appended when anything
	// that was taken differs from the commit. For a linked worktree, the repository
	// that it was made from.
	// +defaultPath="/"
	// +ignore=["*", "!.git", ".git/*", "!.git/HEAD", "!.git/packed-refs", "!.git/refs", ".git/refs/*", "!.git/refs/heads", "!.git/objects", "!.git/reftable", "!.git/worktrees", ".git/worktrees/*/*", "!.git/worktrees/*/HEAD"]
	repository *dagger.Directory,
	// The signing key, in cosign's encrypted format. Example: file:cosign.key
	// +optional
	key *dagger.Secret,
	// The signing key's password. Example: env:COSIGN_PASSWORD
	// +optional
	keyPassword *dagger.Secret,
	// The executable of Terraform or OpenTofu, for linux/amd64; by default an OpenTofu
	// that the pipeline compiles. Example: /usr/local/bin/terraform
	// +optional
	terraform *dagger.File,
	// A mirror of the Terraform providers that the code's lock file names, as terraform
	// providers mirror makes it. With a mirror, no provider comes from its registry.
	// Example: ./mirror
	// +optional
	providers *dagger.Directory,
	// A service that stands in for every localhost address of the
	// configuration: the embedded registry, Git remote and Terraform state.
	// Example: tcp://localhost:5000
	// +optional
	sandbox *dagger.Service,
	// The sandbox's accounts: a JSON object with a username and a password for each of
	// images, database and toolbox, and gitops/ENV and state/ENV for each environment.
	// They are used where the sandbox stands in, and nowhere else. What a call has no
	// use for can be left out: a runner for dev gets nothing of production's.
	// Example: file:.slipway/sandbox/data/accounts.json
	// +optional
	accounts *dagger.Secret,
	// The kubeconfig of the cluster that Argo CD runs in, with its credentials in it.
	// One from AKS, which names kubelogin instead, needs with-azure, which says who
	// reaches the cluster. Example: file:kubeconfig
	// +optional
	kubeconfig *dagger.Secret,
	// A service that stands in for the cluster's Kubernetes API when a container
	// does not reach it directly. Example: tcp://localhost:6443
	// +optional
	kubernetes *dagger.Service,
	// A published toolbox, whose programs are verified and pulled instead of compiled:
	// what toolbox publish returned. For a registry that wants a password, use
	// with-toolbox instead. Example: ghcr.io/acme/toolbox@sha256:…
	// +optional
	toolbox string,
	// The PEM public key that must have signed the toolbox; by default the
	// platform's. Example: ./toolbox.pub
	// +optional
	toolboxKey *dagger.File,
	// The PEM public key that must have signed the vulnerability database where
	// slipway.yaml does not say who; by default the platform's. Example: ./database.pub
	// +optional
	databaseKey *dagger.File,
) (*Slipway, error) {
	text, err := source.File(config.File).Contents(ctx)
	if err != nil {
		return nil, step.Input("config", config.File, "can't be read: "+err.Error(), "add it at the repository's root")
	}
	c, err := config.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	if text, err = revocations(ctx, source); err != nil {
		return nil, err
	}
	revoked, err := config.Revocations([]byte(text), c.EnvironmentNames())
	if err != nil {
		return nil, err
	}
	if kubeconfig != nil {
		c.ProvisionInCluster()
	}
	s := &Slipway{
		Source: source, Revocations: revoked, Repository: repository, Key: key, KeyPassword: keyPassword, DatabaseKey: databaseKey, Terraform: terraform, Providers: providers,
		Registry: &Endpoint{Username: c.Registry.Username, Service: local("//"+c.Registry.Repository, sandbox)},
		Platform: &Endpoint{Service: local(c.Platform.Remote, sandbox)},
		// Where these are is each environment's to say.
		GitOps: &Endpoint{Sandbox: sandbox}, State: &Endpoint{Sandbox: sandbox},
		Kubeconfig: kubeconfig, Cluster: &Endpoint{Service: kubernetes},
	}
	if err := s.signIn(ctx, accounts); err != nil {
		return nil, err
	}
	s, err = s.configured(*c)
	if err != nil || toolbox == "" {
		return s, err
	}
	return s.WithToolbox(ctx, toolbox, toolboxKey, "", nil, local("//"+toolbox, sandbox))
}

// configured returns s with other settings, after checking them.
func (s *Slipway) configured(c config.Config) (*Slipway, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	next := *s
	next.Config = &c
	return &next, nil
}

// Deliver is the whole journey in one call: build, scan, publish, sign, plan,
// check, apply, release. Nothing is pushed before the scan has passed, and
// nothing is applied or released before the image is signed and the plan
// checked. With a kubeconfig it then waits until Argo CD has made the release
// healthy. Where all of that has been done and a signed decision still answers for
// the image, nothing is published, signed, decided or released again.
//
// Example: dagger call deliver --app hello --env dev json
//
// +cache="never"
func (s *Slipway) Deliver(
	ctx context.Context,
	// The app.
	app string,
	// The environment to deliver to.
	env string,
	// Let the infrastructure plan destroy and replace resources.
	// +optional
	allowDestroy bool,
	// Let it bring back what ran before: a digest that was released there earlier, or one
	// that was built from an ancestor of the commit that runs.
	// +optional
	older bool,
) (*Receipt, error) {
	if err := s.checkEnvironments("deliver", app, env); err != nil {
		return nil, err
	}
	if err := s.mayRelease(ctx, "deliver", env); err != nil {
		return nil, err
	}
	infra, err := s.Infra(env)
	if err != nil {
		return nil, err
	}
	return s.deliver(ctx, app, env, older, provisioning{
		check: func(ctx context.Context) (*CheckedPlan, error) { return infra.checked(ctx, allowDestroy) },
		apply: func(ctx context.Context, plan *CheckedPlan) (*Applied, error) { return plan.applyChanges(ctx) },
	})
}

// provisioning is the infrastructure that a delivery goes to.
type provisioning struct {
	check func(context.Context) (*CheckedPlan, error)
	apply func(context.Context, *CheckedPlan) (*Applied, error)
}

func (s *Slipway) deliver(ctx context.Context, app, env string, older bool, infra provisioning) (*Receipt, error) {
	var (
		ready   *prepared
		checked *CheckedPlan
	)
	gates, gatesCtx := errgroup.WithContext(ctx)
	gates.Go(func() (err error) { ready, err = s.prepare(gatesCtx, app, env, older); return })
	gates.Go(func() (err error) { checked, err = infra.check(gatesCtx); return })
	if err := gates.Wait(); err != nil {
		return nil, err
	}
	if err := ready.scanned.signed().unrevoked("publish", env); err != nil {
		return nil, err
	}
	signed, stored, err := ready.signed(ctx, env, checked)
	if err != nil {
		return nil, err
	}
	if stored == nil && s.Config.Verification.AsksFirst(env) {
		// Infrastructure is as much of the release as its image: nothing is applied
		// that nobody has approved, or while a freeze holds.
		if _, err := signed.verify(ctx, "release", env, checked.plan()); err != nil {
			return nil, err
		}
	}
	applied, err := infra.apply(ctx, checked)
	if err != nil {
		return nil, err
	}
	release, err := signed.release(ctx, env, applied, releaseReason{Kind: "release", Stored: stored, Rendered: ready.rendered})
	if err != nil {
		return nil, err
	}
	if s.Kubeconfig == nil {
		return release.Receipt()
	}
	healthy, err := release.Wait(ctx, defaultDeadline)
	if err != nil {
		return nil, err
	}
	return healthy.Receipt()
}

// prepared is an image that every gate before the registry has let pass.
type prepared struct {
	scanned *ScannedImage
	tested  build.Tests
	// files are what is to be attested of it.
	files map[string]evidence.File
	// stored is the signed decision that answers for the image already; nil without one.
	stored *decision
	// rendered is the overlay with the image in it.
	rendered *rendered
}

// prepare fetches the vulnerability database while the image is built, and runs the
// app's tests beside both. An image that can't be built is refused for that, whatever
// the database says, and one that the scan refuses whatever its tests say.
func (s *Slipway) prepare(ctx context.Context, app, env string, older bool) (*prepared, error) {
	a, err := s.App(ctx, app)
	if err != nil {
		return nil, err
	}
	p := &prepared{}
	testing, stop := context.WithCancel(ctx)
	defer stop()
	began := time.Now()
	var tests []Stage
	if err := sideBySide(
		func() error {
			err := p.scan(ctx, a, env, older)
			if err != nil {
				stop()
			}
			return err
		},
		func() (err error) {
			p.tested, _, err = a.tests(testing)
			tests = after(nil, "test", began)
			return err
		},
	); err != nil {
		return nil, err
	}
	p.scanned.Stages = slices.Concat(p.scanned.Stages, tests)
	p.files, err = p.scanned.statements(ctx, p.tested)
	return p, err
}

// scan builds and scans the image, renders the overlay with it and scans that, and looks
// for the decision that stands.
func (p *prepared) scan(ctx context.Context, a *App, env string, older bool) error {
	s := a.Slipway
	fetched := sync.OnceValues(func() (*dagger.Directory, error) { return s.database(ctx) })
	go fetched()
	image, err := a.Build(ctx)
	if err != nil {
		return err
	}
	return sideBySide(
		func() error {
			database, err := fetched()
			if err != nil {
				return err
			}
			p.scanned, err = image.scan(ctx, database)
			return err
		},
		func() (err error) {
			if p.rendered, err = s.render(ctx, "release", a.Name, env, step.Refer(s.Config.Image(a.Name), image.Digest), older); err != nil {
				return err
			}
			return sideBySide(
				func() error { return s.forward(ctx, a.Name, p.rendered, image.Revision) },
				func() error { _, err := s.judge(ctx, a.Name, env, p.rendered); return err },
			)
		},
		func() error { p.stored = image.storedDecision(ctx, env); return nil },
	)
}

// signed is the image in the registry, with its statements. Where its signed decision
// stands, nothing would be attested that is not, and nothing is to be applied, neither
// publishing nor signing would change anything: that decision is returned, too.
func (p *prepared) signed(ctx context.Context, env string, checked *CheckedPlan) (*SignedImage, *decision, error) {
	if p.stored != nil && !checked.Plan.Changes && evidence.Attested(p.stored.In.Statements, p.files) {
		return p.scanned.signed(), p.stored, nil
	}
	published, err := p.scanned.publish(ctx, p.files)
	if err != nil {
		return nil, nil, err
	}
	signed, err := published.Sign(ctx, env)
	return signed, nil, err
}

// checked is a plan that may be applied. Its code is judged beside it; of a plan that
// changes nothing, which is never applied, nothing else is to be checked.
func (i *Infrastructure) checked(ctx context.Context, allowDestroy bool) (*CheckedPlan, error) {
	root, err := i.root()
	if err != nil {
		return nil, err
	}
	var plan *Plan
	if err := sideBySide(
		func() (err error) { plan, err = i.Plan(ctx); return },
		func() error { _, err := i.Slipway.judgeCode(ctx, i.Slipway.Config, root); return err },
	); err != nil {
		return nil, err
	}
	if plan.Changes {
		return plan.Check(ctx, allowDestroy)
	}
	return &CheckedPlan{Sha256: plan.Sha256, Summary: plan.Summary, Plan: plan, Stages: plan.Stages}, nil
}

// after is a stage that ends now, behind those that have run before it.
func after(before []Stage, name string, began time.Time) []Stage {
	return append(slices.Clip(before), receipt.Took(name, began, time.Now()))
}

// sideBySide does all works at once and returns the first error in their order:
// what is refused must not depend on which answer comes first.
func sideBySide(works ...func() error) error {
	refusals := make([]error, len(works))
	var done sync.WaitGroup
	for n, work := range works {
		done.Go(func() { refusals[n] = work() })
	}
	done.Wait()
	for _, err := range refusals {
		if err != nil {
			return err
		}
	}
	return nil
}

func or(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}
