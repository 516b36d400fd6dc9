package cluster

import (
	"context"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// seen is what the follower reports. Gone and lost are its last words.
type seen struct {
	app  *v1alpha1.Application
	gone string
	lost error
}

// follower keeps one Application in view: it lists it, watches from there,
// opens a watch that ends again, and lists anew when its place has expired.
type follower struct {
	cluster   *Cluster
	clock     Clock
	namespace string
	name      string
	// grace is how long the API server may go without a good answer.
	grace time.Duration
	out   chan<- seen

	version string    // resource version to watch from; "" lists
	failing time.Time // since when nothing works; zero while it does
	idle    int       // watches and tries in a row that brought nothing
}

func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		last, err := f.once(ctx)
		switch {
		case last || ctx.Err() != nil:
			return
		case err == nil:
		case f.failing.IsZero():
			f.failing = f.clock.Now()
		case f.clock.Now().Sub(f.failing) >= f.grace:
			f.say(ctx, seen{lost: err})
			return
		}
		if !pause(ctx, f.clock, backoff(f.idle)) {
			return
		}
		f.idle++
	}
}

// once lists, when there is no place to watch from, and watches until the
// watch ends.
func (f *follower) once(ctx context.Context) (last bool, err error) {
	apps := f.cluster.apps.ArgoprojV1alpha1().Applications(f.namespace)
	only := fields.OneTermEqualSelector(metav1.ObjectNameField, f.name).String()
	if f.version == "" {
		short, cancel := context.WithTimeout(ctx, patience)
		list, err := apps.List(short, metav1.ListOptions{FieldSelector: only})
		cancel()
		if apierrors.IsNotFound(err) {
			f.say(ctx, seen{gone: "the cluster has no Argo CD: it does not serve Applications"})
			return true, nil
		}
		if err != nil {
			return false, err
		}
		f.failing = time.Time{}
		if len(list.Items) == 0 {
			f.say(ctx, seen{gone: "there is no such Application"})
			return true, nil
		}
		f.version = list.ResourceVersion
		f.say(ctx, seen{app: &list.Items[0]})
	}
	// A stream has no time limit, but its beginning has one.
	streaming, cancel := context.WithCancel(ctx)
	defer cancel()
	opening := time.AfterFunc(patience, cancel)
	limit := int64((5 * time.Minute).Seconds())
	stream, err := apps.Watch(streaming, metav1.ListOptions{
		FieldSelector: only, ResourceVersion: f.version, AllowWatchBookmarks: true, TimeoutSeconds: &limit,
	})
	opening.Stop()
	if err != nil {
		return false, f.expired(err)
	}
	defer stream.Stop()
	f.failing = time.Time{}
	for {
		select {
		case <-ctx.Done():
			return true, nil
		case event, open := <-stream.ResultChan():
			if !open {
				return false, nil
			}
			if event.Type == watch.Error {
				return false, f.expired(apierrors.FromObject(event.Object))
			}
			app, ok := event.Object.(*v1alpha1.Application)
			if !ok {
				continue
			}
			f.version, f.idle = app.ResourceVersion, 0
			switch event.Type {
			case watch.Added, watch.Modified:
				f.say(ctx, seen{app: app})
			case watch.Deleted:
				f.say(ctx, seen{gone: "the Application was deleted"})
				return true, nil
			}
		}
	}
}

// expired makes the next round list when err says that the place to watch from
// is too old; that is no failure.
func (f *follower) expired(err error) error {
	if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		f.version = ""
		return nil
	}
	return err
}

func (f *follower) say(ctx context.Context, s seen) {
	select {
	case f.out <- s:
	case <-ctx.Done():
	}
}

// nudge signals on ring whenever a Pod or ReplicaSet of the namespace changes.
// Where the credentials don't allow that, it stays silent.
func (c *Cluster) nudge(ctx context.Context, clock Clock, namespace string, ring chan<- struct{}) {
	limit := int64((5 * time.Minute).Seconds())
	options := metav1.ListOptions{TimeoutSeconds: &limit}
	for _, open := range []func() (watch.Interface, error){
		func() (watch.Interface, error) { return c.kube.CoreV1().Pods(namespace).Watch(ctx, options) },
		func() (watch.Interface, error) { return c.kube.AppsV1().ReplicaSets(namespace).Watch(ctx, options) },
	} {
		go func() {
			for idle := 0; ; idle++ {
				stream, err := open()
				if apierrors.IsForbidden(err) {
					return
				}
				if err == nil {
					for event := range stream.ResultChan() {
						idle = 0
						nudge(event.Object, ring)
					}
					stream.Stop()
				}
				if !pause(ctx, clock, backoff(idle)) {
					return
				}
			}
		}()
	}
}

func nudge(object runtime.Object, ring chan<- struct{}) {
	if object == nil {
		return
	}
	select {
	case ring <- struct{}{}:
	default:
	}
}
