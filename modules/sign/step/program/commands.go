package program

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway/registry"
	"slipway/sign/step/attach"
	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
	"slipway/step"
	"slipway/step/result/sign"
)

// Names of the files that keygen and public-key write below --out.
const (
	privateFile = "cosign.key"
	publicFile  = "cosign.pub"
)

func keygen(set *flag.FlagSet, out *string) step.Work {
	password := set.String("password-file", "", "file with the password to protect the key with (required)")
	return func(context.Context) (any, error) {
		secret, err := readPassword("sign", *password)
		if err != nil {
			return nil, err
		}
		for _, file := range []string{privateFile, publicFile} {
			if _, err := os.Lstat(filepath.Join(*out, file)); !errors.Is(err, fs.ErrNotExist) {
				return nil, exists(filepath.Join(*out, file))
			}
		}
		pair, err := key.Generate(secret)
		if err != nil {
			return nil, keyFault("sign", "to make", err)
		}
		if err := create(*out, privateFile, pair.Private, 0o600); err != nil {
			return nil, err
		}
		if err := create(*out, publicFile, pair.Public, 0o644); err != nil {
			return nil, err
		}
		step.Say("made key %s", pair.Hint)
		return sign.Key{PublicKey: string(pair.Public), KeyHint: pair.Hint}, nil
	}
}

// create writes a file that must not exist: whole or not at all.
func create(folder, file string, data []byte, mode os.FileMode) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	part, err := os.CreateTemp(folder, ".part-")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	_, err = part.Write(data)
	if err := errors.Join(err, part.Chmod(mode), part.Sync(), part.Close()); err != nil {
		return err
	}
	target := filepath.Join(folder, file)
	if err := os.Link(part.Name(), target); errors.Is(err, fs.ErrExist) {
		return exists(target)
	} else if err != nil {
		return err
	}
	return nil
}

func exists(file string) error {
	return step.Input("sign", "key "+file, "exists, and a lost key can't be made again", "give another folder, or use public-key to write the key's public half")
}

func (p *program) publicKey(set *flag.FlagSet, out *string) step.Work {
	private := p.addKeyKinds(set)
	return func(ctx context.Context) (any, error) {
		signer, err := private.openKey(ctx, "sign")
		if err != nil {
			return nil, err
		}
		public := signer.Public()
		if err := os.MkdirAll(*out, 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(*out, publicFile), public.PEM(), 0o644); err != nil {
			return nil, err
		}
		return sign.Key{PublicKey: string(public.PEM()), KeyHint: public.Hint()}, nil
	}
}

func (p *program) signImage(set *flag.FlagSet, _ *string) step.Work {
	private, where, claims, given := p.addSigner(set), addRegistry(set), pairs{}, addStatements(set)
	set.Var(claims, "annotation", "claim about the image, as KEY=VALUE; repeat for more")
	return func(ctx context.Context) (any, error) {
		more, err := given.requests(claims)
		if err != nil {
			return nil, err
		}
		requests := append([]attach.Request{{PredicateType: bundle.SignPredicateType, Annotations: claims}}, more...)
		done, err := attachStatements(ctx, private, where, requests)
		if err != nil {
			return nil, err
		}
		return sign.Signed{Attached: done[0], Attestations: done[1:]}, nil
	}
}

func (p *program) attestImage(set *flag.FlagSet, _ *string) step.Work {
	private, where, claims, given := p.addSigner(set), addRegistry(set), pairs{}, addStatements(set)
	set.Var(claims, "annotation", "claim about the image, as KEY=VALUE; repeat for more")
	return func(ctx context.Context) (any, error) {
		requests, err := given.requests(claims)
		if err != nil {
			return nil, err
		}
		if len(requests) == 0 {
			return nil, step.Input("sign", "--predicate", "is not given", "give --predicate FILE with --predicate-type URI, or --statements FOLDER")
		}
		done, err := attachStatements(ctx, private, where, requests)
		if err != nil {
			return nil, err
		}
		return sign.Attested{Attestations: done}, nil
	}
}

// attachStatements signs the requests, in their order, by one signer.
func attachStatements(ctx context.Context, private *signerFlags, where registryFlags, requests []attach.Request) ([]*sign.Attached, error) {
	reference, client, err := where.dial("sign", registry.Push)
	if err != nil {
		return nil, err
	}
	signer, err := private.open(ctx, "sign")
	if err != nil {
		return nil, err
	}
	all, err := attach.Sign(ctx, client, signer, "sign", reference, requests...)
	if err != nil {
		return nil, err
	}
	for _, done := range all {
		switch {
		case done.Degraded != nil:
			step.Say("signed %s (%s), DEGRADED until %s: %s is down", done.Reference, done.PredicateType,
				done.Degraded.Expires.Format(time.RFC3339), strings.Join(done.Degraded.Missing, ", "))
		case done.Signed:
			step.Say("signed %s (%s)", done.Reference, done.PredicateType)
		default:
			step.Say("%s is already signed (%s)", done.Reference, done.PredicateType)
		}
	}
	return all, nil
}

func verifyImage(set *flag.FlagSet, _ *string) step.Work {
	where, claims := addRegistry(set), pairs{}
	who := addTrust(set)
	predicateType := set.String("predicate-type", bundle.SignPredicateType, "type of the statements that count, a URI")
	attestation := set.String("attestation", "", "predicate type of an attestation that must be there, too, a URI")
	everything := set.Bool("all", false, "return every statement that the key signed, whatever its type")
	set.Var(claims, "annotation", "claim that each statement must make, as KEY=VALUE; repeat for more")
	return func(ctx context.Context) (any, error) {
		reference, client, err := where.dial("verify", registry.Pull)
		if err != nil {
			return nil, err
		}
		if *predicateType == "" {
			return nil, step.Input("verify", "--predicate-type", "is empty", "leave it out, or give a URI")
		}
		trusted, err := who.read("verify")
		if err != nil {
			return nil, err
		}
		if *everything {
			if *attestation != "" || len(claims) > 0 || *predicateType != bundle.SignPredicateType {
				return nil, step.Input("verify", "--all", "is given with a choice of statements", "give --all alone, or leave it out")
			}
			done, err := attach.VerifyAll(ctx, client, trusted, "verify", reference)
			if err != nil {
				return nil, err
			}
			step.Say("%s: %d signed statements", done.Reference, len(done.Statements))
			for _, line := range done.Ignored {
				step.Say("ignored %s", line)
			}
			return done, nil
		}
		var result sign.Verified
		for _, wanted := range []struct {
			predicateType string
			into          **sign.Found
		}{{*predicateType, &result.Found}, {*attestation, &result.Attestation}} {
			if wanted.predicateType == "" {
				continue
			}
			done, err := attach.Verify(ctx, client, trusted, attach.Wanted{
				Stage: "verify", Reference: reference, PredicateType: wanted.predicateType, Annotations: claims,
			})
			if err != nil {
				return nil, err
			}
			step.Say("%s: %d valid (%s)", done.Reference, done.Verified, done.PredicateType)
			for _, line := range done.Ignored {
				step.Say("ignored %s", line)
			}
			*wanted.into = done
		}
		return result, nil
	}
}
