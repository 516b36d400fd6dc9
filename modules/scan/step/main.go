// Command step is the scan stage's program: it fetches Trivy's vulnerability
// database and scans an image, its source and its manifests.
//
//	step database-resolve --repository localhost:5000/slipway/trivy-db --tag 2 --out out
//	step database --trivy /trivy --repository localhost:5000/slipway/trivy-db --tag 2 --out out
//	step config --trivy /trivy --manifests infra/local=infra/local --out out
//	step config --trivy /trivy --rendered gitops/apps/hello/overlays/dev=manifests.yaml --out out
//	step report --trivy /trivy --layout layout --digest sha256:… --source app --manifests gitops=gitops --cache out/cache --out report
//
// How a run ended is in result.json below --out; see package step. Where Trivy needs
// no network it has none: the program starts it through itself, as
//
//	step confined /trivy …
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"slipway/registry"
	"slipway/scan/step/database"
	"slipway/scan/step/scan"
	"slipway/scan/step/trivy"
	"slipway/step"
	"slipway/step/printable"
	result "slipway/step/result/scan"
)

const stage = "scan"

func main() {
	if len(os.Args) < 2 {
		fail("usage: step database-resolve|database|report|config [flags]")
	}
	switch command, args := os.Args[1], os.Args[2:]; command {
	case "database-resolve":
		fetch(command, args, false)
	case "database":
		fetch(command, args, true)
	case "report":
		report(args)
	case "config":
		config(args)
	case trivy.ConfinedCommand:
		fail(trivy.Confined(args).Error())
	default:
		fail(fmt.Sprintf("unknown command %q: use database-resolve, database, report or config", command))
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, message)
	os.Exit(2)
}

func say(format string, values ...any) {
	fmt.Fprintln(os.Stderr, printable.Line(fmt.Sprintf("scan: "+format, values...)))
}

// fetch is database-resolve, and with download set, database.
func fetch(command string, args []string, download bool) {
	flags := flag.NewFlagSet(command, flag.ExitOnError)
	repository := flags.String("repository", "", "repository of the vulnerability database, without a tag")
	tag := flags.String("tag", "2", "tag of the vulnerability database")
	who := registry.AddFlags(flags, say)
	var binary, digest *string
	if download {
		binary = flags.String("trivy", "/trivy", "the Trivy binary")
		digest = flags.String("digest", "", "the artifact's digest, if it is already resolved; the tag is not asked then")
	}
	out := flags.String("out", "", "output folder; the database goes to its folder cache")
	parse(flags, args, out)

	step.Main(*out, func(ctx context.Context) (any, error) {
		access, err := who.Access(stage)
		if err != nil {
			return nil, err
		}
		pinned := ""
		if download {
			pinned = *digest
		}
		if pinned == "" {
			if pinned, err = database.Resolve(ctx, access, *repository, *tag); err != nil {
				return nil, err
			}
			say("database: %s:%s is %s", *repository, *tag, pinned)
		}
		if !download {
			return result.Resolved{Digest: pinned}, nil
		}
		return withTrivy(ctx, *binary, func(runner *trivy.Runner, _ string) (any, error) {
			cache, err := filepath.Abs(filepath.Join(*out, "cache"))
			if err != nil {
				return nil, err
			}
			info, err := database.Fetch(ctx, access, runner, *repository, pinned, cache)
			if err != nil {
				return nil, err
			}
			say("database: updated at %s", info.UpdatedAt)
			return info, nil
		})
	})
}

func report(args []string) {
	flags := flag.NewFlagSet("report", flag.ExitOnError)
	binary := flags.String("trivy", "/trivy", "the Trivy binary")
	layout := flags.String("layout", "", "OCI layout of the image")
	digest := flags.String("digest", "", "the layout's digest")
	source := flags.String("source", "", "the app's source, searched for secrets and for the packages that it names")
	sourceName := flags.String("source-name", "source", "path of the source in the repository; the image is named after its last element")
	revision := flags.String("source-revision", "", "Git tree id of the source, for its bill of materials")
	cache := flags.String("cache", "", "folder with the vulnerability database: cache below the output of database")
	var manifests, expected list
	flags.Var(&manifests, "manifests", "NAME=DIR: manifests to check, and their path in the repository; repeatable")
	flags.Var(&expected, "expect", "type of packages that each image must hold, such as gobinary; repeatable")
	out := flags.String("out", "", "output folder")
	parse(flags, args, out)

	step.Main(*out, func(ctx context.Context) (any, error) {
		in := scan.Input{
			Layout: *layout, Digest: *digest, Cache: *cache, Expect: expected,
			Source: scan.Tree{Name: *sourceName, Folder: *source}, Revision: *revision,
		}
		var err error
		if in.Manifests, err = trees("--manifests", manifests); err != nil {
			return nil, err
		}
		if in.Cache, err = filepath.Abs(in.Cache); err != nil {
			return nil, err
		}
		folder, err := filepath.Abs(*out)
		if err != nil {
			return nil, err
		}
		return withTrivy(ctx, *binary, func(runner *trivy.Runner, work string) (any, error) {
			return scan.Run(ctx, runner, in, filepath.Join(work, "scan"), folder, say)
		})
	})
}

func config(args []string) {
	flags := flag.NewFlagSet("config", flag.ExitOnError)
	binary := flags.String("trivy", "/trivy", "the Trivy binary")
	var manifests, rendered list
	flags.Var(&manifests, "manifests", "NAME=DIR: manifests or Terraform code to check, and their path in the repository; repeatable")
	flags.Var(&rendered, "rendered", "NAME=FILE: rendered manifests to check, and the folder that their objects are named in; repeatable")
	out := flags.String("out", "", "output folder")
	parse(flags, args, out)

	step.Main(*out, func(ctx context.Context) (any, error) {
		given, err := trees("--manifests", manifests)
		if err != nil {
			return nil, err
		}
		files, err := trees("--rendered", rendered)
		if err != nil {
			return nil, err
		}
		if len(given)+len(files) == 0 {
			return nil, step.Input(stage, "--manifests", "is not given", "give NAME=DIR")
		}
		folder, err := filepath.Abs(*out)
		if err != nil {
			return nil, err
		}
		return withTrivy(ctx, *binary, func(runner *trivy.Runner, work string) (any, error) {
			for n, tree := range files {
				folder := filepath.Join(work, fmt.Sprintf("rendered-%d", n))
				if err := os.Mkdir(folder, 0o700); err != nil {
					return nil, err
				}
				if err := scan.Objects(tree.Folder, folder); err != nil {
					return nil, err
				}
				given = append(given, scan.Tree{Name: tree.Name, Folder: folder})
			}
			return scan.Config(ctx, runner, given, filepath.Join(work, "cache"), filepath.Join(work, "scan"), folder, say)
		})
	})
}

// trees reads the NAME=PATH pairs of a flag.
func trees(flag string, pairs []string) ([]scan.Tree, error) {
	var given []scan.Tree
	for _, pair := range pairs {
		name, folder, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, step.Input(stage, fmt.Sprintf("%s %q", flag, pair), "has no name", "give NAME=PATH")
		}
		given = append(given, scan.Tree{Name: name, Folder: folder})
	}
	return given, nil
}

// withTrivy runs work with a Trivy and a temporary folder.
func withTrivy(ctx context.Context, binary string, work func(*trivy.Runner, string) (any, error)) (any, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "scan-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	if err := os.Mkdir(filepath.Join(folder, "scan"), 0o700); err != nil {
		return nil, err
	}
	runner, err := trivy.New(ctx, binary, folder)
	if err != nil {
		return nil, err
	}
	return work(runner, folder)
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

// list is a flag that may be repeated.
type list []string

func (l *list) String() string { return fmt.Sprint([]string(*l)) }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}
