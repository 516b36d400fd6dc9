package wrappers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/iancoleman/strcase"

	"slipway/step"
)

// stage is the faults' of this package.
const stage = "wrapper"

const help = "--help"

// Repository is a checkout with Dagger modules.
type Repository struct {
	root    string
	core    map[string]object
	modules map[string]*module
}

// Open reads the types of Dagger's SDK, at the version that the checkout's pipeline
// pins.
func Open(root string) (*Repository, error) {
	cmd := exec.Command("go", "mod", "download", "-json", "dagger.io/dagger")
	cmd.Dir = filepath.Join(root, "ci")
	var failed bytes.Buffer
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("find Dagger's SDK: %w: %s%s", err, out, &failed)
	}
	var sdk struct{ Dir string }
	if err := json.Unmarshal(out, &sdk); err != nil {
		return nil, err
	}
	core, err := readCore(filepath.Join(sdk.Dir, "dagger.gen.go"))
	if err != nil {
		return nil, err
	}
	return &Repository{root: root, core: core, modules: map[string]*module{}}, nil
}

// platform is what documents call the module of a platform's own repository, at some
// version. Its blueprint is the product, so that its functions are those of the root.
const platform = "github.com/acme/platform@"

// base is what a pull request's calls name: the module of the branch that it wants to
// enter, checked out beside the change.
const base = "../base"

// module is the one in a folder of the checkout.
func (r *Repository) module(folder string) (*module, error) {
	if folder == base || strings.HasPrefix(folder, platform) {
		folder = "."
	}
	folder = filepath.Clean(folder)
	if m := r.modules[folder]; m != nil {
		return m, nil
	}
	data, err := os.ReadFile(filepath.Join(r.root, folder, "dagger.json"))
	if err != nil || !filepath.IsLocal(folder) {
		return nil, step.Input(stage, "module "+folder, "is none of this repository's", "name a folder with a dagger.json")
	}
	var description struct{ Name, Source string }
	if err := json.Unmarshal(data, &description); err != nil {
		return nil, err
	}
	m, err := readModule(filepath.Join(r.root, folder, description.Source), r.core)
	if err != nil {
		return nil, err
	}
	m.constructor.returns = strcase.ToCamel(description.Name)
	if m.objects[m.constructor.returns] == nil {
		return nil, step.Input(stage, "module "+folder, "has no type "+m.constructor.returns, "name the type after the module")
	}
	r.modules[folder] = m
	return m, nil
}

// Check refuses what dagger call would: a function that the type before it does not
// have, a flag that the function does not have or that is given without its value, a
// required flag that is missing, a value that an enum does not have. It also refuses
// a secret that is given as its own text. argv begins with dagger; a value may be a
// variable's name. --help is the end of every call.
func (r *Repository) Check(argv []string) error {
	_, err := r.functions(argv)
	return err
}

// functions are those that a call calls, in their order, after its check.
func (r *Repository) functions(argv []string) (names []string, err error) {
	folder, rest, err := command(argv)
	if err != nil {
		return nil, err
	}
	m, err := r.module(folder)
	if err != nil {
		return nil, err
	}
	call := strings.Join(argv, " ")
	name, current := "dagger call", m.constructor
	for {
		var err error
		if rest, err = current.parse(call, name, rest); err != nil {
			return nil, err
		}
		if len(rest) == 0 || rest[0] == help {
			return names, nil
		}
		name = rest[0]
		next, ok := m.objects[current.returns][name]
		if !ok {
			of := "a value"
			if current.returns != "" {
				of = "the type " + strings.TrimPrefix(current.returns, "dagger.")
			}
			mend := "end the call before it"
			if names := slices.Sorted(maps.Keys(m.objects[current.returns])); len(names) > 0 {
				mend = "use one of " + strings.Join(names, ", ")
			}
			return nil, step.Input(stage, call, fmt.Sprintf("%s has no function %q", of, name), mend)
		}
		names = append(names, name)
		current, rest = next, rest[1:]
	}
}

// command takes what stands before the first function off: the module's folder, and
// what is left.
func command(argv []string) (folder string, rest []string, err error) {
	refuse := func(reason string) (string, []string, error) {
		return "", nil, step.Input(stage, strings.Join(argv, " "), reason, "write dagger [-m FOLDER] call …")
	}
	if len(argv) == 0 || argv[0] != "dagger" {
		return refuse("is no call of dagger")
	}
	folder, rest = ".", argv[1:]
	for called := false; ; {
		switch {
		case len(rest) > 1 && (rest[0] == "-m" || rest[0] == "--mod"):
			folder, rest = rest[1], rest[2:]
		case len(rest) > 0 && strings.HasPrefix(rest[0], "--progress="):
			rest = rest[1:]
		case len(rest) > 0 && rest[0] == "call" && !called:
			called, rest = true, rest[1:]
		case called:
			return folder, rest, nil
		case len(rest) > 0:
			return refuse(fmt.Sprintf("has %q where call belongs", rest[0]))
		default:
			return refuse("is not complete")
		}
	}
}

// parse takes a function's flags off, and checks them.
func (f function) parse(call, name string, args []string) ([]string, error) {
	refuse := func(reason, mend string) ([]string, error) {
		return nil, step.Input(stage, call, reason, mend)
	}
	given := map[string]bool{}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if args[0] == help {
			return args, nil
		}
		text, value, has := strings.Cut(args[0], "=")
		args = args[1:]
		if text == "-j" || text == "--json" {
			continue
		}
		// The CLI takes other spellings, too; one is enough to read.
		long := strings.TrimPrefix(text, "--")
		flag, ok := f.flags[long]
		if text == "-o" || text == "--output" {
			ok = true
		}
		if !ok {
			return refuse(fmt.Sprintf("%s has no flag %s", name, text), "use "+f.usage())
		}
		if !has && !flag.boolean {
			if len(args) == 0 {
				return refuse(fmt.Sprintf("the flag %s of %s has no value", text, name), "give it one")
			}
			value, args = args[0], args[1:]
		}
		if flag.secret && !secretAddress(value) {
			return refuse(fmt.Sprintf("the flag %s of %s is a secret's text, which whoever lists processes sees", text, name), "name where it lies: env:NAME or file:PATH")
		}
		if flag.values != nil && !slices.ContainsFunc(flag.values, func(v string) bool { return strings.EqualFold(v, value) }) {
			return refuse(fmt.Sprintf("the flag %s of %s is %q", text, name, value), "use one of "+strings.Join(flag.values, ", "))
		}
		given[long] = true
	}
	for _, long := range slices.Sorted(maps.Keys(f.flags)) {
		if f.flags[long].required && !given[long] {
			return refuse(fmt.Sprintf("%s lacks the flag --%s", name, long), "give it")
		}
	}
	return args, nil
}

// secretAddress says whether a value names a secret and is none. Of the CLI's ways to
// name one, cmd is left out: it runs a shell.
func secretAddress(value string) bool {
	scheme, rest, ok := strings.Cut(value, ":")
	return ok && rest != "" && slices.Contains([]string{"env", "file", "op", "vault", "libsecret", "gcp", "aws+sm", "aws+ps"}, scheme)
}

func (f function) usage() string {
	if len(f.flags) == 0 {
		return "no flag"
	}
	return "--" + strings.Join(slices.Sorted(maps.Keys(f.flags)), ", --")
}
