// Command pages serves a folder of files over HTTP.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"slipway/apps/pages/pages"
)

func main() {
	site := flag.String("site", "site", "`folder` to serve")
	listen := flag.String("listen", ":8080", "`address` to listen on")
	flag.Parse()
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	server := &http.Server{
		Addr: *listen, Handler: pages.Handler(os.DirFS(*site)),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
	}
	down := make(chan error, 1)
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		down <- server.Shutdown(grace)
	}()
	err := server.ListenAndServe()
	if errors.Is(err, http.ErrServerClosed) {
		err = <-down
	}
	stop()
	if err != nil {
		log.Error("ended", "error", err)
		os.Exit(1)
	}
}
