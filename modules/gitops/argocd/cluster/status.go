package cluster

import (
	"context"
	"fmt"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway/step"
	"slipway/step/result/argocd"
)

// tries bounds the tries of a read.
const tries = 3

// Show reads the Applications names.
func (c *Cluster) Show(ctx context.Context, clock Clock, namespace string, names []string) (*argocd.Statuses, error) {
	if err := step.Name(StageStatus, "namespace", namespace); err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, step.Input(StageStatus, "application", "is missing", "name at least one Application")
	}
	for _, name := range names {
		if err := step.Name(StageStatus, "application", name); err != nil {
			return nil, err
		}
	}
	all := &argocd.Statuses{Applications: []argocd.Status{}}
	for _, name := range names {
		app, err := c.get(ctx, clock, namespace, name)
		if err != nil {
			return nil, err
		}
		all.Applications = append(all.Applications, c.status(name, app))
	}
	return all, nil
}

// get reads an Application; there is none when both results are nil.
func (c *Cluster) get(ctx context.Context, clock Clock, namespace, name string) (*v1alpha1.Application, error) {
	for try := 1; ; try++ {
		short, cancel := context.WithTimeout(ctx, patience)
		app, err := c.apps.ArgoprojV1alpha1().Applications(namespace).Get(short, name, metav1.GetOptions{})
		cancel()
		input := fmt.Sprintf("Application %s/%s of %s", namespace, name, c.Server)
		switch {
		case err == nil:
			return app, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("read %s: %w", input, context.Cause(ctx))
		case apierrors.IsNotFound(err):
			return nil, nil
		case apierrors.IsUnauthorized(err) || apierrors.IsForbidden(err):
			return nil, step.Infrastructure(StageStatus, input, "may not be read: "+c.because(err),
				"give a kubeconfig whose user may get Applications").Because(err)
		case try == tries:
			return nil, step.Infrastructure(StageStatus, input, "can't be read: "+c.because(err),
				"check that the server runs and is reached, through --connect where its name is not, and try again").Because(err)
		}
		if !pause(ctx, clock, backoff(try)) {
			return nil, fmt.Errorf("read %s: %w", input, context.Cause(ctx))
		}
	}
}

func (c *Cluster) status(name string, app *v1alpha1.Application) argocd.Status {
	s := argocd.Status{Name: name, Images: []string{}, Conditions: []argocd.Condition{}, History: []argocd.Deployed{}}
	if app == nil {
		return s
	}
	status := app.Status
	s.Found = true
	s.Revision = revisionOf(app, "")
	s.Sync, s.Health, s.HealthMessage = string(status.Sync.Status), string(status.Health.Status), c.clean(status.Health.Message)
	s.Images = append(s.Images, status.Summary.Images...)
	if t := status.ReconciledAt; t != nil {
		s.ReconciledAt = stamp(t.Time)
	}
	if state := status.OperationState; state != nil {
		s.Operation = string(state.Phase)
	}
	for _, condition := range status.Conditions {
		s.Conditions = append(s.Conditions, argocd.Condition{Type: condition.Type, Message: c.clean(condition.Message)})
	}
	for _, entry := range status.History {
		deployed := argocd.Deployed{
			ID: entry.ID, Revision: pick(entry.Revision, entry.Revisions, ""), DeployedAt: stamp(entry.DeployedAt.Time),
		}
		s.History, s.SyncedAt = append(s.History, deployed), deployed.DeployedAt
	}
	return s
}
