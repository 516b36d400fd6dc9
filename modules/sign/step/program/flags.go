package program

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"slipway/registry"
	"slipway/sign/step/key"
	"slipway/step"
	"slipway/step/reach"
)

// pairs is a flag that can be repeated, each time as KEY=VALUE.
type pairs map[string]string

func (p pairs) String() string { return "" }

func (p pairs) Set(text string) error {
	k, v, ok := strings.Cut(text, "=")
	if !ok || k == "" {
		return errors.New("give it as KEY=VALUE")
	}
	if _, twice := p[k]; twice {
		return fmt.Errorf("%s is given twice", k)
	}
	p[k] = v
	return nil
}

// keyFlags are where the private key is.
type keyFlags struct{ key, password *string }

func addKey(set *flag.FlagSet) keyFlags {
	return keyFlags{
		key:      set.String("key-file", "", "private key, in cosign's encrypted PEM format"),
		password: set.String("password-file", "", "file with the key file's password; one line end after it is left out"),
	}
}

// open reads the key; every failure is a fault that holds neither the key nor
// the password.
func (k keyFlags) open(stage string) (*key.Signer, error) {
	data, err := read(stage, "--key-file", *k.key)
	if err != nil {
		return nil, err
	}
	password, err := readPassword(stage, *k.password)
	if err != nil {
		return nil, err
	}
	signer, err := key.Open(data, password)
	if err != nil {
		return nil, keyFault(stage, *k.key, err)
	}
	return signer, nil
}

func keyFault(stage, file string, err error) error {
	mend := "give a key that sign keygen or cosign generate-key-pair made"
	switch {
	case errors.Is(err, key.ErrNoPassword):
		mend = "give the key's password with --password-file"
	case errors.Is(err, key.ErrWrongPassword):
		mend = "give the password that the key was made with"
	case errors.Is(err, key.ErrNotEncrypted):
		mend = "protect it: cosign import-key-pair --key FILE"
	}
	return step.Input(stage, "key "+file, err.Error(), mend).Because(err)
}

// registryFlags are an image, and how its registry is reached.
type registryFlags struct {
	reference *string
	who       *registry.Flags
}

func addRegistry(set *flag.FlagSet) registryFlags {
	return registryFlags{
		reference: set.String("reference", "", "the image: registry/name@sha256:… (required)"),
		who:       registry.AddFlags(set, step.Say),
	}
}

// dial checks the flags and makes a client; nothing is sent yet.
func (r registryFlags) dial(stage string, right registry.Right) (*registry.Reference, *registry.Client, error) {
	reference, err := registry.ParseReference(stage, "reference", *r.reference)
	if err != nil {
		return nil, nil, err
	}
	access, err := r.who.Access(stage)
	if err != nil {
		return nil, nil, err
	}
	return reference, registry.New(access, reference.Repository, right), nil
}

func readPassword(stage, file string) ([]byte, error) {
	if file == "" {
		return nil, step.Input(stage, "--password-file", "is not given: the key is protected by a password", "give the key's password as a file")
	}
	password, err := reach.Password(stage, "--password-file", file)
	return []byte(password), err
}

// read reads a small file that a flag names.
func read(stage, flagName, file string) ([]byte, error) {
	if file == "" {
		return nil, step.Input(stage, flagName, "is not given", "give "+flagName)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		reason := err.Error()
		var path *fs.PathError
		if errors.As(err, &path) {
			reason = "can't be read: " + path.Err.Error()
		}
		return nil, step.Input(stage, flagName+" "+file, reason, "give a file that can be read").Because(err)
	}
	return data, nil
}
