// Command sign is the step program that makes keys, signs images and checks
// their signatures. Each subcommand reads flags and files and writes its
// decision to --out, as package slipway/step defines.
//
//	sign keygen     --out DIR --password-file FILE
//	sign public-key --out DIR --key-file FILE --password-file FILE
//	sign sign       --out DIR --key-file FILE --password-file FILE --reference REPO@DIGEST [--predicate FILE --predicate-type URI] [--annotation K=V]… [registry]
//	sign attest     --out DIR --key-file FILE --password-file FILE --reference REPO@DIGEST --predicate FILE --predicate-type URI [--annotation K=V]… [registry]
//	sign verify     --out DIR [trust] --reference REPO@DIGEST [--predicate-type URI] [--attestation URI] [--annotation K=V]… [registry]
//
// where [registry] is [--connect LOGICAL=ACTUAL]… [--username NAME --registry-password-file FILE],
// and [trust] is --public-key FILE, or
// --certificate-identity NAME --certificate-oidc-issuer URL --trusted-root FILE [--min-logs N] [--min-certificate-logs N] [--min-timestamps N],
// where either of identity and issuer may be a pattern: --certificate-identity-regexp, --certificate-oidc-issuer-regexp.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"slipway/step"
)

// work is what a subcommand does once its flags are read.
type work func(context.Context) (any, error)

// command parses its arguments into the output folder and the work to do.
type command func(name string, args []string) (out string, do work, err error)

var commands = map[string]command{
	"keygen":     keygen,
	"public-key": publicKey,
	"sign":       signImage,
	"attest":     attestImage,
	"verify":     verifyImage,
}

func main() {
	out, do, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	step.Main(out, do)
}

func parse(args []string) (string, work, error) {
	if len(args) == 0 || commands[args[0]] == nil {
		var names []string
		for name := range commands {
			names = append(names, name)
		}
		slices.Sort(names)
		return "", nil, fmt.Errorf("usage: sign %s [flags]", strings.Join(names, "|"))
	}
	return commands[args[0]](args[0], args[1:])
}

// progress is where a person can see what a step does.
var progress io.Writer = os.Stderr

func say(format string, args ...any) { fmt.Fprintf(progress, format+"\n", args...) }
