package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"slipway/step"
	"slipway/step/result/infra"
)

// The types of a Backend.
const (
	BackendKubernetes = "kubernetes"
	BackendAzurerm    = "azurerm"
)

// Backend is a Terraform state that is not behind an http URL: infra.state in
// its long form.
type Backend struct {
	// Type is kubernetes or azurerm.
	Type string
	// Namespace is that of the Secrets that a kubernetes backend keeps states
	// in; the state of an environment is tfstate-default-<code>-<environment>.
	// The cluster is the kubeconfig's.
	Namespace string
	// ResourceGroup, StorageAccount and Container are where an azurerm backend
	// keeps states; that of an environment is <code>/<environment>.tfstate.
	// The ARM_… credentials are an argument.
	ResourceGroup, StorageAccount, Container string
}

// backendKeys are the keys of each type's object, beside type.
var backendKeys = map[string][]string{
	BackendKubernetes: {"namespace"},
	BackendAzurerm:    {"resourceGroup", "storageAccount", "container"},
}

var (
	groupPattern     = regexp.MustCompile(`\A[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]\z`)
	accountPattern   = regexp.MustCompile(`\A[a-z0-9]{3,24}\z`)
	containerPattern = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{1,61}[a-z0-9])\z`)
	numberedPattern  = regexp.MustCompile(`-[0-9]+\z`)
)

// UnmarshalYAML reads infra with state in either form. The rest stays strict.
func (i *Infra) UnmarshalYAML(node *yaml.Node) error { return i.read("infra", node) }

// read is UnmarshalYAML at a place in the file: infra, or infra.cluster.
func (i *Infra) read(where string, node *yaml.Node) error {
	err := fields(where, node, func(key, value *yaml.Node) (err error) {
		switch {
		case key.Value == "code":
			i.Code, err = text(where+".code", value)
		case key.Value == "username":
			i.Username, err = text(where+".username", value)
		case key.Value == "lockTimeout":
			i.LockTimeout, err = patience(where+".lockTimeout", value)
		case key.Value == "state" && value.Kind == yaml.MappingNode:
			i.Backend, err = backend(where+".state", value)
		case key.Value == "state":
			i.State, err = text(where+".state", value)
		case key.Value == "allow" && where == "infra":
			i.Allow, err = allowed(where+".allow", value)
		case key.Value == "cluster" && where == "infra":
			i.Cluster = &Infra{}
			err = i.Cluster.read(where+".cluster", value)
		default:
			err = fmt.Errorf("line %d: %s has no key %q", key.Line, where, key.Value)
		}
		return err
	})
	if i.Cluster != nil {
		i.Cluster.Allow = i.Allow
	}
	return err
}

var (
	providerPattern = regexp.MustCompile(`\A[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9_-]+){2}\z`)
	wordPattern     = regexp.MustCompile(`\A[a-z][a-z0-9_-]*\z`)
)

// allowed reads what Terraform code may use. Nothing in it is a pattern.
func allowed(where string, node *yaml.Node) (*infra.Allowed, error) {
	var a infra.Allowed
	words := func(at string, node *yaml.Node) ([]string, error) {
		list := []string{}
		if node.Kind != yaml.SequenceNode {
			return nil, fmt.Errorf("line %d: %s is not a list", node.Line, at)
		}
		for _, item := range node.Content {
			word, err := text(at, item)
			if err != nil {
				return nil, err
			}
			if !wordPattern.MatchString(word) {
				return nil, fmt.Errorf("line %d: %s %.80q is not a name; each is written out", item.Line, at, word)
			}
			list = append(list, word)
		}
		return list, nil
	}
	err := fields(where, node, func(key, value *yaml.Node) (err error) {
		at := where + "." + key.Value
		switch key.Value {
		case "data":
			if a.Data, err = words(at, value); err == nil && slices.Contains(a.Data, infra.OtherState) {
				err = fmt.Errorf("line %d: %s can't have %s: no environment reads another one's state", value.Line, at, infra.OtherState)
			}
		case "provisioners":
			a.Provisioners, err = words(at, value)
		case "providers":
			a.Providers = map[string][]string{}
			err = fields(at, value, func(key, value *yaml.Node) (err error) {
				if !providerPattern.MatchString(key.Value) {
					return fmt.Errorf("line %d: %s %.120q is not a provider's full address, such as registry.terraform.io/hashicorp/azurerm", key.Line, at, key.Value)
				}
				a.Providers[key.Value], err = words(at+"."+key.Value, value)
				return err
			})
		default:
			err = fmt.Errorf("line %d: %s has no key %q, only providers, data and provisioners", key.Line, where, key.Value)
		}
		return err
	})
	return &a, err
}

// fields visits the keys of a mapping, each once.
func fields(where string, node *yaml.Node, visit func(key, value *yaml.Node) error) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: %s is not a mapping", node.Line, where)
	}
	seen := map[string]bool{}
	for n := 0; n+1 < len(node.Content); n += 2 {
		key := node.Content[n]
		if seen[key.Value] {
			return fmt.Errorf("line %d: %s has %s twice", key.Line, where, key.Value)
		}
		seen[key.Value] = true
		if err := visit(key, node.Content[n+1]); err != nil {
			return err
		}
	}
	return nil
}

func backend(where string, node *yaml.Node) (*Backend, error) {
	b, values := &Backend{}, map[string]string{}
	if err := fields(where, node, func(key, value *yaml.Node) (err error) {
		values[key.Value], err = text(where+"."+key.Value, value)
		return err
	}); err != nil {
		return nil, err
	}
	b.Type = values["type"]
	keys, ok := backendKeys[b.Type]
	if !ok {
		return nil, fmt.Errorf("line %d: %s.type %q is neither kubernetes nor azurerm; an http state is written as its URL", node.Line, where, b.Type)
	}
	for n := 0; n < len(node.Content); n += 2 {
		if key := node.Content[n]; key.Value != "type" && !slices.Contains(keys, key.Value) {
			return nil, fmt.Errorf("line %d: %s of type %s has no key %q, only %s", key.Line, where, b.Type, key.Value, strings.Join(keys, ", "))
		}
	}
	b.Namespace = values["namespace"]
	b.ResourceGroup, b.StorageAccount, b.Container = values["resourceGroup"], values["storageAccount"], values["container"]
	return b, nil
}

// patience is a duration that a run may wait.
func patience(where string, node *yaml.Node) (time.Duration, error) {
	value, err := text(where, node)
	if err != nil {
		return 0, err
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < time.Second || d > time.Hour || d%time.Second != 0 {
		return 0, fmt.Errorf("line %d: %s %.40q is not a duration of whole seconds, from 1s to 1h", node.Line, where, value)
	}
	return d, nil
}

// text is a scalar that is a string.
func text(where string, node *yaml.Node) (string, error) {
	if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!str" {
		return "", fmt.Errorf("line %d: %s is not a string", node.Line, where)
	}
	return node.Value, nil
}

// InCluster reports whether the state is in a cluster.
func (i Infra) InCluster() bool {
	return i.State == "" && i.Backend != nil && i.Backend.Type == BackendKubernetes
}

// Allowed is what the code may use, as the infra step reads it.
func (i Infra) Allowed() (string, error) {
	allow := &infra.DefaultAllowed
	if i.Allow != nil {
		allow = i.Allow
	}
	data, err := json.Marshal(allow)
	return string(data), err
}

// StateConfig is the description of an environment's state that the infra step
// reads. A URL wins over a Backend: it is what overrides one.
func (i Infra) StateConfig(environment, username string) (string, error) {
	settings := map[string]string{}
	b := i.Backend
	switch {
	case i.State != "" || b == nil:
		address := i.State + "/" + i.Code + "/" + environment
		settings = map[string]string{
			"address": address, "lock_address": address, "unlock_address": address, "lock_method": "LOCK", "unlock_method": "UNLOCK",
		}
		if username != "" {
			settings["username"] = username
		}
	case b.Type == BackendKubernetes:
		settings["type"], settings["namespace"], settings["secret_suffix"] = b.Type, b.Namespace, i.suffix(environment)
	default:
		settings["type"], settings["resource_group_name"], settings["storage_account_name"] = b.Type, b.ResourceGroup, b.StorageAccount
		settings["container_name"], settings["key"] = b.Container, i.Code+"/"+environment+".tfstate"
	}
	data, err := json.Marshal(settings)
	return string(data), err
}

func (i Infra) suffix(environment string) string { return i.Code + "-" + environment }

// validate checks the code's name, and the state in either form, at a place in
// the file.
func (i Infra) validate(at string, environments []string) error {
	if err := step.Name(stage, File+": "+at+".code", i.Code); err != nil {
		return err
	}
	b := i.Backend
	where := File + ": " + at + ".state"
	if i.State != "" || b == nil {
		if cleanURL(i.State) {
			return nil
		}
		return step.Input(stage, fmt.Sprintf("%s %q", where, i.State), "is not an http(s) URL without credentials",
			"give the state backend's base URL, its password is an argument; or {type: kubernetes, namespace: …} or {type: azurerm, …}")
	}
	if i.Username != "" {
		return step.Input(stage, fmt.Sprintf("%s: %s.username %q", File, at, i.Username), "is for an http state only", "leave it out: the credentials of "+b.Type+" are an argument")
	}
	if b.Type == BackendKubernetes {
		if err := step.Name(stage, where+".namespace", b.Namespace); err != nil {
			return err
		}
		for _, name := range environments {
			suffix := i.suffix(name)
			if err := step.Name(stage, where+" of "+name+": secret suffix", suffix); err != nil {
				return err
			}
			if numberedPattern.MatchString(suffix) {
				return step.Input(stage, fmt.Sprintf("%s of %s: secret suffix %q", where, name, suffix), "ends in a dash and a number",
					"name the environment differently: Terraform keeps such names for the parts of large states")
			}
		}
		return nil
	}
	for _, k := range []struct {
		key, value, mend string
		ok               bool
	}{
		{"resourceGroup", b.ResourceGroup, "give the storage account's resource group", groupPattern.MatchString(b.ResourceGroup)},
		{"storageAccount", b.StorageAccount, "give 3 to 24 lower-case letters and digits", accountPattern.MatchString(b.StorageAccount)},
		{"container", b.Container, "give 3 to 63 lower-case letters, digits and dashes", containerPattern.MatchString(b.Container)},
	} {
		if !k.ok {
			return step.Input(stage, fmt.Sprintf("%s.%s %q", where, k.key, k.value), "is not a valid name", k.mend)
		}
	}
	return nil
}
