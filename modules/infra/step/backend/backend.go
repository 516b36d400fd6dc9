// Package backend describes where a Terraform state lives: an endpoint of
// Terraform's http backend, a secret of its kubernetes backend or a blob of its
// azurerm backend; always with locking.
//
// What the code needs not know, and nobody else may (passwords, host names,
// credentials), is handed to Terraform in environment variables and not as
// backend configuration, because Terraform copies backend configuration into
// the plan file.
//
// See https://developer.hashicorp.com/terraform/language/backend.
package backend

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"

	"slipway/step"
	"slipway/step/reach"
)

// Type is one of Terraform's backends.
type Type string

// The backends that a state may live in.
const (
	TypeHTTP       Type = "http"
	TypeKubernetes Type = "kubernetes"
	TypeAzurerm    Type = "azurerm"
)

// Config is the content of a backend configuration file: a JSON object whose
// type says which of the others its names belong to; without a type it is of
// the http backend. Unknown names are refused, and a password is never among
// them: it comes as a file of its own.
type Config struct {
	// Type says which of the others is set.
	Type       Type
	HTTP       HTTP
	Kubernetes Kubernetes
	Azurerm    Azurerm
}

// HTTP has the http backend's own names. Only address is required; the lock
// addresses default to it, so a state is never used without its lock.
type HTTP struct {
	Type Type `json:"type,omitempty"`
	// Address is the state's URL, as everybody knows it (the logical one).
	Address string `json:"address"`
	// LockAddress and UnlockAddress take and give back the state's lock.
	LockAddress   string `json:"lock_address,omitempty"`
	UnlockAddress string `json:"unlock_address,omitempty"`
	// UpdateMethod, LockMethod and UnlockMethod default to POST, LOCK and
	// UNLOCK, as in Terraform.
	UpdateMethod string `json:"update_method,omitempty"`
	LockMethod   string `json:"lock_method,omitempty"`
	UnlockMethod string `json:"unlock_method,omitempty"`
	// Username is for HTTP basic authentication; empty is anonymous.
	Username string `json:"username,omitempty"`
}

// Kubernetes has the kubernetes backend's own names. The state is a Secret, its
// lock a Lease; the cluster is the kubeconfig's.
type Kubernetes struct {
	Type         Type   `json:"type"`
	Namespace    string `json:"namespace"`
	SecretSuffix string `json:"secret_suffix"`
}

// Azurerm has the azurerm backend's own names. The state is a blob, its lock
// the blob's lease; who reads and writes it is said by ARM_* variables.
type Azurerm struct {
	Type               Type   `json:"type"`
	ResourceGroupName  string `json:"resource_group_name,omitempty"`
	StorageAccountName string `json:"storage_account_name"`
	ContainerName      string `json:"container_name"`
	Key                string `json:"key"`
}

var (
	method = regexp.MustCompile(`\A[A-Z]{1,16}\z`)
	// Terraform splits a large state into secrets with a number behind.
	numbered      = regexp.MustCompile(`-[0-9]+\z`)
	resourceGroup = regexp.MustCompile(`\A[A-Za-z0-9_().-]{0,89}[A-Za-z0-9_()-]\z`)
	account       = regexp.MustCompile(`\A[a-z0-9]{3,24}\z`)
	container     = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{1,61}[a-z0-9])\z`)
	blob          = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*\z`)
)

// Read loads and validates a backend configuration file. It returns an input
// Fault of stage that names the file and the field.
func Read(stage, file string) (Config, error) {
	const mend = `give a JSON object such as {"address": "https://state.example.org/state/local/dev"} or {"type": "kubernetes", "namespace": "slipway-system", "secret_suffix": "local-dev"}`
	what := "backend config " + file
	data, err := os.ReadFile(file)
	if err != nil {
		return Config{}, step.Input(stage, what, "can't be read", mend).Because(err)
	}
	var kind struct {
		Type Type `json:"type"`
	}
	// What is wrong with the rest is said below.
	_ = json.Unmarshal(data, &kind)
	c := Config{Type: kind.Type}
	var into any = &c.HTTP
	switch kind.Type {
	case "", TypeHTTP:
		c.Type = TypeHTTP
	case TypeKubernetes:
		into = &c.Kubernetes
	case TypeAzurerm:
		into = &c.Azurerm
	default:
		return Config{}, step.Input(stage, what+", type", fmt.Sprintf("%.80q is not a backend", kind.Type), "give http, kubernetes or azurerm")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return Config{}, step.Input(stage, what, err.Error(), mend).Because(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Config{}, step.Input(stage, what, "has something after its object", mend)
	}
	switch c.Type {
	case TypeKubernetes:
		err = c.Kubernetes.validate(stage, what)
	case TypeAzurerm:
		err = c.Azurerm.validate(stage, what)
	default:
		err = c.HTTP.validate(stage, what)
	}
	return c, err
}

// Address is the state's logical address, which a plan is bound to.
func (c Config) Address() string {
	switch c.Type {
	case TypeKubernetes:
		return "kubernetes://" + c.Kubernetes.Namespace + "/" + c.Kubernetes.SecretSuffix
	case TypeAzurerm:
		return "azurerm://" + c.Azurerm.StorageAccountName + "/" + c.Azurerm.ContainerName + "/" + c.Azurerm.Key
	default:
		return c.HTTP.Address
	}
}

// OverrideFile is the name of the file that Override belongs into. Terraform
// merges it into the code last.
const OverrideFile = "slipway_override.tf.json"

// Settings are what Terraform is told about the state in OverrideFile. Nothing
// in them is secret, or depends on where the run is.
func (c Config) Settings() map[string]string {
	settings := map[string]string{}
	switch c.Type {
	case TypeKubernetes:
		settings["namespace"] = c.Kubernetes.Namespace
		settings["secret_suffix"] = c.Kubernetes.SecretSuffix
	case TypeAzurerm:
		settings["storage_account_name"] = c.Azurerm.StorageAccountName
		settings["container_name"] = c.Azurerm.ContainerName
		settings["key"] = c.Azurerm.Key
		if c.Azurerm.ResourceGroupName != "" {
			settings["resource_group_name"] = c.Azurerm.ResourceGroupName
		}
	}
	return settings
}

// Override is the content of OverrideFile: the backend, in place of the one
// that the code declares.
func (c Config) Override() ([]byte, error) {
	data, err := json.MarshalIndent(map[string]any{
		"terraform": map[string]any{"backend": map[Type]any{c.Type: c.Settings()}},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode backend: %w", err)
	}
	return append(data, '\n'), nil
}

func (c *HTTP) validate(stage, what string) error {
	if c.LockAddress == "" {
		c.LockAddress = c.Address
	}
	if c.UnlockAddress == "" {
		c.UnlockAddress = c.LockAddress
	}
	for _, f := range []struct{ name, value string }{
		{"address", c.Address}, {"lock_address", c.LockAddress}, {"unlock_address", c.UnlockAddress},
	} {
		if reason := checkURL(f.value); reason != "" {
			return step.Input(stage, what+", "+f.name, reason,
				"give an https URL without credentials in it; http is for loopback hosts only")
		}
	}
	for _, f := range []struct {
		name  string
		value *string
		usual string
	}{
		{"update_method", &c.UpdateMethod, "POST"}, {"lock_method", &c.LockMethod, "LOCK"}, {"unlock_method", &c.UnlockMethod, "UNLOCK"},
	} {
		if *f.value == "" {
			*f.value = f.usual
		}
		if !method.MatchString(*f.value) {
			return step.Input(stage, what+", "+f.name, "is not an HTTP method", "give one such as "+f.usual)
		}
	}
	return nil
}

func (c Kubernetes) validate(stage, what string) error {
	if err := step.Name(stage, what+", namespace", c.Namespace); err != nil {
		return err
	}
	if err := step.Name(stage, what+", secret_suffix", c.SecretSuffix); err != nil {
		return err
	}
	if numbered.MatchString(c.SecretSuffix) {
		return step.Input(stage, fmt.Sprintf("%s, secret_suffix %q", what, c.SecretSuffix), "ends in a dash and a number",
			"name the environment differently: Terraform keeps such names for the parts of large states")
	}
	return nil
}

func (c Azurerm) validate(stage, what string) error {
	for _, f := range []struct {
		name, value string
		ok          bool
		mend        string
	}{
		{"resource_group_name", c.ResourceGroupName, c.ResourceGroupName == "" || resourceGroup.MatchString(c.ResourceGroupName), "give the storage account's resource group, or leave it out"},
		{"storage_account_name", c.StorageAccountName, account.MatchString(c.StorageAccountName), "give 3 to 24 lower-case letters and digits"},
		{"container_name", c.ContainerName, container.MatchString(c.ContainerName), "give 3 to 63 lower-case letters, digits and dashes"},
		{"key", c.Key, blob.MatchString(c.Key) && len(c.Key) <= 1024, "give the blob's name, such as local/dev.tfstate"},
	} {
		if !f.ok {
			return step.Input(stage, fmt.Sprintf("%s, %s %.80q", what, f.name, f.value), "is not a valid name", f.mend)
		}
	}
	return nil
}

// checkURL says what is wrong with an address; empty when nothing is.
func checkURL(value string) string {
	u, err := url.Parse(value)
	switch {
	case value == "":
		return "is missing"
	case err != nil:
		return "is not a URL"
	case u.User != nil:
		return "holds credentials"
	case u.Hostname() == "" || u.Fragment != "":
		return "is not a URL of a state"
	case u.Scheme == "https":
		return ""
	case u.Scheme == "http" && reach.Loopback(u.Hostname()):
		return ""
	case u.Scheme == "http":
		return "is plain HTTP to a host that is not this one"
	default:
		return "is neither https nor http"
	}
}

// dial returns address with its host replaced by the one it is connected to.
// Only plain-HTTP addresses can be: a TLS certificate belongs to its name.
func dial(connect reach.Connections, stage, address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", step.Input(stage, "state address", "is not a URL", "give an http or https URL").Because(err)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	actual, ok := connect[net.JoinHostPort(u.Hostname(), port)]
	if !ok {
		return address, nil
	}
	if u.Scheme != "http" {
		return "", step.Input(stage, "--connect for "+address, "is for plain-HTTP loopback names only",
			"reach an https state by its own name")
	}
	u.Host = actual
	return u.String(), nil
}

// Endpoint is a state as one process reaches it.
type Endpoint struct {
	// Config is the state's logical description.
	Config Config
	// Connect says where its hosts are reached from here.
	Connect reach.Connections
	// Password goes with the http backend's username. For the azurerm backend
	// it is the text of its ARM_* variables; see Variables. Empty when there
	// is none.
	Password string
}

// Env returns the environment variables that Terraform's backend reaches the
// state with. Each request of the http backend is tried three times, at most
// 3 s apart. The kubernetes backend has none here: it takes the kubeconfig.
func (e Endpoint) Env(stage string) (map[string]string, error) {
	switch e.Config.Type {
	case TypeKubernetes:
		return map[string]string{}, nil
	case TypeAzurerm:
		return Variables(stage, e.Password)
	}
	c := e.Config.HTTP
	env := map[string]string{
		"TF_HTTP_UPDATE_METHOD":  c.UpdateMethod,
		"TF_HTTP_LOCK_METHOD":    c.LockMethod,
		"TF_HTTP_UNLOCK_METHOD":  c.UnlockMethod,
		"TF_HTTP_RETRY_MAX":      "2",
		"TF_HTTP_RETRY_WAIT_MIN": "1",
		"TF_HTTP_RETRY_WAIT_MAX": "3",
	}
	for name, address := range map[string]string{
		"TF_HTTP_ADDRESS":        c.Address,
		"TF_HTTP_LOCK_ADDRESS":   c.LockAddress,
		"TF_HTTP_UNLOCK_ADDRESS": c.UnlockAddress,
	} {
		actual, err := dial(e.Connect, stage, address)
		if err != nil {
			return nil, err
		}
		env[name] = actual
	}
	if c.Username != "" {
		env["TF_HTTP_USERNAME"] = c.Username
		env["TF_HTTP_PASSWORD"] = e.Password
	}
	return env, nil
}

var variable = regexp.MustCompile(`\AARM_[A-Z0-9_]{1,60}\z`)

// Variables reads the azurerm backend's credentials: lines NAME=value, each of
// a variable ARM_*; empty lines and those that begin with # say nothing. A
// fault names the line, never its value.
func Variables(stage, text string) (map[string]string, error) {
	const mend = "give lines such as ARM_CLIENT_ID=…, with the names of Terraform's azurerm backend"
	env := map[string]string{}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		where := fmt.Sprintf("azurerm credentials, line %d", n+1)
		name, value, ok := strings.Cut(line, "=")
		if !ok || !variable.MatchString(name) || strings.ContainsRune(value, 0) {
			return nil, step.Input(stage, where, "is not ARM_…=value", mend)
		}
		if _, twice := env[name]; twice {
			return nil, step.Input(stage, where, "sets "+name+" again", "keep one of the two")
		}
		env[name] = value
	}
	return env, nil
}
