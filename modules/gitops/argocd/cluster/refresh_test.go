package cluster

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
	"slipway/step/result/argocd"
)

func TestRefresh(t *testing.T) {
	a := serve(t, old())
	a.anyVersion = true
	done, err := a.open().Refresh(t.Context(), "argocd", "hello-dev")
	require.NoError(t, err)
	assert.Equal(t, &argocd.Refreshed{Asked: true}, done)
	assert.Equal(t, 1, a.asked)
}

func TestRefreshIsNotTaken(t *testing.T) {
	a := serve(t, old())
	done, err := a.open().Refresh(t.Context(), "argocd", "gone-dev")
	require.NoError(t, err)
	assert.False(t, done.Asked)
	assert.Contains(t, done.Message, "not found")

	a.refuse = func(*http.Request) int { return http.StatusForbidden }
	done, err = a.open().Refresh(t.Context(), "argocd", "hello-dev")
	require.NoError(t, err)
	assert.False(t, done.Asked)
	assert.NotEmpty(t, done.Message)
	assert.NotContains(t, done.Message, token)

	c := a.open()
	a.server.Close()
	done, err = c.Refresh(t.Context(), "argocd", "hello-dev")
	require.NoError(t, err)
	assert.False(t, done.Asked)
	assert.Contains(t, done.Message, "connection refused")
	assert.Zero(t, a.asked)

	_, err = c.Refresh(t.Context(), "argocd", "-x")
	assert.Contains(t, faultOf(t, err, step.KindInput, StageRefresh).Input, "application")
	_, err = c.Refresh(t.Context(), "a/b", "hello-dev")
	assert.Contains(t, faultOf(t, err, step.KindInput, StageRefresh).Input, "namespace")
}
