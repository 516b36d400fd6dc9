package terraform

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"

	"slipway/step"
)

// Of every platform that somebody works on; linux is the pipeline's.
const lockMend = "run terraform providers lock -platform=linux_amd64 -platform=darwin_arm64 -platform=windows_amd64, and commit " + lockFile

// locked is what a lock file says of one provider.
type locked struct {
	version string
	hashes  []string
}

// readLock reads the working copy's lock file, by the providers' full addresses;
// nil where there is none.
func (t *Terraform) readLock() (map[string]locked, error) {
	path := filepath.Join(t.o.Dir, lockFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	unread := func(err error) error {
		return step.Input(t.o.Stage, "code "+lockFile, "can't be read", "remove it, then "+lockMend).Because(err)
	}
	file, problems := hclparse.NewParser().ParseHCLFile(path)
	if problems.HasErrors() {
		return nil, unread(problems)
	}
	content, problems := file.Body.Content(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "provider", LabelNames: []string{"source_addr"}}}})
	if problems.HasErrors() {
		return nil, unread(problems)
	}
	all := map[string]locked{}
	for _, block := range content.Blocks {
		inner, problems := block.Body.Content(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "version", Required: true}, {Name: "constraints"}, {Name: "hashes"}}})
		if problems.HasErrors() {
			return nil, unread(problems)
		}
		if _, twice := all[block.Labels[0]]; twice {
			return nil, unread(fmt.Errorf("%s is in it twice", block.Labels[0]))
		}
		version, err := texts(inner.Attributes["version"])
		if err != nil || len(version) != 1 {
			return nil, unread(err)
		}
		hashes, err := texts(inner.Attributes["hashes"])
		if err != nil {
			return nil, unread(err)
		}
		all[block.Labels[0]] = locked{version[0], hashes}
	}
	return all, nil
}

// texts are an attribute's text, or its list of them; none where it is absent.
func texts(a *hcl.Attribute) ([]string, error) {
	if a == nil {
		return nil, nil
	}
	value, problems := a.Expr.Value(nil)
	if problems.HasErrors() {
		return nil, problems
	}
	if value.Type() == cty.String && !value.IsNull() {
		return []string{value.AsString()}, nil
	}
	var list []string
	if !value.IsKnown() || value.IsNull() || !value.CanIterateElements() {
		return nil, fmt.Errorf("%s is not a list", a.Name)
	}
	for it := value.ElementIterator(); it.Next(); {
		_, item := it.Element()
		if item.Type() != cty.String || item.IsNull() {
			return nil, fmt.Errorf("%s holds something else than text", a.Name)
		}
		list = append(list, item.AsString())
	}
	return list, nil
}

// checkLock refuses what init has installed beyond the lock file as it was: another
// provider, another version, or one of which it had no hash. Init itself has refused
// a package that none of the hashes is of. It may learn hashes of other forms.
//
// This is -lockfile=readonly, which OpenTofu can't do with a lock of Terraform's: it
// looks there for its own registry's providers of hashicorp, too, and takes their
// absence for a change.
func (t *Terraform) checkLock(before map[string]locked) error {
	after, err := t.readLock()
	if err != nil {
		return err
	}
	var details []string
	for _, address := range slices.Sorted(maps.Keys(after)) {
		is, was := after[address], before[address]
		switch {
		case was.version == "":
			details = append(details, address+": is not in it")
		case was.version != is.version:
			details = append(details, address+": is locked at "+was.version+", and "+is.version+" was taken")
		case len(was.hashes) == 0:
			details = append(details, address+" "+was.version+": has no hash in it")
		case slices.ContainsFunc(was.hashes, func(hash string) bool { return !slices.Contains(is.hashes, hash) }):
			details = append(details, address+" "+was.version+": was taken with other hashes")
		}
	}
	if details == nil {
		return nil
	}
	return step.Input(t.o.Stage, "code "+lockFile, "does not hold what the code needs", lockMend+"; name providers by their full address, since OpenTofu reads hashicorp/… as one of its own registry", details...)
}
