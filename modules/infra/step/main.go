// Command infra drives Terraform through plan, check and apply, one stage to a
// run:
//
//	infra plan   --terraform FILE --code DIR --env NAME --var-file FILE… --backend-config-file FILE --out DIR
//	infra check  --terraform FILE --code DIR --env NAME --plan FILE --binding FILE --verdict FILE --out DIR
//	infra apply  --terraform FILE --code DIR --env NAME --plan FILE --binding FILE --checked FILE --backend-config-file FILE --out DIR
//	infra output --terraform FILE --code DIR --env NAME --backend-config-file FILE --out DIR
//	infra drift  --terraform FILE --code DIR --env NAME --var-file FILE… --backend-config-file FILE --out DIR
//	infra code   --code DIR --root NAME --out DIR
//	infra unlock --terraform FILE --code DIR --env NAME --id ID --backend-config-file FILE --out DIR
//
// and gives what reaches a cluster of AKS a token, when it is asked by Terraform:
//
//	infra kubernetes-token --azure JSON --azure-token-file FILE
//
// Each stage writes result.json, as package slipway/step says, and its result files
// to the output folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"slipway/infra/step/cluster"
	"slipway/step"
	"slipway/step/azure"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == cluster.Plugin {
		if err := give(context.Background(), os.Args[2:], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	out, work := parse(os.Args[1:], os.Stderr)
	if out == "" {
		if _, err := work(context.Background()); err != nil && !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		return
	}
	step.Main(out, work)
}

// give is cluster.Plugin: a token for a cluster of AKS, as its clients read it.
func give(ctx context.Context, args []string, to io.Writer) error {
	fs := flag.NewFlagSet(cluster.Plugin, flag.ContinueOnError)
	var who azure.Access
	who.Flags(fs)
	if err := fs.Parse(args); err != nil {
		return err
	}
	credential, err := who.Open(cluster.Plugin)
	if err != nil {
		return err
	}
	if credential == nil {
		_, err := refuse("--azure", "is missing")(ctx)
		return err
	}
	data, err := credential.ExecCredential(ctx)
	if err != nil {
		return err
	}
	_, err = to.Write(append(data, '\n'))
	return err
}

// parse turns the command line into the work to do and the folder for its
// result. What it refuses is work that returns the refusal; without a folder
// to write that to, out is empty.
func parse(args []string, progress io.Writer) (out string, work func(context.Context) (any, error)) {
	if len(args) == 0 {
		return "", refuse("command line", "names no stage")
	}
	build, ok := commands[args[0]]
	if !ok {
		return "", refuse(fmt.Sprintf("stage %.80q", args[0]), "is not one")
	}
	fs := flag.NewFlagSet(args[0], flag.ContinueOnError)
	fs.SetOutput(progress)
	target := fs.String("out", "", "folder that the result is written to")
	work = build(fs, target, progress)
	err := fs.Parse(args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return "", func(context.Context) (any, error) { return nil, err }
	case err != nil:
		return *target, refuse(args[0]+" command line", err.Error())
	case fs.NArg() > 0:
		return *target, refuse(args[0]+" command line", fmt.Sprintf("has an argument too many: %.80q", fs.Arg(0)))
	case *target == "":
		return "", refuse("--out", "is missing")
	}
	return *target, work
}

func refuse(input, reason string) func(context.Context) (any, error) {
	return func(context.Context) (any, error) {
		return nil, step.Input("config", input, reason, "run infra with plan, check, apply, output, drift, code or unlock; -h lists a stage's flags")
	}
}
