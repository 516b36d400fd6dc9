// Command hello is a small HTTP service that greets in the visitor's language.
package main

import (
	"context"
	"flag"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"slipway/apps/hello/service"
)

func main() {
	listen := flag.String("listen", ":8080", "`address` to listen on")
	flag.Parse()
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	s := service.New(log)
	l, err := net.Listen("tcp", *listen)
	if err == nil {
		err = s.Serve(ctx, l)
	}
	stop()
	if err != nil {
		log.Error("ended", "error", err)
		os.Exit(1)
	}
}
