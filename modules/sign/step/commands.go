package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

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

func publicKey(name string, args []string) (string, work, error) {
	set, out := flags(name)
	private := addKey(set)
	if err := finish(set, args, out); err != nil {
		return "", nil, err
	}
	return *out, func(context.Context) (any, error) {
		signer, err := private.open("sign")
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

func signImage(name string, args []string) (string, work, error) {
	set, out := flags(name)
	private, registry, claims := addKey(set), addRegistry(set), pairs{}
	set.Var(claims, "annotation", "claim about the image, as KEY=VALUE; repeat for more")
	if err := finish(set, args, out); err != nil {
		return "", nil, err
	}
	return *out, func(ctx context.Context) (any, error) {
		return attachStatement(ctx, private, registry, attach.Request{
			Stage: "sign", PredicateType: bundle.SignPredicateType, Annotations: claims,
		})
	}, nil
}

func attestImage(name string, args []string) (string, work, error) {
	set, out := flags(name)
	private, registry, claims := addKey(set), addRegistry(set), pairs{}
	set.Var(claims, "annotation", "claim about the image, as KEY=VALUE; repeat for more")
	file := set.String("predicate", "", "file with the predicate, a JSON object (required)")
	predicateType := set.String("predicate-type", "", "the predicate's type, a URI (required)")
	if err := finish(set, args, out); err != nil {
		return "", nil, err
	}
	return *out, func(ctx context.Context) (any, error) {
		predicate, err := read("sign", "--predicate", *file)
		if err != nil {
			return nil, err
		}
		if len(predicate) == 0 {
			return nil, step.Input("sign", "predicate "+*file, "is empty", "give one JSON object")
		}
		return attachStatement(ctx, private, registry, attach.Request{
			Stage: "sign", PredicateType: *predicateType, Predicate: predicate, Annotations: claims,
		})
	}, nil
}

func attachStatement(ctx context.Context, private keyFlags, registry registryFlags, request attach.Request) (any, error) {
	reference, client, err := registry.dial(request.Stage, true)
	if err != nil {
		return nil, err
	}
	signer, err := private.open(request.Stage)
	if err != nil {
		return nil, err
	}
	request.Reference = reference
	done, err := attach.Sign(ctx, client, signer, request)
	if err != nil {
		return nil, err
	}
	if done.Signed {
		say("signed %s (%s)", done.Reference, done.PredicateType)
	} else {
		say("%s is already signed (%s)", done.Reference, done.PredicateType)
	}
	return done, nil
}

func verifyImage(name string, args []string) (string, work, error) {
	set, out := flags(name)
	registry, claims := addRegistry(set), pairs{}
	public := set.String("public-key", "", "PEM public key that must have signed (required)")
	predicateType := set.String("predicate-type", bundle.SignPredicateType, "type of the statements that count, a URI")
	set.Var(claims, "annotation", "claim that the statement must make, as KEY=VALUE; repeat for more")
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
		data, err := read("verify", "--public-key", *public)
		if err != nil {
			return nil, err
		}
		trusted, err := key.ParsePublic(data)
		if err != nil {
			return nil, step.Input("verify", "public key "+*public, err.Error(), "give the cosign.pub of the signing key").Because(err)
		}
		done, err := attach.Verify(ctx, client, trusted, attach.Wanted{
			Stage: "verify", Reference: reference, PredicateType: *predicateType, Annotations: claims,
		})
		if err != nil {
			return nil, err
		}
		say("%s: %d valid (%s)", done.Reference, done.Verified, done.PredicateType)
		for _, line := range done.Ignored {
			say("ignored %s", line)
		}
		return done, nil
	}, nil
}
