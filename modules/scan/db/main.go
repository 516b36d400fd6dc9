// Command db builds a Trivy vulnerability database from advisories, and
// publishes it as the OCI artifact that Trivy downloads.
//
//	db build --advisories advisories --updated-at 2026-01-02T03:04:05Z --next-update 2026-01-03T03:04:05Z --out out
//	db push --layout out/layout --repository localhost:5000/slipway/trivy-db --tag 2 --out out
//
// How a run ended is in result.json below --out; see package step.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway/registry"
	"slipway/scan/db/advisory"
	"slipway/scan/db/artifact"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/scan"
)

const stage = "scan"

func main() {
	if len(os.Args) < 2 {
		fail("usage: db build|push [flags]")
	}
	switch command, args := os.Args[1], os.Args[2:]; command {
	case "build":
		build(args)
	case "push":
		push(args)
	default:
		fail(fmt.Sprintf("unknown command %q: use build or push", command))
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(2)
}

func say(format string, values ...any) {
	fmt.Fprintln(os.Stderr, printable.Line(fmt.Sprintf("database: "+format, values...)))
}

// Built is the result of build: the artifact's digest and what is in it.
type Built struct {
	Digest string `json:"digest"`
	*advisory.Summary
}

func build(args []string) {
	flags := flag.NewFlagSet("build", flag.ExitOnError)
	advisories := flags.String("advisories", "", "folder of graded OSV advisories")
	updatedAt := flags.String("updated-at", "", "when the advisories were taken, RFC 3339")
	nextUpdate := flags.String("next-update", "", "when newer ones are due, RFC 3339")
	out := flags.String("out", "", "output folder")
	parse(flags, args, out)

	step.Main(*out, func(context.Context) (any, error) {
		in := advisory.Input{Advisories: *advisories}
		var err error
		if in.UpdatedAt, err = instant("--updated-at", *updatedAt); err != nil {
			return nil, err
		}
		if in.NextUpdate, err = instant("--next-update", *nextUpdate); err != nil {
			return nil, err
		}
		files := filepath.Join(*out, "db")
		summary, err := advisory.Build(in, files)
		if err != nil {
			return nil, err
		}
		say("%d vulnerabilities", summary.Vulnerabilities)
		archive, err := artifact.Archive(files, in.UpdatedAt)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(*out, artifact.ArchiveFile), archive, 0o644); err != nil {
			return nil, err
		}
		digest, err := artifact.Layout(archive, in.UpdatedAt, filepath.Join(*out, "layout"))
		if err != nil {
			return nil, err
		}
		return Built{Digest: digest, Summary: summary}, nil
	})
}

// push is the command push.
func push(args []string) {
	flags := flag.NewFlagSet("push", flag.ExitOnError)
	layout := flags.String("layout", "", "OCI layout that build wrote")
	repository := flags.String("repository", "", "repository to push to, without a tag")
	tag := flags.String("tag", "", "tag: Trivy asks for its schema version, 2; without one, it is pushed by its digest")
	who := registry.AddFlags(flags, say)
	out := flags.String("out", "", "output folder")
	parse(flags, args, out)

	step.Main(*out, func(ctx context.Context) (any, error) {
		access, err := who.Access(stage)
		if err != nil {
			return nil, err
		}
		digest, err := artifact.Push(ctx, access, *layout, *repository, *tag)
		if err != nil {
			return nil, err
		}
		say("pushed %s@%s", *repository, digest)
		return scan.Pushed{Repository: *repository, Tag: *tag, Digest: digest}, nil
	})
}

func instant(flag, value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return t, step.Input(stage, fmt.Sprintf("%s %q", flag, value), "is not a time",
			"give it in RFC 3339, such as 2026-01-02T03:04:05Z").Because(err)
	}
	return t, nil
}

// parse reads the flags; where to write the result is the one that no result
// can be reported without.
func parse(flags *flag.FlagSet, args []string, out *string) {
	// ExitOnError: Parse ends the process on a bad flag.
	_ = flags.Parse(args)
	if *out == "" || flags.NArg() > 0 {
		fail(flags.Name() + ": --out is missing, or an argument is not a flag")
	}
}
