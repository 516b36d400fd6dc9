// Command debian pins Debian packages and lays pinned ones into a folder:
//
//	debian lock   --suite bookworm --out FILE NAME…
//	debian unpack --lock FILE --out DIR [--mirror URL]…
//
// lock takes versions and checksums from the archive's signed index, with the
// machine's own apt. unpack downloads exactly those bytes and runs nothing of
// theirs: no maintainer scripts. A refusal is a failure here, not a result: what
// a mirror could not give once must not be remembered.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"slipway/step"
	"slipway/toolbox/debian/apt"
	"slipway/toolbox/debian/fetch"
	"slipway/toolbox/debian/lock"
	"slipway/toolbox/debian/unpack"
)

const archive = "http://deb.debian.org/debian"

func main() {
	if err := run(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			os.Exit(0)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	const usage = "usage: debian lock|unpack [flags]"
	if len(args) == 0 {
		return errors.New(usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	out := flags.String("out", "", "`file` of the new lock, or folder that receives the files")
	switch args[0] {
	case "lock":
		mirror := flags.String("mirror", archive, "base `URL` of the archive")
		suite := flags.String("suite", "bookworm", "`suite` of the archive")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		packages, err := apt.Lock(context.Background(), *mirror, *suite, flags.Args())
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := lock.Write(&b, packages); err != nil {
			return err
		}
		return os.WriteFile(*out, b.Bytes(), 0o644)
	case "unpack":
		file := flags.String("lock", "", "`file` of the lock")
		var mirrors []string
		flags.Func("mirror", "base `URL` of an archive; may be repeated, the first is asked first", func(url string) error {
			mirrors = append(mirrors, url)
			return nil
		})
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		if len(mirrors) == 0 {
			mirrors = []string{archive}
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return unpackAll(ctx, *file, *out, mirrors)
	}
	return fmt.Errorf("unknown command %.40q; %s", args[0], usage)
}

func unpackAll(ctx context.Context, file, dir string, mirrors []string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return step.Input(lock.Stage, file, "can't be read", "give the lock's file").Because(err)
	}
	packages, err := lock.Parse(filepath.Base(file), bytes.NewReader(data))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	if err := unpack.Prepare(root); err != nil {
		return err
	}
	from := &fetch.Fetcher{Mirrors: mirrors, Client: &http.Client{Timeout: 5 * time.Minute}, Sleep: sleep}
	for _, p := range packages {
		content, err := from.Get(ctx, p)
		if err != nil {
			return err
		}
		if err := unpack.Package(root, p.Name, content); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "unpacked %s %s\n", p.Name, p.Version)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
