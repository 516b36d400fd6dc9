package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"dagger/build/internal/dagger"
)

// Where the gateway is in its container, and what it says there.
const (
	gatewayPort   = 8080
	gatewayFolder = "/net"
)

// networkMount is the cache volume behind the mount of a gateway's id.
//
// The builder puts the slash in front. A volume belongs to the module that names it,
// so that the module which builds is the one that has to.
func networkMount(id string) string { return "/" + id }

// Gateway is the proxy through which boxes without a network reach named hosts. Its
// socket is in a cache volume, which a RUN mounts. It runs nothing of the app.
//
// +cache="never"
func (*Build) Gateway(
	// The hosts that may be reached, as host:port, and no others.
	hosts []string,
	// The volume, which nothing else has.
	volume *dagger.CacheVolume,
) *dagger.Service {
	args := []string{"/box", "gateway", "--dir", gatewayFolder, "--status", fmt.Sprintf(":%d", gatewayPort)}
	for _, host := range hosts {
		args = append(args, "--host", host)
	}
	return dag.Container().
		WithFile("/box", box("amd64")).
		// The sharing is named because the builder names it, too: otherwise it is
		// another volume.
		WithMountedCache(gatewayFolder, volume, dagger.ContainerWithMountedCacheOpts{Sharing: dagger.CacheSharingModeShared}).
		WithExposedPort(gatewayPort).
		AsService(dagger.ContainerAsServiceOpts{Args: args})
}

// Usage is what a gateway has been used for so far, as JSON.
//
// +cache="never"
func (*Build) Usage(
	ctx context.Context,
	// The running gateway.
	gateway *dagger.Service,
) (string, error) {
	return now(dag.Container().
		WithFile("/box", box("amd64")).
		WithServiceBinding("gateway", gateway),
		[]string{"/box", "usage", fmt.Sprintf("gateway:%d", gatewayPort)}).
		Stdout(ctx)
}

// networked runs something that finds a gateway in the mount of an id, and returns
// what the gateway was used for.
func (b *Build) networked(ctx context.Context, hosts []string, run func(id string) error) (usage string, err error) {
	id := rand.Text()
	gateway, err := b.Gateway(hosts, dag.CacheVolume(networkMount(id))).Start(ctx)
	if err != nil {
		return "", fmt.Errorf("build: infrastructure failure: the gateway of the box can't be started: %w\n  mend: see what it says; the engine has to run services", err)
	}
	defer func() {
		if _, stopErr := gateway.Stop(context.WithoutCancel(ctx), dagger.ServiceStopOpts{Kill: true}); stopErr != nil {
			err = errors.Join(err, stopErr)
		}
	}()
	if err := run(id); err != nil {
		return "", err
	}
	return b.Usage(ctx, gateway)
}
