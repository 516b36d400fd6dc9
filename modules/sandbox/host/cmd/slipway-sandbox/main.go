// Command slipway-sandbox is the embedded default of what a real platform has
// elsewhere: an OCI registry, a Git remote and a Terraform state backend, on
// this machine only. See package command for its command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"slipway/sandbox/host/command"
	"slipway/sandbox/host/gitserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, hook := gitserver.AsHook(ctx)
	if !hook {
		code = command.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	stop()
	os.Exit(code)
}
