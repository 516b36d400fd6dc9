package scan

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/aquasecurity/trivy/pkg/iac/ignore"
	"go.yaml.in/yaml/v3"

	"slipway/step"
	"slipway/step/result/scan"
)

// archive matches what Trivy takes for a packed chart.
var archive = regexp.MustCompile(`\.(tgz|tar\.gz)\z`)

// gather copies the regular files of a tree of manifests below folder, under
// the tree's name: Trivy compiles its checks anew in each run, which takes far
// longer than one run over all trees. Symbolic links are left out, as Trivy
// does.
//
// It returns the files that hold Kubernetes objects, and a finding for each line
// that would make Trivy, by its own parser, skip a check without a trace in its
// report. An exception has a reason, an owner and an expiry, in the policy; a
// comment has none. An archive, in which Trivy looks for charts, is refused: nobody
// sees the comments in it. The templates of a Helm chart count as objects: Trivy checks what the
// chart's own values make of them, and leaves a chart that it can't render out
// without a word.
func gather(tree Tree, folder string) (objects []string, found []scan.Misconfiguration, err error) {
	err = filepath.WalkDir(tree.Folder, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(tree.Folder, file)
		if err != nil {
			return err
		}
		name := path.Join(tree.Name, filepath.ToSlash(relative))
		if archive.MatchString(name) {
			return step.Policy(stage, "archive "+name, "is read by the scanner as a chart, with whatever comments in it make it skip checks, so there is no verdict",
				"unpack it into a folder of its name, such as charts/redis for charts/redis-1.2.3.tgz, and remove it")
		}
		template, object := inChart(tree.Folder, filepath.ToSlash(relative))
		if !template {
			if object, err = holdsObject(name, data); err != nil {
				return err
			}
		}
		if object {
			objects = append(objects, name)
		}
		for number, line := range bytes.Split(data, []byte("\n")) {
			if len(ignore.Parse(string(line), name, "")) > 0 {
				found = append(found, scan.Misconfiguration{
					// As bad as the worst that it may hide.
					ID: scan.InlineIgnore, File: name, Line: number + 1, Severity: scan.Critical,
					Title:   "A comment makes the scanner skip a check",
					Message: "Exceptions belong in the scan policy, where they have a reason, an owner and an expiry",
				})
			}
		}
		target := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, data, 0o644)
	})
	if _, ok := step.AsFault(err); ok {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, step.Input(stage, "tree "+tree.Name, "can't be read whole, so there is no verdict",
			"make every file readable").Because(err)
	}
	return objects, found, nil
}

// inChart reports whether a file below folder is a template of a Helm chart, and
// then whether Helm makes manifests of it.
func inChart(folder, file string) (template, manifest bool) {
	for at := path.Dir(file); at != "."; at = path.Dir(at) {
		if path.Base(at) != "templates" {
			continue
		}
		chart := filepath.Join(folder, filepath.FromSlash(path.Dir(at)), "Chart.yaml")
		if info, err := os.Lstat(chart); err == nil && info.Mode().IsRegular() {
			base := path.Base(file)
			return true, !strings.HasPrefix(base, "_") && base != "NOTES.txt"
		}
	}
	return false, false
}

// holdsObject reports whether a YAML file holds a Kubernetes object. A file that
// can't be parsed, also for a key that is given twice, is refused: Trivy leaves
// it out without a word, and what is not checked must not pass.
func holdsObject(name string, data []byte) (bool, error) {
	if ext := path.Ext(name); ext != ".yaml" && ext != ".yml" {
		return false, nil
	}
	object := false
	documents := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var document any
		err := documents.Decode(&document)
		if errors.Is(err, io.EOF) {
			return object, nil
		}
		if err != nil {
			return false, step.Policy(stage, "manifest "+name, "can't be parsed, so it can't be checked: "+err.Error(),
				"mend the YAML").Because(err)
		}
		if keys, ok := document.(map[string]any); ok && keys["apiVersion"] != nil && keys["kind"] != nil && keys["metadata"] != nil {
			object = true
		}
	}
}
