// Command standin serves a stand-in Sigstore, which believes every token:
//
//	standin serve --listen :8080 [--address FILE]
//	standin get URL
//
// serve ends with an interrupt; the file gets the host and port it listens at, as
// soon as it does. get prints what is at a URL, and fails where that is not there.
// What is served:
//
//	/fulcio, /tsa, /rekor1, /rekor2   the services
//	/trusted_root.json                whom their signatures are verified with
//	/token?email=E&issuer=I           an identity token
//	/job?email=E&issuer=I&audience=sigstore   the same as JSON, for a job that asks
//	                                  with the bearer token job; such a one is
//	                                  taken once, as one that expires soon
//	/control?down=SERVICE&ago=TIME    (POST) no service but this one is down from
//	                                  now on, and their clocks are this far behind
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"slipway/drill/sigstore/standin"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "get":
		return get(ctx, args[1], out)
	case len(args) > 0 && args[0] == "serve":
		flags := flag.NewFlagSet("serve", flag.ContinueOnError)
		listen := flags.String("listen", ":8080", "`address` to serve at")
		address := flags.String("address", "", "`file` that gets host:port")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		if flags.NArg() > 0 {
			return fmt.Errorf("unexpected argument %.40q", flags.Arg(0))
		}
		return serve(ctx, *listen, *address)
	}
	return errors.New("usage: standin serve [flags] | get URL")
}

func get(ctx context.Context, url string, out io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	_, err = io.Copy(out, response.Body)
	return err
}

func serve(ctx context.Context, listen, address string) error {
	handler, err := handler()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	if address != "" {
		// Renamed when it is whole, so that nobody reads half of it.
		part := address + ".part"
		if err := errors.Join(os.WriteFile(part, []byte(listener.Addr().String()), 0o644), os.Rename(part, address)); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return server.Close()
	}
}

// handler serves one Sigstore, each service below a path of its own.
func handler() (http.Handler, error) {
	s, err := standin.New()
	if err != nil {
		return nil, err
	}
	trusted, err := s.Root()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	given := &jobs{used: map[string]bool{}}
	mux.HandleFunc("GET /job", given.give)
	for _, service := range standin.All() {
		prefix := "/" + string(service)
		answer := http.StripPrefix(prefix, s.Handler(service))
		if service == standin.Fulcio {
			answer = given.once(answer)
		}
		mux.Handle(prefix, answer)
		mux.Handle(prefix+"/", answer)
	}
	mux.HandleFunc("GET /trusted_root.json", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(trusted) })
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(standin.Token(r.FormValue("email"), r.FormValue("issuer")))
	})
	mux.HandleFunc("POST /control", func(w http.ResponseWriter, r *http.Request) {
		down := standin.Service(r.FormValue("down"))
		var ago time.Duration
		if text := r.FormValue("ago"); text != "" {
			var err error
			if ago, err = time.ParseDuration(text); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
		}
		if down != "" && !slices.Contains(standin.All(), down) {
			http.Error(w, "no service "+string(down), http.StatusBadRequest)
			return
		}
		for _, service := range standin.All() {
			s.Answer(service, nil)
		}
		if down != "" {
			s.Down(down, http.StatusServiceUnavailable)
		}
		s.Ago(ago)
	})
	return mux, nil
}
