// Package program is the step program that makes keys, signs images and checks
// their signatures. Each subcommand reads flags and files and writes its
// decision to --out, as package slipway/step defines.
//
//	sign keygen     --out DIR --password-file FILE
//	sign public-key --out DIR [key]
//	sign sign       --out DIR [signer] --reference REPO@DIGEST [statements] [--annotation K=V]… [registry]
//	sign attest     --out DIR [signer] --reference REPO@DIGEST statements [--annotation K=V]… [registry]
//	sign verify     --out DIR [trust] --reference REPO@DIGEST [--predicate-type URI] [--attestation URI] [--annotation K=V]… [registry]
//	sign verify     --out DIR [trust] --reference REPO@DIGEST --all [registry]
//	sign bundle     --out DIR [trust] --reference REPO@DIGEST --referrer DIGEST [registry]
//	sign verify-bundle --out DIR [trust] --bundle FILE
//
// where statements is --predicate FILE --predicate-type URI, --statements DIR or both,
// [registry] is [--connect LOGICAL=ACTUAL]… [--username NAME --registry-password-file FILE],
// [key] is --key-file FILE --password-file FILE, or --key-uri URI [--kms-credentials-file FILE | --azure JSON --azure-token-file FILE],
// [signer] is [key], or
// --identity-token-file FILE [--identity-request-url URL [--identity-service-connection ID] [--identity-audience NAME]] --fulcio URL [--rekor URL]… [--rekor-tiles URL]… [--timestamp-authority URL]… [--degraded-for TIME] [--identity-connect LOGICAL=ACTUAL]… [identity],
// and [trust] is --public-key FILE, or [identity], which is
// --identities FILE --trusted-root FILE [--min-logs N] [--min-certificate-logs N] [--min-timestamps N] [--accept-degraded TIME].
package program

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"slipway/step"
	"slipway/step/printable"
)

// work is what a subcommand does once its flags are read.
type work func(context.Context) (any, error)

// command parses its arguments into the output folder and the work to do.
type command func(name string, args []string) (out string, do work, err error)

// program is the step program with what it was compiled with.
type program struct{ kms OpenKMS }

func (p *program) commands() map[string]command {
	return map[string]command{
		"keygen":     keygen,
		"public-key": p.publicKey,
		"sign":       p.signImage,
		"attest":     p.attestImage,
		"verify":     verifyImage,
		"bundle":     fetchBundle,
		// verify-bundle asks no network.
		"verify-bundle": verifyBundle,
	}
}

// Main runs the subcommand that args begin with and exits. kms may be nil: then
// keys are files only.
func Main(args []string, kms OpenKMS) {
	out, do, err := (&program{kms: kms}).parse(args)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	step.Main(out, do)
}

func (p *program) parse(args []string) (string, work, error) {
	commands := p.commands()
	if len(args) == 0 || commands[args[0]] == nil {
		return "", nil, fmt.Errorf("usage: sign %s [flags]", strings.Join(slices.Sorted(maps.Keys(commands)), "|"))
	}
	return commands[args[0]](args[0], args[1:])
}

// progress is where a person can see what a step does.
var progress io.Writer = os.Stderr

func say(format string, args ...any) {
	fmt.Fprintln(progress, printable.Line(fmt.Sprintf(format, args...)))
}
