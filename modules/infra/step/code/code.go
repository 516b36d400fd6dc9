// Package code hashes and copies a Terraform root and the modules beside it that
// it is made of: the files that a plan is bound to.
package code

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway/step"
)

// Terraform's own leavings in a root: neither copied nor hashed.
func leaving(name string) bool {
	return name == ".terraform" || name == ".terraform.tfstate.lock.info" || name == "crash.log" ||
		name == "errored.tfstate" || strings.HasPrefix(name, "terraform.tfstate")
}

// override reports whether Terraform merges a file of this name over the others.
func override(name string) bool {
	base, ok := strings.CutSuffix(strings.TrimSuffix(name, ".json"), ".tf")
	return ok && (base == "override" || strings.HasSuffix(base, "_override"))
}

// files adds a folder's regular files to all, by their slash-separated paths from
// dir. Links and devices are refused: what they point to is not in the hash.
func files(stage, dir, folder string, all map[string]bool) error {
	start := filepath.Join(dir, filepath.FromSlash(folder))
	info, err := os.Stat(start)
	if err != nil || !info.IsDir() {
		return step.Input(stage, "code "+start, "is not a folder", "give the folder of the Terraform root").Because(err)
	}
	found := false
	err = filepath.WalkDir(start, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == start && d.IsDir() {
			return err
		}
		if leaving(d.Name()) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.Name() == "terraform.d" {
			return step.Policy(stage, "code "+rel, "is where Terraform looks for providers before it asks their registry: they would run unseen",
				"take it out; a mirror of providers is an argument")
		}
		if d.IsDir() {
			return nil
		}
		if !d.Type().IsRegular() {
			return step.Input(stage, "code "+rel, "is not a regular file",
				"keep the root self-contained: no symbolic links, no devices")
		}
		if strings.ContainsAny(rel, "\n\r") {
			return step.Input(stage, fmt.Sprintf("code %q", rel), "has a line break in its name", "rename the file")
		}
		if strings.HasSuffix(strings.TrimSuffix(rel, ".json"), ".tofu") {
			return step.Input(stage, "code "+rel, "is read by OpenTofu alone, in the place of a .tf file of its name",
				"name it .tf: what is reviewed and scanned is what is planned")
		}
		if override(d.Name()) {
			return step.Input(stage, "code "+rel, "is an override file",
				"write what it says into the file that it overrides: a file that changes another one unseen can't be reviewed, and where the state is, is said by the run")
		}
		if filepath.Dir(path) == start && terraform(rel) {
			found = true
		}
		all[rel] = true
		return nil
	})
	if err != nil {
		if f, ok := step.AsFault(err); ok {
			return f
		}
		return step.Input(stage, "code "+start, "can't be read", "see that every file below it can be read").Because(err)
	}
	if !found {
		return step.Input(stage, "code "+start, "holds no Terraform file", "give the folder of the Terraform root")
	}
	return nil
}

// Copy copies the root in a folder of dir, and the modules of dir that it is made
// of, to the new folder to, and returns the digest ("sha256:<hex>") of what it
// copied: the SHA-256 of one line for each file in lexical order, "<hex sha256 of
// its content>  <slash-separated path from dir>\n". File modes and times are not
// part of it.
func Copy(stage, dir, folder, to string) (digest string, err error) {
	list, _, err := closure(stage, dir, folder)
	if err != nil {
		return "", err
	}
	all := sha256.New()
	for _, rel := range list {
		sum, err := copyFile(filepath.Join(dir, filepath.FromSlash(rel)), filepath.Join(to, filepath.FromSlash(rel)))
		if err != nil {
			return "", fmt.Errorf("copy %s: %w", rel, err)
		}
		fmt.Fprintf(all, "%s  %s\n", sum, rel)
	}
	return "sha256:" + hex.EncodeToString(all.Sum(nil)), nil
}

func copyFile(from, to string) (sum string, err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return "", err
	}
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, hash), in)
	if closed := out.Close(); err == nil {
		err = closed
	}
	return hex.EncodeToString(hash.Sum(nil)), err
}

// Digest returns the "sha256:<hex>" of data.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
