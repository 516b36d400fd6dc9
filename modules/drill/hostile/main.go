// Command hostile is what an attacker with write access to a registry, or in the
// middle of the way to it, can do. Drills run it against registries of their own:
//
//	hostile tag     --registry HOST:PORT --repository R --digest D --tag T
//	hostile resolve --registry HOST:PORT --repository R --tag T
//	hostile graft   --registry HOST:PORT --repository R --from D --to D
//	hostile flip    --registry HOST:PORT --repository R --listen :5000
//
// tag moves a tag to a digest; resolve prints the digest that a tag names; graft
// copies the signatures and attestations of one image to another, and prints how
// many; flip serves a registry with one bit of each manifest of a repository turned.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(1)
	}
}

// given are the flags of all attacks.
type given struct {
	registry, repository, digest, tag, from, to, listen string
}

var attacks = map[string]func(context.Context, given, io.Writer) error{
	"tag": moveTag, "resolve": resolve, "graft": graft, "flip": flip,
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 || attacks[args[0]] == nil {
		return errors.New("usage: hostile tag|resolve|graft|flip [flags]")
	}
	var g given
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.StringVar(&g.registry, "registry", "", "`HOST:PORT` of a registry without TLS")
	flags.StringVar(&g.repository, "repository", "", "`repository` in it")
	flags.StringVar(&g.digest, "digest", "", "`digest` that the tag shall name")
	flags.StringVar(&g.tag, "tag", "", "`tag`")
	flags.StringVar(&g.from, "from", "", "`digest` of the image that the statements are about")
	flags.StringVar(&g.to, "to", "", "`digest` of the image that gets them")
	flags.StringVar(&g.listen, "listen", ":5000", "`address` to serve at")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %.40q", flags.Arg(0))
	}
	return attacks[args[0]](ctx, g, out)
}
