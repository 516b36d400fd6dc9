package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"slipway/gitops/argocd/applications"
	"slipway/gitops/argocd/cluster"
	"slipway/step"
	"slipway/step/azure"
	"slipway/step/reach"
)

// access adds the flags that say which cluster is meant, and returns what opens
// it once they are read.
func access(flags *flag.FlagSet, stage string) func(context.Context) (*cluster.Cluster, error) {
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig `file`")
	var who azure.Access
	who.Flags(flags)
	connections := reach.Flag(flags, "connect", "where a host:port of the kubeconfig is reached")
	return func(ctx context.Context) (*cluster.Cluster, error) {
		connect, err := connections(stage)
		if err != nil {
			return nil, err
		}
		at := cluster.Access{Kubeconfig: *kubeconfig, Connect: connect}
		if at.Azure, err = who.Open(stage); err != nil {
			return nil, err
		}
		c, err := cluster.Open(stage, at)
		if err != nil {
			return nil, err
		}
		return c, c.SignIn(ctx)
	}
}

func waitCommand(flags *flag.FlagSet, _ *string) step.Work {
	open := access(flags, cluster.StageWait)
	var q cluster.Request
	flags.StringVar(&q.Namespace, "namespace", applications.Namespace, "`namespace` of the Application object")
	flags.StringVar(&q.Application, "application", "", "`name` of the Application")
	flags.StringVar(&q.Commit, "commit", "", "the release's `commit` in the GitOps repository")
	flags.StringVar(&q.Image, "image", "", "the release's image, `repository@sha256:…`")
	deadline := flags.String("deadline", "10m", "how `long` to wait")
	return func(ctx context.Context) (any, error) {
		var err error
		if q.Deadline, err = time.ParseDuration(*deadline); err != nil {
			return nil, step.Input(cluster.StageWait, fmt.Sprintf("deadline %.80q", *deadline), "is not a duration",
				"give one such as 10m or 90s").Because(err)
		}
		if err := q.Check(); err != nil {
			return nil, err
		}
		c, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return (&cluster.Waiter{Cluster: c, Clock: cluster.Real{}, Log: os.Stderr}).Wait(ctx, q)
	}
}

func statusCommand(flags *flag.FlagSet, _ *string) step.Work {
	open := access(flags, cluster.StageStatus)
	namespace := flags.String("namespace", applications.Namespace, "`namespace` of the Application objects")
	var names []string
	flags.Func("application", "`name` of an Application; repeatable", func(name string) error {
		names = append(names, name)
		return nil
	})
	return func(ctx context.Context) (any, error) {
		c, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return c.Show(ctx, cluster.Real{}, *namespace, names)
	}
}

func admitCommand(flags *flag.FlagSet, _ *string) step.Work {
	open := access(flags, cluster.StageAdmit)
	manifests := flags.String("manifests", "", "`file` of the rendered manifests")
	return func(ctx context.Context) (any, error) {
		c, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return c.Admit(ctx, *manifests)
	}
}

func refreshCommand(flags *flag.FlagSet, _ *string) step.Work {
	open := access(flags, cluster.StageRefresh)
	namespace := flags.String("namespace", applications.Namespace, "`namespace` of the Application object")
	name := flags.String("application", "", "`name` of the Application")
	return func(ctx context.Context) (any, error) {
		c, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return c.Refresh(ctx, *namespace, *name)
	}
}
