package program

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway/sign/step/attach"
	"slipway/sign/step/bundle"
	"slipway/sign/step/key"
	"slipway/step"
)

// Names of the files that keygen and public-key write below --out.
const (
	privateFile = "cosign.key"
	publicFile  = "cosign.pub"
)

// keyResult is what keygen and public-key return.
type keyResult struct {
	// PublicKey is the PEM, as cosign.pub below --out holds it.
	PublicKey string `json:"publicKey"`
	// KeyHint names the key in bundles.
	KeyHint string `json:"keyHint"`
}

func keygen(name string, args []string) (string, work, error) {
	set, out := flags(name)
	password := set.String("password-file", "", "file with the password to protect the key with (required)")
	if err := finish(set, args, out); err != nil {
		return "", nil, err
	}
	return *out, func(context.Context) (any, error) {
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
		say("made key %s", pair.Hint)
		return keyResult{PublicKey: string(pair.Public), KeyHint: pair.Hint}, nil
	}, nil
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

func (p *program) publicKey(name string, args []string) (string, work, error) {
	set, out := flags(name)
	private := p.addKeyKinds(set)
	if err := finish(set, args, out); err != nil {
		return "", nil, err
	}
	return *out, func(ctx context.Context) (any, error) {
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
		return keyResult{PublicKey: string(public.PEM()), KeyHint: public.Hint()}, nil
	}, nil
}

func (p *program) signImage(name string, args []string) (string, work, error) {
	set, out := flags(name)
	private, registry, claims := p.addSigner(set), addRegistry(set), pairs{}
	set.Var(claims, "annotation", "claim about the image, as KEY=VALUE; repeat for more")
	file := set.String("predicate", "", "file with a predicate to attest as well, a JSON object")
	predicateType := set.String("predicate-type", "", "that predicate's type, a URI")
	if err := finish(set, args, out); err != nil {
		return "", nil, err
	}
	return *out, func(ctx context.Context) (any, error) {
		requests := []attach.Request{{Stage: "sign", PredicateType: bundle.SignPredicateType, Annotations: claims}}
		if *file != "" || *predicateType != "" {
			predicate, err := readPredicate(*file)
			if err != nil {
				return nil, err
			}
			requests = append(requests, attach.Request{Stage: "sign", PredicateType: *predicateType, Predicate: predicate, Annotations: claims})
		}
		done, err := attachStatements(ctx, private, registry, requests)
		if err != nil {
			return nil, err
		}
		result := signResult{Signed: done[0]}
		if len(done) > 1 {
			result.Attestation = done[1]
		}
		return result, nil
	}, nil
}

// signResult is what sign returns.
type signResult struct {
	*attach.Signed
	// Attestation is absent when no predicate was given.
	Attestation *attach.Signed `json:"attestation,omitempty"`
}

func (p *program) attestImage(name string, args []string) (string, work, error) {
	set, out := flags(name)
	private, registry, claims := p.addSigner(set), addRegistry(set), pairs{}
	set.Var(claims, "annotation", "claim about the image, as KEY=VALUE; repeat for more")
	file := set.String("predicate", "", "file with the predicate, a JSON object (required)")
	predicateType := set.String("predicate-type", "", "the predicate's type, a URI (required)")
	if err := finish(set, args, out); err != nil {
		return "", nil, err
	}
	return *out, func(ctx context.Context) (any, error) {
		predicate, err := readPredicate(*file)
		if err != nil {
			return nil, err
		}
		done, err := attachStatements(ctx, private, registry, []attach.Request{
			{Stage: "sign", PredicateType: *predicateType, Predicate: predicate, Annotations: claims},
		})
		if err != nil {
			return nil, err
		}
		return done[0], nil
	}, nil
}

func readPredicate(file string) ([]byte, error) {
	predicate, err := read("sign", "--predicate", file)
	if err != nil {
		return nil, err
	}
	if len(predicate) == 0 {
		return nil, step.Input("sign", "predicate "+file, "is empty", "give one JSON object")
	}
	return predicate, nil
}

// attachStatements signs the requests, in their order, by one signer.
func attachStatements(ctx context.Context, private *signerFlags, registry registryFlags, requests []attach.Request) ([]*attach.Signed, error) {
	reference, client, err := registry.dial("sign", true)
	if err != nil {
		return nil, err
	}
	signer, err := private.open(ctx, "sign")
	if err != nil {
		return nil, err
	}
	all := make([]*attach.Signed, 0, len(requests))
	for _, request := range requests {
		request.Reference = reference
		done, err := attach.Sign(ctx, client, signer, request)
		if err != nil {
			return nil, err
		}
		switch {
		case done.Degraded != nil:
			say("signed %s (%s), DEGRADED until %s: %s is down", done.Reference, done.PredicateType,
				done.Degraded.Expires.Format(time.RFC3339), strings.Join(done.Degraded.Missing, ", "))
		case done.Signed:
			say("signed %s (%s)", done.Reference, done.PredicateType)
		default:
			say("%s is already signed (%s)", done.Reference, done.PredicateType)
		}
		all = append(all, done)
	}
	return all, nil
}

func verifyImage(name string, args []string) (string, work, error) {
	set, out := flags(name)
	registry, claims := addRegistry(set), pairs{}
	who := addTrust(set)
	predicateType := set.String("predicate-type", bundle.SignPredicateType, "type of the statements that count, a URI")
	attestation := set.String("attestation", "", "predicate type of an attestation that must be there, too, a URI")
	set.Var(claims, "annotation", "claim that each statement must make, as KEY=VALUE; repeat for more")
	if err := finish(set, args, out); err != nil {
		return "", nil, err
	}
	return *out, func(ctx context.Context) (any, error) {
		reference, client, err := registry.dial("verify", false)
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
		var result verifyResult
		for _, wanted := range []struct {
			predicateType string
			into          **attach.Verified
		}{{*predicateType, &result.Verified}, {*attestation, &result.Attestation}} {
			if wanted.predicateType == "" {
				continue
			}
			done, err := attach.Verify(ctx, client, trusted, attach.Wanted{
				Stage: "verify", Reference: reference, PredicateType: wanted.predicateType, Annotations: claims,
			})
			if err != nil {
				return nil, err
			}
			say("%s: %d valid (%s)", done.Reference, done.Verified, done.PredicateType)
			for _, line := range done.Ignored {
				say("ignored %s", line)
			}
			*wanted.into = done
		}
		return result, nil
	}, nil
}

// verifyResult is what verify returns.
type verifyResult struct {
	*attach.Verified
	// Attestation is absent when none was asked for.
	Attestation *attach.Verified `json:"attestation,omitempty"`
}
