// Package server runs the sandbox's three parts in one process, on one port and
// over one data folder: the registry at /v2/, the Git remote at /gitops.git/ and
// the Terraform state backend at /state/.
package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"slipway/sandbox/host/accounts"
	"slipway/sandbox/host/gitserver"
	"slipway/sandbox/host/registry"
	"slipway/sandbox/host/state"
)

// Grace is how long requests under way may take to end after a stop.
const Grace = 5 * time.Second

// AccountsFile is the accounts' file in a data folder.
const AccountsFile = "accounts.json"

// Endpoint is where the parts listen, as host:port, and who serves them. It is
// also the content of the ready-file.
type Endpoint struct {
	Address string `json:"address"`
	PID     int    `json:"pid"`
}

// Access says who may write.
type Access struct {
	// Everybody may, for a sandbox that ends with what it is for.
	Everybody bool
	// Environments are those that have accounts of their own.
	Environments []string
}

// Serve serves the parts from the data folder until ctx ends, then lets
// requests under way end, and closes the listener. Once it listens, it writes
// the endpoint to readyFile, if one is named.
//
// Whoever writes needs an account of AccountsFile in the data folder, where those of the
// environments are made that are missing; unless open.
//
// Only one server may use a data folder: a second is refused with ErrInUse.
func Serve(ctx context.Context, data string, l net.Listener, readyFile string, may Access) error {
	defer l.Close()
	data, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return err
	}
	lock, err := Lock(data)
	if err != nil {
		return err
	}
	defer lock.Close()

	images, err := registry.New(ctx, filepath.Join(data, "registry"))
	if err != nil {
		return err
	}
	var who accounts.Accounts
	if !may.Everybody {
		if who, err = accounts.Load(filepath.Join(data, AccountsFile), may.Environments...); err != nil {
			return err
		}
	}
	git, err := gitserver.New(ctx, filepath.Join(data, "git"), !may.Everybody)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/v2/", images)
	mux.Handle("/"+gitserver.Repository+"/", git)
	mux.Handle("/state/", state.Handler(filepath.Join(data, "state")))
	server := &http.Server{
		Handler:           exact(who.Protect(mux)),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          log.Default(),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	if readyFile != "" {
		if err := writeReady(readyFile, Endpoint{Address: l.Addr().String(), PID: os.Getpid()}); err != nil {
			return errors.Join(err, shutdown(server))
		}
	}
	select {
	case <-ctx.Done():
		return shutdown(server)
	case err := <-ended:
		return errors.Join(err, shutdown(server))
	}
}

// exact answers a path that is not clean with 404: the mux would redirect it,
// and no client of these protocols sends one.
func exact(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clean := path.Clean(r.URL.Path)
		if strings.HasSuffix(r.URL.Path, "/") && clean != "/" {
			clean += "/"
		}
		if clean != r.URL.Path {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// shutdown stops the server; requests under way get Grace.
func shutdown(server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), Grace)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	return err
}

// writeReady writes the ready-file in one step, so that who sees it reads it
// whole.
func writeReady(path string, e Endpoint) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the ready-file: %w", err)
	}
	return os.Rename(temporary, path)
}
