package code

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"slipway/step"
)

// closure lists the files of the root in a folder of dir and of every module that
// it reaches, slash-separated from dir and in lexical order, and those folders. A module
// that lies elsewhere is refused: what isn't here is neither scanned nor hashed.
func closure(stage, dir, folder string) (list, folders []string, err error) {
	folder = path.Clean(filepath.ToSlash(folder))
	if !filepath.IsLocal(folder) {
		return nil, nil, step.Input(stage, "root "+folder, "is not a folder of the code", "give the root's folder, from that of the code")
	}
	all := map[string]bool{}
	folders = []string{folder}
	for i := 0; i < len(folders); i++ {
		if err := unlinked(stage, dir, folders[i]); err != nil {
			return nil, nil, err
		}
		if err := files(stage, dir, folders[i], all); err != nil {
			return nil, nil, err
		}
		next, err := modules(stage, dir, folders[i])
		if err != nil {
			return nil, nil, err
		}
		for _, m := range next {
			if !slices.Contains(folders, m) {
				folders = append(folders, m)
			}
		}
	}
	return slices.Sorted(maps.Keys(all)), folders, nil
}

// modules are the folders that one folder's module blocks name.
func modules(stage, dir, folder string) ([]string, error) {
	var list []string
	err := each(stage, dir, folder, func(f file) error {
		root, _, _ := f.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "module", LabelNames: []string{"name"}}}})
		for _, block := range root.Blocks {
			inner, _, _ := block.Body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "source"}}})
			source := inner.Attributes["source"]
			if source == nil {
				// Terraform says so.
				continue
			}
			at := f.at(&source.Range)
			const mend = `copy the module into this repository, beside or below its root, and name it by its path, such as "../modules/network"`
			text, wrong := text(source.Expr)
			if wrong != nil {
				return step.Input(stage, at, "takes a module from where nobody can tell before it runs", mend)
			}
			if !strings.HasPrefix(text, "./") && !strings.HasPrefix(text, "../") {
				return step.Input(stage, at, fmt.Sprintf("takes a module from elsewhere, %.120q: it is neither scanned nor a part of what the plan is bound to", text), mend)
			}
			target := path.Join(folder, text)
			if !filepath.IsLocal(filepath.FromSlash(target)) {
				return step.Input(stage, at, fmt.Sprintf("takes a module from outside of the infrastructure's code, %.120q", text), mend)
			}
			if info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(target))); err != nil || !info.IsDir() {
				return step.Input(stage, at, fmt.Sprintf("takes a module from %.120q, which is not a folder", text), "name the module's folder by its path from this file").Because(err)
			}
			list = append(list, target)
		}
		return nil
	})
	return list, err
}

// unlinked refuses a folder that is reached through a symbolic link.
func unlinked(stage, dir, folder string) error {
	base, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return step.Input(stage, "code "+dir, "is not a folder", "give the folder of the Terraform root").Because(err)
	}
	real, err := filepath.EvalSymlinks(filepath.Join(dir, filepath.FromSlash(folder)))
	if err == nil && real != filepath.Join(base, filepath.FromSlash(folder)) {
		return step.Input(stage, "code "+folder, "is reached through a symbolic link", "keep the root self-contained: no symbolic links, no devices")
	}
	return nil
}
