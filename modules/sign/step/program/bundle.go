package program

import (
	"context"
	"flag"
	"os"
	"path/filepath"

	"slipway/registry"
	"slipway/sign/step/attach"
	"slipway/sign/step/bundle"
	"slipway/step"
	"slipway/step/result/sign"
)

// bundleFile is the file that bundle writes below --out.
const bundleFile = "bundle.sigstore.json"

// maxBundle is the largest bundle that verify-bundle reads.
const maxBundle = 32 << 20

func newBundled(verified *bundle.Verified, digest string) sign.Bundled {
	b := sign.Bundled{
		Digest: digest, PredicateType: verified.Statement.PredicateType, Predicate: verified.Statement.Predicate,
		Annotations: verified.Statement.Claims(digest), Signer: verified.Signer,
	}
	if b.Annotations == nil {
		b.Annotations = map[string]string{}
	}
	return b
}

func fetchBundle(set *flag.FlagSet, out *string) step.Work {
	where, who := addRegistry(set), addTrust(set)
	referrer := set.String("referrer", "", "digest of the manifest that holds the bundle (required)")
	return func(ctx context.Context) (any, error) {
		reference, client, err := where.dial("verify", registry.Pull)
		if err != nil {
			return nil, err
		}
		trusted, err := who.read("verify")
		if err != nil {
			return nil, err
		}
		data, verified, err := attach.Fetch(ctx, client, trusted, "verify", reference, *referrer)
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(*out, 0o755); err != nil {
			return nil, err
		}
		return newBundled(verified, reference.Digest.String()), os.WriteFile(filepath.Join(*out, bundleFile), data, 0o644)
	}
}

func verifyBundle(set *flag.FlagSet, _ *string) step.Work {
	who := addTrust(set)
	file := set.String("bundle", "", "the bundle (required)")
	return func(context.Context) (any, error) {
		if info, err := os.Stat(*file); err == nil && info.Size() > maxBundle {
			return nil, step.Input("verify", "bundle", "is too large for one", "give the bundle as it was exported")
		}
		data, err := read("verify", "--bundle", *file)
		if err != nil {
			return nil, err
		}
		trusted, err := who.read("verify")
		if err != nil {
			return nil, err
		}
		verified, digest, err := trusted.VerifyOne(data)
		if err != nil {
			return nil, step.Policy("verify", "bundle", line(err), "export it again, unchanged, and give the public key of who signed it").Because(err)
		}
		return newBundled(verified, digest), nil
	}
}
