// Package apt asks the machine's own apt, which checks an archive's signature,
// for what a lock pins. It needs a Debian system and changes nothing on it.
package apt

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"slipway/step"
	"slipway/toolbox/debian/lock"
)

// keyring holds the keys of Debian's archives.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// Lock returns the pins of the named packages in an archive's suite.
func Lock(ctx context.Context, mirror, suite string, names []string) ([]lock.Package, error) {
	dir, err := os.MkdirTemp("", "slipway-apt-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	options, err := prepare(dir, mirror, suite)
	if err != nil {
		return nil, err
	}
	if out, err := run(ctx, "apt-get", append(slices.Clone(options), "update", "-qq")); err != nil {
		return nil, step.Infrastructure(lock.Stage, mirror+" "+suite, "its index can't be fetched or has no good signature", "run this on Debian, with the network up", strings.Split(strings.TrimSpace(out), "\n")...).Because(err)
	}
	var packages []lock.Package
	for _, name := range names {
		out, err := run(ctx, "apt-cache", append(slices.Clone(options), "show", "--no-all-versions", name))
		if err != nil {
			return nil, step.Input(lock.Stage, "package "+name, "is not in "+suite, "give the name of a binary package").Because(err)
		}
		p := lock.Package{Name: name, Version: field(out, "Version"), SHA256: field(out, "SHA256"), Path: field(out, "Filename")}
		if p.Version == "" || p.SHA256 == "" || p.Path == "" {
			return nil, fmt.Errorf("apt-cache says too little about %s", name)
		}
		packages = append(packages, p)
	}
	slices.SortFunc(packages, func(a, b lock.Package) int { return strings.Compare(a.Name, b.Name) })
	return packages, nil
}

// prepare lays out apt's folders below dir and returns the options that make
// apt use them.
func prepare(dir, mirror, suite string) ([]string, error) {
	for _, folder := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return nil, err
		}
	}
	sources := fmt.Sprintf("deb [signed-by=%s] %s %s main\n", keyring, mirror, suite)
	for file, content := range map[string]string{"status": "", "sources.list": sources} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	return []string{
		"-oDir::State::status=" + filepath.Join(dir, "status"),
		"-oDir::Etc::sourcelist=" + filepath.Join(dir, "sources.list"),
		"-oDir::Etc::sourceparts=-",
		"-oDir::State::lists=" + filepath.Join(dir, "lists"),
		"-oDir::Cache=" + filepath.Join(dir, "cache"),
		"-oAPT::Architecture=amd64", "-oAPT::Architectures=amd64", "-oAPT::Sandbox::User=root",
	}, nil
}

func run(ctx context.Context, name string, args []string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// field is the value of a one-line field of a control paragraph.
func field(paragraph, name string) string {
	for line := range strings.Lines(paragraph) {
		if key, value, ok := strings.Cut(line, ":"); ok && key == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
