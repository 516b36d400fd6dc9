package applications

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"slipway/step"
)

// Stage is the stage named by this package's faults.
const Stage = "release"

// Generate reads the overlays of the GitOps folder dir and returns its
// generated files by name. A folder without overlays, or with one whose name
// Kubernetes would refuse, is an input Fault.
func Generate(dir string, s Source) (map[string][]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	overlays, err := Overlays(dir)
	if err != nil {
		return nil, err
	}
	return Files(overlays, s)
}

func (s Source) check() error {
	u, err := url.Parse(s.RepoURL)
	if err != nil || u.Host == "" || u.Path == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return step.Input(Stage, "remote", "is not the http(s) URL of a repository",
			"give scheme, host and path, without user name or password").Because(err)
	}
	if s.Branch == "" || strings.ContainsAny(s.Branch, " \t\n") {
		return step.Input(Stage, fmt.Sprintf("branch %.80q", s.Branch), "is not a branch name", "give the branch that the cluster follows")
	}
	if !fs.ValidPath(s.Root) {
		return step.Input(Stage, fmt.Sprintf("root %.80q", s.Root), "is not a clean path inside the repository",
			`give a path such as gitops, or "." for the whole repository`)
	}
	return nil
}

// Overlays lists the apps/<app>/overlays/<env> folders below dir that hold a
// kustomization.yaml.
func Overlays(dir string) ([]Overlay, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, step.Input(Stage, dir, "can't be read", "give a GitOps folder").Because(err)
	}
	defer func() { _ = root.Close() }()
	names, err := fs.Glob(root.FS(), "apps/*/overlays/*/kustomization.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the overlays of %s: %w", dir, err)
	}
	if len(names) == 0 {
		return nil, step.Input(Stage, dir, "has no apps/*/overlays/* folder", "give a GitOps folder")
	}
	overlays := make([]Overlay, 0, len(names))
	for _, name := range names {
		parts := strings.Split(path.Dir(name), "/")
		o := Overlay{App: parts[1], Env: parts[3]}
		for _, name := range []struct{ what, value string }{
			{"app", o.App}, {"environment", o.Env}, {"namespace", o.Name()},
		} {
			if err := step.Name(Stage, name.what, name.value); err != nil {
				return nil, err
			}
		}
		overlays = append(overlays, o)
	}
	return overlays, nil
}

// Write makes the .yaml files of out exactly files.
func Write(out string, files map[string][]byte) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	present, err := read(out)
	if err != nil {
		return err
	}
	for name := range present {
		if _, ok := files[name]; !ok {
			if err := os.Remove(filepath.Join(out, name)); err != nil {
				return err
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(out, name), files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Check holds the .yaml files of out against files. Differences are a policy
// Fault that names each of them.
func Check(out string, files map[string][]byte) error {
	present, err := read(out)
	if err != nil {
		return err
	}
	var details []string
	for name, data := range present {
		if want, ok := files[name]; !ok {
			details = append(details, name+": has no overlay")
		} else if !bytes.Equal(data, want) {
			details = append(details, name+": differs")
		}
	}
	for name := range files {
		if _, ok := present[name]; !ok {
			details = append(details, name+": is missing")
		}
	}
	if len(details) == 0 {
		return nil
	}
	slices.Sort(details)
	return step.Policy(Stage, out, "is not what the overlays generate",
		"run `argocd generate` and commit what it writes", details...)
}

// read returns the .yaml files of dir; a missing folder has none.
func read(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return files, nil
	}
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() || filepath.Ext(entry.Name()) != ".yaml" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		files[entry.Name()] = data
	}
	return files, nil
}
