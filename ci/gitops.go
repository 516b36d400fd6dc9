package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/evidence"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/argocd"
	"slipway/step/result/build"
	"slipway/step/result/gitops"
	"slipway/step/result/scan"
)

const gitAlias = "git"

// overlay is an app's overlay in the GitOps repository.
type overlay struct {
	*dagger.GitopsOverlay
	at reached
}

// gitopsRepository is the GitOps repository of an environment, with the account that
// reads and pushes it and the author of its commits.
func (s *Slipway) gitopsRepository(env string) *dagger.GitopsRepository {
	c, at := s.releases(env)
	return s.gitops().Repository(c.Remote, dagger.GitopsRepositoryOpts{
		Branch: c.Branch, Root: c.Root, Username: at.Username, Token: at.Password,
	}).WithAuthor(c.Author.Name, c.Author.Email)
}

// overlay is an app's overlay of an environment.
func (s *Slipway) overlay(ctx context.Context, stage, app, env string, opts dagger.GitopsRepositoryOverlayOpts) (*overlay, error) {
	c, at := s.releases(env)
	connect, err := at.connect(ctx, stage, c.Remote, gitAlias)
	if err != nil {
		return nil, err
	}
	return &overlay{s.gitopsRepository(env).Overlay(app, env, opts), reached{at.Service, connect}}, nil
}

// rendered is what an overlay renders to, as it is at the remote, with an image put into it.
type rendered struct {
	*overlay
	gitops.Preview
	Reference Reference
	// Manifests are the very bytes that are judged, as a plain file: what is found in
	// them is known by their content from one call to the next.
	Manifests *dagger.File
	Out       *dagger.Directory
}

// render renders an app's overlay with an image, and refuses what a release of the image
// would be refused for: among that, to go back to an older one, unless that is meant.
func (s *Slipway) render(ctx context.Context, stage, app, env string, reference Reference, older bool) (*rendered, error) {
	usesHelm, err := s.usesHelm(ctx, app)
	if err != nil {
		return nil, err
	}
	o, err := s.overlay(ctx, stage, app, env, dagger.GitopsRepositoryOverlayOpts{Helm: usesHelm, Older: older})
	if err != nil {
		return nil, err
	}
	// Without Sync it would be rendered again wherever its result is used.
	out, err := o.Preview(reference.String(), dagger.GitopsOverlayPreviewOpts(o.at)).Sync(ctx)
	if err != nil {
		return nil, err
	}
	preview, err := resultIn[gitops.Preview](ctx, out)
	if err != nil {
		return nil, err
	}
	if preview.After != reference.Digest() {
		return nil, fmt.Errorf("asked for a rendering with %s, was told of %q", reference.Digest(), preview.After)
	}
	text, err := out.File("manifests.yaml").Contents(ctx)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256([]byte(text)); preview.SHA256 != "sha256:"+hex.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("the manifests of %s are not those of %s", preview.Path, preview.SHA256)
	}
	return &rendered{overlay: o, Preview: preview, Reference: reference, Out: out, Manifests: dag.File("manifests.yaml", text)}, nil
}

// judge scans what is rendered for an app, and refuses what the scan's policy does not let
// pass, and any image that nothing vouches for. What was found is returned with the
// refusal, too.
func (s *Slipway) judge(ctx context.Context, app, env string, r *rendered) (found *scan.Findings, err error) {
	err = sideBySide(
		func() (err error) { found, err = s.scanned(ctx, app, env, r); return },
		func() error { return s.vouched(ctx, app, env, r) },
	)
	return found, err
}

// vouched refuses what is rendered for an app unless each image in it is the released
// one, is allowed, or is another app's and verifies for the environment as well.
func (s *Slipway) vouched(ctx context.Context, app, env string, r *rendered) error {
	others, refused := rules.Images(r.Images, r.Reference, s.Config.Registry.Repository, s.Config.GitOps.Images)
	said := map[string]string{}
	for _, u := range others {
		if _, known := said[u.Image]; !known {
			err := s.runsBeside(ctx, env, Reference(u.Image).Untagged())
			if f, ok := step.AsFault(err); ok && f.Kind != step.KindInfrastructure {
				said[u.Image], err = f.Input+" "+f.Reason, nil
			}
			if err != nil {
				return err
			}
		}
		if reason := said[u.Image]; reason != "" {
			refused = append(refused, rules.Stranger(u, "does not verify: "+reason))
		}
	}
	if len(refused) == 0 {
		return nil
	}
	return step.Policy("release", app+" in "+env, fmt.Sprintf("would run images that nothing vouches for: %d", len(refused)),
		"release each as an app of its own, and name it by its digest; or allow that digest in "+config.File+": gitops.images", refused...)
}

// runsBeside verifies the image of another app, which a release would run beside its own.
func (s *Slipway) runsBeside(ctx context.Context, env string, image Reference) error {
	app := strings.TrimPrefix(image.Repository(), s.Config.Registry.Repository+"/")
	if _, err := s.Config.Goes("release", app, env); err != nil {
		return err
	}
	_, err := s.signed(app, image.Digest()).verify(ctx, "release", env, "")
	return err
}

// scanned is what is found in what is rendered for an app, with the refusal of the
// scan's policy.
func (s *Slipway) scanned(ctx context.Context, app, env string, r *rendered) (*scan.Findings, error) {
	out := s.scan().Rendered(r.Manifests, path.Dir(r.Path))
	if err := passedIn(ctx, out); err != nil {
		return nil, err
	}
	found, err := findings(ctx, out)
	if err != nil {
		return nil, err
	}
	_, err = s.Config.Scan.Policy.EvaluateManifests("release", app, app+" in "+env, *found, time.Now())
	return found, err
}

// forward refuses to release what was built from an ancestor of the commit that the
// release that runs was built from, as far as the checkout has their history.
func (s *Slipway) forward(ctx context.Context, app string, r *rendered, revision string) error {
	from := s.checkout(app)
	if r.Running == nil || from == nil || from.Repository == nil { // a drill's source was never in Git
		return nil
	}
	older, newer := strings.TrimSuffix(revision, evidence.Dirty), strings.TrimSuffix(r.Running.SourceRevision, evidence.Dirty)
	if older == newer || newer == "" {
		return nil
	}
	order, err := result[build.Order](dag.Build().Order(ctx, from.Tree, from.Repository, older, newer))
	if err != nil || !order.Ancestor {
		return err
	}
	return step.Policy("release", r.Path, fmt.Sprintf("would go back: %s is an ancestor of %s, which %s was built from", older, newer, r.Running.Digest),
		"update the checkout, take the newer release back with rollback, or say --older to put the older image over it",
		"runs: "+r.Running.Digest+", since commit "+r.Running.Commit)
}

// release makes the commit of a release. Where the decision stands, so does the release
// that the overlay has the image from.
func (r *rendered) release(ctx context.Context, reference Reference, revision, evidence string, reason releaseReason) (gitops.Released, error) {
	if reason.Stored != nil && r.Standing != nil {
		return gitops.Released{Commit: r.Standing.Commit, Attempts: 1, Path: r.Path, Evidence: r.Standing.Evidence}, nil
	}
	o := r.WithDecision(evidence, r.Before, r.SHA256)
	opts := dagger.GitopsOverlayReleaseOpts(r.at)
	switch reason.Kind {
	case "promotion":
		return result[gitops.Released](o.Promote(ctx, reference.String(), reason.From, revision, dagger.GitopsOverlayPromoteOpts(opts)))
	case "rollback":
		return result[gitops.Released](o.Rollback(ctx, reference.String(), reason.Of, revision, dagger.GitopsOverlayRollbackOpts(opts)))
	}
	return result[gitops.Released](o.Release(ctx, reference.String(), revision, opts))
}

// cluster is the cluster that Argo CD runs in.
type cluster struct {
	*dagger.GitopsCluster
	at reached
}

// argocd is the cluster that an environment's Argo CD runs in, as the identity where its
// kubeconfig takes the credentials from kubelogin.
func (s *Slipway) argocd(ctx context.Context, stage, env string) (*cluster, error) {
	connect, err := s.cluster(ctx, stage, env)
	if err != nil {
		return nil, err
	}
	c := s.gitops().Cluster(s.Kubeconfig, dagger.GitopsClusterOpts{Namespace: s.Config.Cluster.Namespace})
	if s.Azure != nil {
		identity, err := s.Azure.as(ctx, stage, azureAlias)
		if err != nil {
			return nil, err
		}
		c = c.WithAzure(identity, s.Azure.Token, dagger.GitopsClusterWithAzureOpts{Proxy: s.Azure.Proxy})
	}
	return &cluster{c, reached{s.Cluster.Service, connect}}, nil
}

// admit refuses what the cluster would refuse: its own policies judge the pods of what is
// rendered by a dry run.
func (c *cluster) admit(ctx context.Context, r *rendered) error {
	return passed(c.Admit(ctx, r.Manifests, dagger.GitopsClusterAdmitOpts(c.at)))
}

// refresh asks Argo CD to look at a commit now, and returns why it could not be asked.
// What went wrong is told and does not fail the release, which is in Git by now.
func (c *cluster) refresh(ctx context.Context, application string) string {
	asked, err := result[argocd.Refreshed](c.Refresh(ctx, application, dagger.GitopsClusterRefreshOpts(c.at)))
	if f, ok := step.AsFault(err); ok {
		return f.Reason
	}
	switch {
	case err != nil:
		return err.Error()
	case asked.Asked:
		return ""
	}
	return or(asked.Message, "no reason was given")
}

// cluster checks that a cluster is given, and that it is the environment's, and returns
// how its API is reached.
func (s *Slipway) cluster(ctx context.Context, stage, env string) (connect string, err error) {
	if s.Kubeconfig == nil {
		return "", step.Input(stage, "kubeconfig", "is not given", "give --kubeconfig file:PATH and, where containers do not reach the cluster, --kubernetes tcp://HOST:PORT")
	}
	if err := s.reaches(ctx, stage, env); err != nil {
		return "", err
	}
	server := s.Config.For(env).Cluster.Server
	if s.Cluster.Service == nil {
		return "", nil
	}
	if server == "" {
		return "", step.Input(stage, "cluster.server", "is empty, so nothing says which address the service stands in for", "name it in slipway.yaml as the kubeconfig does")
	}
	return s.Cluster.connect(ctx, stage, server, kubernetesAlias)
}

// reached are the environments that the cluster of the kubeconfig is for.
func (s *Slipway) reached(ctx context.Context, stage string) ([]string, error) {
	if !s.Config.Apart() {
		return s.Config.EnvironmentNames(), nil
	}
	content, err := s.Kubeconfig.Plaintext(ctx)
	if err != nil {
		return nil, step.Input(stage, "kubeconfig", "can't be read: "+err.Error(), "give --kubeconfig file:PATH")
	}
	server, err := config.Server(stage, []byte(content))
	return s.Config.ReachedAt(server), err
}

// reaches refuses the kubeconfig of another cluster than an environment's.
func (s *Slipway) reaches(ctx context.Context, stage, env string) error {
	if s.Kubeconfig == nil {
		return nil
	}
	reached, err := s.reached(ctx, stage)
	if err != nil || slices.Contains(reached, env) {
		return err
	}
	return step.Input(stage, "kubeconfig", fmt.Sprintf("is for another cluster than that of %s, %q", env, s.Config.For(env).Cluster.Server),
		"give the kubeconfig of "+env+"'s cluster; or correct environments."+env+".server in "+config.File)
}

// application is the name of an app's Argo CD Application in an environment.
func application(app, env string) string { return app + "-" + env }
