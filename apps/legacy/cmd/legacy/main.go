// Command legacy is a service with a known vulnerability. It is there to be
// refused: see its README.
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

	"slipway/apps/legacy/greeting"
)

func main() {
	listen := flag.String("listen", ":8080", "`address` to listen on")
	flag.Parse()
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	server := &http.Server{
		Addr: *listen, Handler: greeting.Handler(),
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
