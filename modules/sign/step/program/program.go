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

import "slipway/step"

// program is the step program with what it was compiled with.
type program struct{ kms OpenKMS }

func (p *program) commands() step.Commands {
	return step.Commands{
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
func Main(args []string, kms OpenKMS) { (&program{kms: kms}).commands().Run("sign", args) }
