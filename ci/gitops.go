package main

import (
	"context"

	"slipway/ci/internal/dagger"

	"slipway/step"
	"slipway/step/result/argocd"
)

const gitAlias = "git"

// overlay is an app's overlay in the GitOps repository.
type overlay struct {
	*dagger.GitopsOverlay
	at reached
}

// gitopsRepository is the GitOps repository, as whom it is read and pushed, and who its
// commits are by.
func (s *Slipway) gitopsRepository() *dagger.GitopsRepository {
	c := s.Config.GitOps
	return s.gitops().Repository(c.Remote, dagger.GitopsRepositoryOpts{
		Branch: c.Branch, Root: c.Root, Username: s.GitOps.Username, Token: s.GitOps.Password,
	}).WithAuthor(c.Author.Name, c.Author.Email)
}

// overlay is an app's overlay of an environment; helm says that it is to be rendered with
// Helm.
func (s *Slipway) overlay(ctx context.Context, stage, app, env string, helm bool) (*overlay, error) {
	connect, err := s.GitOps.connect(ctx, stage, s.Config.GitOps.Remote, gitAlias)
	if err != nil {
		return nil, err
	}
	o := s.gitopsRepository().Overlay(app, env, dagger.GitopsRepositoryOverlayOpts{Helm: helm})
	return &overlay{o, reached{s.GitOps.Service, connect}}, nil
}

// rendering is an overlay that can be rendered.
func (s *Slipway) rendering(ctx context.Context, stage, app, env string) (*overlay, error) {
	charted, err := s.charted(ctx, app)
	if err != nil {
		return nil, err
	}
	return s.overlay(ctx, stage, app, env, charted)
}

// preview is the folder that says what a release of the image would change.
func (o *overlay) preview(ctx context.Context, reference Reference) (*dagger.Directory, error) {
	// Without Sync it would be rendered again wherever its result is used.
	return o.Preview(reference.String(), dagger.GitopsOverlayPreviewOpts(o.at)).Sync(ctx)
}

// release makes the commit of a release, and returns the step's result.
func (o *overlay) release(ctx context.Context, reference Reference, revision, evidence string, why origin) (string, error) {
	opts := dagger.GitopsOverlayReleaseOpts{Evidence: evidence, Service: o.at.Service, Connect: o.at.Connect}
	switch why.Kind {
	case "promotion":
		return o.Promote(ctx, reference.String(), why.From, revision, dagger.GitopsOverlayPromoteOpts(opts))
	case "rollback":
		return o.Rollback(ctx, reference.String(), why.Of, revision, dagger.GitopsOverlayRollbackOpts(opts))
	}
	return o.Release(ctx, reference.String(), revision, opts)
}

// cluster is the cluster that Argo CD runs in.
type cluster struct {
	*dagger.GitopsCluster
	at reached
}

// argocd is the cluster that Argo CD runs in, as the identity where its kubeconfig
// takes the credentials from kubelogin.
func (s *Slipway) argocd(ctx context.Context, stage string) (*cluster, error) {
	connect, err := s.cluster(ctx, stage)
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

// admit refuses what the cluster would refuse: the overlay is rendered with the
// image, and the cluster's own policies judge its pods by a dry run.
func (c *cluster) admit(ctx context.Context, o *overlay, reference Reference) error {
	rendered, err := o.preview(ctx, reference)
	if err != nil {
		return err
	}
	if err := decode(ctx, rendered, nil); err != nil {
		return err
	}
	text, err := c.Admit(ctx, rendered.File("manifests.yaml"), dagger.GitopsClusterAdmitOpts(c.at))
	return decodeText(text, err, nil)
}

// refresh asks Argo CD to look at a commit now, and returns why it could not be asked.
// What went wrong is told and does not fail the release, which is in Git by now.
func (c *cluster) refresh(ctx context.Context, application string) string {
	var asked argocd.Refreshed
	text, err := c.Refresh(ctx, application, dagger.GitopsClusterRefreshOpts(c.at))
	err = decodeText(text, err, &asked)
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
