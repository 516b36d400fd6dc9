package main

import (
	"context"
	"fmt"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/gitops"
)

// WithPlatform gives the account that reads the platform's own repository, where an
// environment takes its rules from the protected branch only. Without it, the account of
// the GitOps repository is taken if both are on one host, and none otherwise.
//
// Example: dagger call with-platform --username bot --token env:TOKEN deliver --app hello --env production
//
// +cache="168h"
func (s *Slipway) WithPlatform(
	// Who reads.
	// +optional
	username string,
	// The token or password of who reads.
	// +optional
	token *dagger.Secret,
	// A service that answers for the remote's host.
	// +optional
	service *dagger.Service,
) *Slipway {
	next := *s
	next.Platform = s.Platform.with(username, token, service, false)
	return &next
}

// goes refuses an environment that the app may not be released to, and one whose cluster
// would not be asked.
func (s *Slipway) goes(stage, app, env string) error {
	if _, err := s.Config.Goes(stage, app, env); err != nil {
		return err
	}
	return s.asks(stage, env)
}

// asks refuses to change an environment without its cluster, where it says that it has
// one: what the cluster would refuse, and its infrastructure, would go unseen.
func (s *Slipway) asks(stage, env string) error {
	if s.Config.Environments[env].Cluster != config.ClusterRequire || s.Kubeconfig != nil {
		return nil
	}
	return step.Input(stage, "environment "+env, "is in a cluster, and no kubeconfig is given", "give --kubeconfig file:<path>; or take the demand out of environments."+env+".cluster in "+config.File)
}

// mayRelease refuses to begin what could not be released in the end: with the sandbox's
// accounts, or the kubeconfig, of another environment.
func (s *Slipway) mayRelease(ctx context.Context, stage, env string) error {
	_, to := s.releases(env)
	if err := to.needs(stage, gitopsAccount+env); err != nil {
		return err
	}
	return s.reaches(ctx, stage, env)
}

// rulesFrom is the commit of the platform that this call's rules are from; nil where the
// source is no checkout. It refuses to change an environment by other rules than those of
// the platform's protected branch, where the environment demands that.
func (s *Slipway) rulesFrom(ctx context.Context, stage, env string) (*rules.Platform, error) {
	c := s.Config
	demanded := c.Environments[env].Platform == config.PlatformProtected
	from, err := s.platform().committed(ctx, c.Taken()...)
	if f, ok := step.AsFault(err); ok && f.Kind == step.KindInput && !demanded {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !demanded {
		return &rules.Platform{Commit: from.revision()}, nil
	}
	const mend = "deliver from a checkout of that branch as it is, or name it: --source <remote>#<branch> --repository <remote>#<branch>"
	subject := "the platform's rules for " + env
	if len(from.Uncommitted) > 0 {
		return nil, step.Policy(stage, subject, "are not as commit "+from.Commit+" has them: "+strings.Join(from.Uncommitted, ", "), mend)
	}
	at := s.Platform
	if at.Password == nil {
		if gitops, reader := s.releases(env); config.SameHost(c.Platform.Remote, gitops.Remote) {
			at = reader.with(at.Username, nil, at.Service, false)
		}
	}
	connect, err := at.connect(ctx, stage, c.Platform.Remote, gitAlias)
	if err != nil {
		return nil, err
	}
	merged, err := result[gitops.Merged](s.gitops().Repository(c.Platform.Remote, dagger.GitopsRepositoryOpts{Branch: c.Platform.Branch, Username: at.Username, Token: at.Password}).
		Merged(ctx, from.Commit, dagger.GitopsRepositoryMergedOpts{Service: at.Service, Connect: connect}))
	if f, ok := step.AsFault(err); ok && f.Kind == step.KindPolicy {
		return nil, step.Policy(stage, subject, "are those of "+f.Input+", which "+f.Reason, mend)
	}
	if err == nil && merged.Commit != from.Commit {
		err = fmt.Errorf("asked for commit %s of %s, was told of %q", from.Commit, c.Platform.Remote, merged.Commit)
	}
	return &rules.Platform{Commit: from.Commit, Branch: c.Platform.Remote + "#" + c.Platform.Branch}, err
}

// platform is the platform's own repository.
func (s *Slipway) platform() *Checkout { return &Checkout{Tree: s.Source, Repository: s.Repository} }
