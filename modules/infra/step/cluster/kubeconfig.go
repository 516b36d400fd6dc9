// Package cluster prepares the kubeconfig that Terraform reaches a cluster with.
package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"slipway/step"
	"slipway/step/azure"
	"slipway/step/reach"
)

// source is the part of a kubeconfig that is read.
type source struct {
	CurrentContext string `yaml:"current-context"`
	Clusters       []struct {
		Name    string `yaml:"name"`
		Cluster struct {
			Server        string `yaml:"server"`
			TLSServerName string `yaml:"tls-server-name"`
			CA            string `yaml:"certificate-authority-data"`
			Insecure      bool   `yaml:"insecure-skip-tls-verify"`
			CAFile        string `yaml:"certificate-authority"`
			Proxy         string `yaml:"proxy-url"`
		} `yaml:"cluster"`
	} `yaml:"clusters"`
	Contexts []struct {
		Name    string `yaml:"name"`
		Context struct {
			Cluster string `yaml:"cluster"`
			User    string `yaml:"user"`
		} `yaml:"context"`
	} `yaml:"contexts"`
	Users []struct {
		Name string `yaml:"name"`
		User struct {
			Certificate     string   `yaml:"client-certificate-data"`
			Key             string   `yaml:"client-key-data"`
			Token           string   `yaml:"token"`
			CertificateFile string   `yaml:"client-certificate"`
			KeyFile         string   `yaml:"client-key"`
			TokenFile       string   `yaml:"tokenFile"`
			Provider        any      `yaml:"auth-provider"`
			Exec            *program `yaml:"exec"`
		} `yaml:"user"`
	} `yaml:"users"`
}

// program is what gives credentials to whoever runs it.
type program struct {
	Command string   `yaml:"command"`
	Args    []string `yaml:"args"`
}

const flatten = "give what `kubectl config view --raw --minify --flatten` prints"

// Kubeconfig reads a kubeconfig and returns one with nothing but its current
// context, whose server is where connect says that it is reached. TLS still
// verifies the server's own name. Where AKS would take the credentials from its
// program kubelogin, they are those of who is in Azure, and this program's to give. A
// kubeconfig that takes its credentials from another program or file, or that trusts
// any server, is an input Fault of stage; what it holds is never part of one.
func Kubeconfig(ctx context.Context, stage, file string, connect reach.Connections, who azure.Access) ([]byte, error) {
	input := fmt.Sprintf("kubeconfig %q", file)
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, step.Input(stage, input, "can't be read", "give the path of a kubeconfig file").Because(err)
	}
	var c source
	// The error of a parser may quote what it read.
	if yaml.Unmarshal(data, &c) != nil {
		return nil, step.Input(stage, input, "is not a kubeconfig", flatten)
	}
	var clusterName, userName string
	for _, x := range c.Contexts {
		if x.Name == c.CurrentContext {
			clusterName, userName = x.Context.Cluster, x.Context.User
		}
	}
	if clusterName == "" || userName == "" {
		return nil, step.Input(stage, input, "has no current context", "name one with `kubectl config use-context`")
	}
	cluster, user := map[string]any{}, map[string]any{}
	for _, x := range c.Users {
		u := x.User
		switch {
		case x.Name != userName:
			continue
		case u.Provider != nil || u.CertificateFile+u.KeyFile+u.TokenFile != "":
			return nil, step.Input(stage, input, "takes its credentials from a program or another file",
				"give a kubeconfig that holds a token or a client certificate")
		case u.Exec != nil:
			if user["exec"], err = token(ctx, stage, input, u.Exec, who); err != nil {
				return nil, err
			}
			continue
		}
		set(user, "token", u.Token)
		set(user, "client-certificate-data", u.Certificate)
		set(user, "client-key-data", u.Key)
	}
	if len(user) == 0 {
		return nil, step.Input(stage, input, "holds no credentials", "give a kubeconfig that holds a token or a client certificate")
	}
	for _, x := range c.Clusters {
		if x.Name != clusterName {
			continue
		}
		switch {
		case x.Cluster.Insecure:
			return nil, step.Input(stage, input, "turns the verification of the server's certificate off",
				"give certificate-authority-data instead of insecure-skip-tls-verify")
		case x.Cluster.CAFile != "":
			return nil, step.Input(stage, input, "refers to another file", flatten)
		case x.Cluster.Proxy != "":
			return nil, step.Input(stage, input, "names a proxy", "give a kubeconfig without proxy-url")
		}
		server, name, err := reached(x.Cluster.Server, connect)
		if err != nil {
			return nil, step.Input(stage, input, "has no https server", "give the server as https://host:port").Because(err)
		}
		set(cluster, "server", server)
		set(cluster, "tls-server-name", name)
		set(cluster, "tls-server-name", x.Cluster.TLSServerName)
		set(cluster, "certificate-authority-data", x.Cluster.CA)
	}
	if len(cluster) == 0 {
		return nil, step.Input(stage, input, "lacks the cluster of its current context", flatten)
	}
	const name = "slipway"
	// JSON is YAML, too.
	return json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": name,
		"clusters": []any{map[string]any{"name": name, "cluster": cluster}},
		"users":    []any{map[string]any{"name": name, "user": user}},
		"contexts": []any{map[string]any{"name": name, "context": map[string]string{"cluster": name, "user": name}}},
	})
}

// reach returns the URL that a server is reached at, and the name that its
// certificate is for when that is another one.
func reached(server string, connect reach.Connections) (actual, name string, err error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", "", err
	}
	if u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return "", "", fmt.Errorf("%q is not https://host:port", u.Redacted())
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	at, ok := connect[net.JoinHostPort(u.Hostname(), port)]
	if !ok {
		return server, "", nil
	}
	name = u.Hostname()
	u.Host = at
	return u.String(), name, nil
}

// Plugin is the command that this program gives a cluster's token by; main has it.
const Plugin = "kubernetes-token"

// token is the program that gives the cluster's clients a token whenever they need
// one: this one, in kubelogin's place. It is asked for one first, so that a refusal
// is told before anything begins.
func token(ctx context.Context, stage, input string, exec *program, who azure.Access) (any, error) {
	credential, err := who.Open(stage)
	if err != nil {
		return nil, err
	}
	if err := credential.Kubelogin(stage, input, exec.Command, exec.Args); err != nil {
		return nil, err
	}
	if _, err := credential.Token(ctx, azure.Kubernetes); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if who.Token, err = filepath.Abs(who.Token); err != nil {
		return nil, err
	}
	return map[string]any{
		"apiVersion": azure.ExecVersion, "command": self, "args": []string{Plugin, "--azure", who.Identity, "--azure-token-file", who.Token},
		"interactiveMode": "Never", "provideClusterInfo": false,
	}, nil
}

// Credentials are the secrets in what Kubeconfig returned.
func Credentials(kubeconfig []byte) any {
	var c source
	if err := yaml.Unmarshal(kubeconfig, &c); err != nil {
		panic(err) // Kubeconfig has written it
	}
	secrets := []any{}
	for _, x := range c.Users {
		secrets = append(secrets, x.User.Token, x.User.Key)
	}
	return secrets
}

func set(into map[string]any, name, value string) {
	if value != "" {
		into[name] = value
	}
}
