package cluster

import (
	"context"
	"encoding/json"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"slipway/step"
	"slipway/step/result/argocd"
)

// StageRefresh is the stage of a request to look at a commit now.
const StageRefresh = "refresh"

// Refresh asks Argo CD to compare an Application with Git now, instead of at its
// next poll. Where the cluster does not take the request, that is the result and
// no fault: Argo CD polls anyway, and what it is asked about is in Git already.
func (c *Cluster) Refresh(ctx context.Context, namespace, name string) (*argocd.Refreshed, error) {
	if err := step.Name(StageRefresh, "namespace", namespace); err != nil {
		return nil, err
	}
	if err := step.Name(StageRefresh, "application", name); err != nil {
		return nil, err
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{v1alpha1.AnnotationKeyRefresh: string(v1alpha1.RefreshTypeNormal)},
	}})
	if err != nil {
		return nil, err
	}
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err = c.apps.ArgoprojV1alpha1().Applications(namespace).Patch(short, name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return &argocd.Refreshed{Message: c.because(err)}, nil
	}
	return &argocd.Refreshed{Asked: true}, nil
}
