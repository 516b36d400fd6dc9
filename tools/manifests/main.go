// Command manifests holds everything below gitops/ to what the clusters say about
// its kinds, and what Trivy found there to the scan's policy. From its own folder:
//
//	manifests check      render everything and check it against the kinds of the pinned modules
//	manifests render     write each object as it is applied below --out, in the file that it is written in
//	manifests filled     write --folder, rendered, to standard output; refused while it has values that nobody filled in
//	manifests judge      decide about --findings, a result of the scan module's config, as slipway.yaml says
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"slipway/gitops/step/overlay"
	"slipway/step"
	"slipway/tools/manifests/conform"
	"slipway/tools/manifests/target"
)

const stage = "manifests"

func main() {
	// Rendering must not download anything, and Kustomize would.
	http.DefaultTransport = overlay.Offline{}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	said, err := run(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(said)
}

// run does what the arguments say and returns what is to be said about it.
func run(ctx context.Context, args []string) (string, error) {
	const usage = "usage: manifests check|render|filled|judge [flags]"
	if len(args) == 0 {
		return "", errors.New(usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	gitops := flags.String("gitops", "../../gitops", "the GitOps `folder`")
	repository := flags.String("repository", "../..", "check: the `folder` of the repository, which pins the modules")
	helm := flags.String("helm", "", "the helm `program`, which apps packaged as charts need")
	out := flags.String("out", "", "render: the `folder` to write to")
	folder := flags.String("folder", "platform/azure", "filled: the `folder` below the GitOps folder")
	findings := flags.String("findings", "", "judge: the result `file` of the scan")
	settings := flags.String("config", "../../slipway.yaml", "judge: the `file` with the policy")
	if err := flags.Parse(args[1:]); err != nil {
		return "", err
	}
	if flags.NArg() > 0 {
		return "", fmt.Errorf("unexpected argument %.40q", flags.Arg(0))
	}
	if args[0] == "judge" {
		return judge(*settings, *findings, time.Now())
	}
	tree, err := overlay.ReadDir(*gitops)
	if err != nil {
		return "", err
	}
	renderer := overlay.Renderer{Helm: *helm}
	if args[0] == "filled" {
		built, err := renderer.Build(tree, *folder)
		if err != nil {
			return "", err
		}
		return strings.TrimSpace(string(built)), overlay.Filled(*folder, built)
	}
	targets, err := target.Find(tree, renderer)
	if err != nil {
		return "", err
	}
	switch args[0] {
	case "check":
		kinds, err := kindsOf(ctx, *repository)
		if err != nil {
			return "", err
		}
		problems, err := kinds.Check(targets)
		if err != nil {
			return "", err
		}
		if len(problems) > 0 {
			return "", refusal(*gitops, problems)
		}
		return fmt.Sprintf("%d targets conform", len(targets)), nil
	case "render":
		if *out == "" {
			return "", errors.New("--out is missing")
		}
		if held, err := os.ReadDir(*out); len(held) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", step.Input(stage, "--out "+*out, "is not empty, or can't be read", "name a new folder").Because(err)
		}
		files, err := target.Applied(tree, renderer)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d files in %s", len(files), *out), write(*out, files)
	}
	return "", fmt.Errorf("unknown command %.40q; %s", args[0], usage)
}

func refusal(folder string, problems []conform.Problem) error {
	var details []string
	for _, p := range problems {
		details = append(details, p.String())
	}
	return step.Policy(stage, folder, fmt.Sprintf("%d problems", len(problems)), "mend the named fields", details...)
}

// write makes the files in a new folder.
func write(folder string, files map[string][]byte) error {
	for name, data := range files {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
