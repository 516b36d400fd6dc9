// Package overlay reads, edits and renders the Kustomize overlays of a GitOps
// folder. It is pure: trees of files in, bytes or a Fault out. Only an overlay
// that inflates a Helm chart needs a program and a temporary folder.
//
// A GitOps folder holds apps/<app>/base or apps/<app>/chart, and
// apps/<app>/overlays/<environment>;
// an overlay's kustomization.yaml holds the one line that a release changes,
// the digest of its images entry.
package overlay

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"slipway/step"
)

// Stage is the stage named by this package's faults.
const Stage = "release"

// KustomizationFile is the file that makes a folder an overlay.
const KustomizationFile = "kustomization.yaml"

// MaxTree bounds the files of a GitOps folder, in bytes: it is held in memory.
const MaxTree = 64 << 20

// Tree is the content of a GitOps folder. Keys are slash-separated paths
// relative to it, such as apps/hello/base/service.yaml.
type Tree struct {
	// Files are the regular files.
	Files map[string][]byte
	// Links are the paths of symbolic links. They are never followed.
	Links []string
}

// Folder is the path of the overlay of app in env, relative to the GitOps
// folder.
func Folder(app, env string) string {
	return path.Join("apps", app, "overlays", env)
}

// File is the path of the kustomization.yaml of app in env.
func File(app, env string) string {
	return path.Join(Folder(app, env), KustomizationFile)
}

// Lookup returns the kustomization.yaml of app in env. An app or environment
// that the tree does not have is an input Fault that lists those it has.
func (t Tree) Lookup(app, env string) ([]byte, error) {
	file := File(app, env)
	if data, ok := t.Files[file]; ok {
		return data, nil
	}
	for _, link := range t.Links {
		if file == link || strings.HasPrefix(file, link+"/") {
			return nil, step.Input(Stage, link, "is a symbolic link, and links are not followed",
				"replace it by the folder or file itself")
		}
	}
	known := t.Overlays()
	var details []string
	for _, o := range known {
		details = append(details, "known: "+o.App+" in "+o.Env)
	}
	return nil, step.Input(Stage, file, "does not exist in the GitOps folder",
		fmt.Sprintf("add the overlay of app %q for environment %q, or correct the names", app, env), details...)
}

// Overlay names one overlay of a Tree.
type Overlay struct {
	App string
	Env string
}

// Overlays lists the overlays of the tree, sorted by app and environment.
func (t Tree) Overlays() []Overlay {
	var found []Overlay
	for _, file := range slices.Sorted(maps.Keys(t.Files)) {
		parts := strings.Split(file, "/")
		if len(parts) == 5 && parts[0] == "apps" && parts[2] == "overlays" && parts[4] == KustomizationFile {
			found = append(found, Overlay{App: parts[1], Env: parts[3]})
		}
	}
	return found
}

// ReadDir reads a GitOps folder from disk. Symbolic links are noted and not
// followed, and .git is left out.
func ReadDir(dir string) (Tree, error) {
	tree := Tree{Files: map[string][]byte{}}
	size := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		switch key := filepath.ToSlash(rel); {
		case d.IsDir() && d.Name() == ".git":
			return filepath.SkipDir
		case d.Type()&fs.ModeSymlink != 0:
			tree.Links = append(tree.Links, key)
		case d.Type().IsRegular():
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if size += len(data); size > MaxTree {
				return TooBig(dir)
			}
			tree.Files[key] = data
		}
		return nil
	})
	if _, ok := step.AsFault(err); ok {
		return Tree{}, err
	}
	if err != nil {
		return Tree{}, step.Input(Stage, dir, "can't be read: "+err.Error(), "give a GitOps folder").Because(err)
	}
	return tree, nil
}

// TooBig is the Fault of a GitOps folder larger than MaxTree.
func TooBig(where string) error {
	return step.Input(Stage, where, fmt.Sprintf("holds more than %d MiB", MaxTree>>20),
		"point at the GitOps folder alone, not at a folder with other content")
}
