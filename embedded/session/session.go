// Package session keeps a sandbox cluster running and makes its ports this
// machine's.
package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

// Ports that a cluster listens at.
const (
	APIPort    = 6443
	ArgocdPort = 8443
	AppsPort   = 8080
	StatusPort = 9000
)

// Status is what a node says of itself at its StatusPort.
type Status struct {
	Ready bool   `json:"ready"`
	Phase string `json:"phase"`
	// Seconds since the node was started.
	Seconds int `json:"seconds"`
	// Address of the node's container.
	Address string `json:"address"`
}

// Ask asks for the status of the node at a port of this machine.
func Ask(ctx context.Context, port int) (*Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://localhost:%d/", port), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	status := &Status{}
	return status, json.Unmarshal(data, status)
}

// Session is a dagger call whose service is a cluster.
type Session struct {
	// Dagger is the path of the dagger CLI.
	Dagger string
	// Service is the arguments of the call that returns the service.
	Service []string
	// Dir and Env are the CLI's folder and environment.
	Dir string
	Env []string
	// Ports of this machine, by the cluster's port.
	Ports map[int]int
	// Direct says that this machine reaches the engine's containers by their
	// addresses. Connections then don't go through dagger's tunnel, in which
	// (v0.21.7) one connection that is not read holds up all others.
	Direct bool
	// Log gets what the CLI prints.
	Log io.Writer
}

// Run starts the cluster and keeps it until ctx ends, and returns when it has
// stopped. Its error is nil only for such an end.
func (s *Session) Run(ctx context.Context) error {
	tunnels, err := s.tunnels()
	if err != nil {
		return err
	}
	listeners := map[int]net.Listener{}
	defer func() {
		for _, listener := range listeners {
			_ = listener.Close()
		}
	}()
	if s.Direct {
		for port, local := range s.Ports {
			listener, err := net.Listen("tcp", net.JoinHostPort("localhost", strconv.Itoa(local)))
			if err != nil {
				return fmt.Errorf("a port for the cluster: %w", err)
			}
			listeners[port] = listener
		}
	}
	args := append([]string{"--progress=plain"}, s.Service...)
	args = append(args, "up")
	for port, local := range tunnels {
		args = append(args, "--ports", fmt.Sprintf("%d:%d", local, port))
	}
	cmd := exec.Command(s.Dagger, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.Dir, s.Env, s.Log, s.Log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if s.Direct {
		connecting, stop := context.WithCancel(ctx)
		defer stop()
		go connect(connecting, tunnels[StatusPort], listeners)
	}
	select {
	case err := <-ended:
		return errors.Join(errors.New("the cluster's session ended"), err)
	case <-ctx.Done():
		// A clean end lets the engine stop the node, and the node its parts.
		interrupted := cmd.Process.Signal(os.Interrupt)
		// How it ends when it is told to is no error.
		if err := <-ended; interrupted != nil {
			return errors.Join(interrupted, err)
		}
		return nil
	}
}

// tunnels are the ports that dagger's tunnel opens: all of them, or another one
// for the node's status alone.
func (s *Session) tunnels() (map[int]int, error) {
	if !s.Direct {
		return s.Ports, nil
	}
	free, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return nil, err
	}
	return map[int]int{StatusPort: free.Addr().(*net.TCPAddr).Port}, free.Close()
}

// connect forwards the listeners to the node as soon as it has said where it is.
func connect(ctx context.Context, statusPort int, listeners map[int]net.Listener) {
	for {
		if status, err := Ask(ctx, statusPort); err == nil && status.Address != "" {
			for port, listener := range listeners {
				go forward(ctx, listener, net.JoinHostPort(status.Address, strconv.Itoa(port)))
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// forward carries each connection of a listener to the address until the
// listener is closed or ctx ends.
func forward(ctx context.Context, listener net.Listener, address string) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = near.Close() }()
			far, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", address)
			if err != nil {
				return
			}
			defer func() { _ = far.Close() }()
			stop := context.AfterFunc(ctx, func() { _, _ = near.Close(), far.Close() })
			defer stop()
			join(near.(*net.TCPConn), far.(*net.TCPConn))
		}()
	}
}

// join copies both ways, and returns when both ends have finished or one is
// broken.
func join(a, b *net.TCPConn) {
	var both sync.WaitGroup
	way := func(to, from *net.TCPConn) {
		if _, err := io.Copy(to, from); err != nil {
			_, _ = to.Close(), from.Close()
			return
		}
		_ = to.CloseWrite()
	}
	both.Go(func() { way(a, b) })
	both.Go(func() { way(b, a) })
	both.Wait()
}
