// Package backend describes where a Terraform state lives: an endpoint of
// Terraform's http backend, always with locking.
//
// The endpoint is handed to Terraform in its TF_HTTP_* variables and not as
// backend configuration, because Terraform copies backend configuration, with
// its passwords and host names, into the plan file.
//
// See https://developer.hashicorp.com/terraform/language/backend/http.
package backend

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"

	"slipway/step"
)

// Config is the content of a backend configuration file: a JSON object with
// the http backend's own names. Only address is required; the lock addresses
// default to it, so a state is never used without its lock. Unknown names are
// refused, and a password is never among them: it comes as a file of its own.
type Config struct {
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

var method = regexp.MustCompile(`\A[A-Z]{1,16}\z`)

// Read loads and validates a backend configuration file. It returns an input
// Fault of stage that names the file and the field.
func Read(stage, file string) (Config, error) {
	const mend = `give a JSON object such as {"address": "https://state.example.org/state/local/dev"}`
	data, err := os.ReadFile(file)
	if err != nil {
		return Config{}, step.Input(stage, "backend config "+file, "can't be read", mend).Because(err)
	}
	var c Config
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return Config{}, step.Input(stage, "backend config "+file, err.Error(), mend).Because(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Config{}, step.Input(stage, "backend config "+file, "has something after its object", mend)
	}
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
			return Config{}, step.Input(stage, "backend config "+file+", "+f.name, reason,
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
			return Config{}, step.Input(stage, "backend config "+file+", "+f.name, "is not an HTTP method", "give one such as "+f.usual)
		}
	}
	return c, nil
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
	case u.Hostname() == "" || u.Fragment != "" || u.Opaque != "":
		return "is not a URL of a state"
	case u.Scheme == "https":
		return ""
	case u.Scheme == "http" && loopback(u.Hostname()):
		return ""
	case u.Scheme == "http":
		return "is plain HTTP to a host that is not this one"
	default:
		return "is neither https nor http"
	}
}

func loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Connections say at which host:port a logical host:port is reached from
// here. It is a flag.Value: LOGICAL=ACTUAL, repeatable.
type Connections map[string]string

// String renders nothing: the flag has no default.
func (Connections) String() string { return "" }

// Set adds one LOGICAL=ACTUAL pair.
func (c Connections) Set(value string) error {
	logical, actual, ok := strings.Cut(value, "=")
	if !ok || !hostPort(logical) || !hostPort(actual) {
		return errors.New("want LOGICAL=ACTUAL, each a host:port")
	}
	if other, ok := c[logical]; ok && other != actual {
		return errors.New(logical + " is connected to two places")
	}
	c[logical] = actual
	return nil
}

func hostPort(value string) bool {
	host, port, err := net.SplitHostPort(value)
	return err == nil && host != "" && port != "" && !strings.ContainsAny(value, "/@?# \t\r\n")
}

// Dial returns address with its host replaced by the one it is connected to.
// Only plain-HTTP addresses can be: a TLS certificate belongs to its name.
func (c Connections) Dial(stage, address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", step.Input(stage, "state address", "is not a URL", "give an http or https URL").Because(err)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	actual, ok := c[net.JoinHostPort(u.Hostname(), port)]
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
	Connect Connections
	// Password goes with Config.Username; empty when there is none.
	Password string
}

// Env returns the environment variables that point Terraform's http backend
// at the state. Each request is tried three times, at most 3 s apart.
func (e Endpoint) Env(stage string) (map[string]string, error) {
	env := map[string]string{
		"TF_HTTP_UPDATE_METHOD":  e.Config.UpdateMethod,
		"TF_HTTP_LOCK_METHOD":    e.Config.LockMethod,
		"TF_HTTP_UNLOCK_METHOD":  e.Config.UnlockMethod,
		"TF_HTTP_RETRY_MAX":      "2",
		"TF_HTTP_RETRY_WAIT_MIN": "1",
		"TF_HTTP_RETRY_WAIT_MAX": "3",
	}
	for name, address := range map[string]string{
		"TF_HTTP_ADDRESS":        e.Config.Address,
		"TF_HTTP_LOCK_ADDRESS":   e.Config.LockAddress,
		"TF_HTTP_UNLOCK_ADDRESS": e.Config.UnlockAddress,
	} {
		actual, err := e.Connect.Dial(stage, address)
		if err != nil {
			return nil, err
		}
		env[name] = actual
	}
	if e.Config.Username != "" {
		env["TF_HTTP_USERNAME"] = e.Config.Username
		env["TF_HTTP_PASSWORD"] = e.Password
	}
	return env, nil
}
