package engine

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Package is a part that the operating system must provide.
type Package struct {
	// Name is the package in Debian and Ubuntu.
	Name string
	// Paths are the files that show it is there. Any one will do; all are
	// absolute.
	Paths []string
}

// builderPackages are needed to compile the dagger CLI and the engine: parts
// of both are C.
var builderPackages = []Package{
	{"ca-certificates", []string{"/etc/ssl/certs/ca-certificates.crt"}},
	{"gcc", []string{"/usr/bin/gcc", "/usr/local/bin/gcc"}},
	{"libc6-dev", []string{"/usr/include/stdlib.h"}},
}

// enginePackages are needed to run the engine.
var enginePackages = []Package{
	{"runc", []string{"/usr/sbin/runc", "/usr/bin/runc", "/usr/local/bin/runc", "/usr/local/sbin/runc"}},
	{"dnsmasq-base", []string{"/usr/sbin/dnsmasq"}},
	{"iptables", []string{"/usr/sbin/xtables-nft-multi", "/usr/bin/xtables-nft-multi"}},
	{"containernetworking-plugins", []string{"/usr/lib/cni/bridge", "/opt/cni/bin/bridge"}},
	{"git", []string{"/usr/bin/git"}},
	{"mount", []string{"/usr/bin/mount", "/bin/mount"}},
}

// Needed lists what the system must provide: to build the CLI, and when native
// also to build and run an engine.
func Needed(native bool) []Package {
	if native {
		return append(append([]Package{}, builderPackages...), enginePackages...)
	}
	return builderPackages
}

// Missing returns the names of the packages none of whose files are below root
// ("/" for this machine).
func Missing(root string, packages []Package) []string {
	var names []string
	for _, pkg := range packages {
		if firstExisting(root, pkg.Paths) == "" {
			names = append(names, pkg.Name)
		}
	}
	return names
}

// firstExisting returns the first of paths that exists below root, or "".
func firstExisting(root string, paths []string) string {
	for _, path := range paths {
		if _, err := os.Stat(filepath.Join(root, path)); err == nil {
			return path
		}
	}
	return ""
}

// Setup installs what the CLI, and when native the engine, need.
func Setup(ctx context.Context, progress *Progress, native bool) error {
	return Install(ctx, progress, Needed(native))
}

// Install installs those packages that are missing, when it is root on Debian or
// Ubuntu. Elsewhere its error lists what is missing.
func Install(ctx context.Context, progress *Progress, packages []Package) error {
	missing := Missing("/", packages)
	if len(missing) == 0 {
		return nil
	}
	release, _ := os.ReadFile("/etc/os-release")
	if err := canInstall(string(release), os.Geteuid(), missing); err != nil {
		return err
	}
	return progress.Do("install "+strings.Join(missing, ", "), func() error {
		for _, argv := range installCommands(missing) {
			cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
			cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, lastLines(string(out), 20))
			}
		}
		if still := Missing("/", packages); len(still) > 0 {
			return fmt.Errorf("installed, but still missing: %s", strings.Join(still, ", "))
		}
		return nil
	})
}

// installCommands returns the argv of each command that installs packages.
func installCommands(packages []string) [][]string {
	return [][]string{
		{"apt-get", "update", "-q"},
		append([]string{"apt-get", "install", "-q", "-y", "--no-install-recommends"}, packages...),
	}
}

// canInstall says whether packages can be installed here: release is the
// content of /etc/os-release, uid the effective user.
func canInstall(release string, uid int, missing []string) error {
	list := strings.Join(missing, ", ")
	family := false
	for line := range strings.Lines(release) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if name == "ID" || name == "ID_LIKE" {
			for id := range strings.FieldsSeq(strings.Trim(value, `"'`)) {
				family = family || id == "debian" || id == "ubuntu"
			}
		}
	}
	if !family {
		return fmt.Errorf("missing on this system: %s (Debian's names): install their equivalents, then run this again", list)
	}
	if uid != 0 {
		return fmt.Errorf("missing on this system: %s: install them (apt-get install %s) or run this as root", list, strings.Join(missing, " "))
	}
	return nil
}

// lastLines returns at most n lines from the end of text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
