package config

import (
	"fmt"
	"maps"
	"strings"

	"go.yaml.in/yaml/v3"
	"slipway/step"
)

// EnvironmentGitOps takes the place of a part of gitops in one environment.
type EnvironmentGitOps struct {
	// Remote is the http(s) URL of the environment's own repository.
	Remote string `yaml:"remote"`
	// Branch is the one that the environment's Argo CD follows.
	Branch string `yaml:"branch"`
	// Username is who pushes there.
	Username string `yaml:"username"`
}

// EnvironmentState takes the place of infra.state in one environment, in either of its
// forms.
type EnvironmentState struct {
	State   string
	Backend *Backend
}

// UnmarshalYAML reads a URL or a backend.
func (s *EnvironmentState) UnmarshalYAML(node *yaml.Node) (err error) {
	if node.Kind == yaml.MappingNode {
		s.Backend, err = backend("state", node)
		return err
	}
	s.State, err = text("state", node)
	return err
}

// Settings are what holds in one environment, or without one.
type Settings struct {
	GitOps  GitOps
	Signing Signing
	Infra   Infra
	Cluster Cluster
}

// For are the settings of an environment: what it says itself, and what holds everywhere
// for the rest. Without an environment they are what holds everywhere. Nothing else
// decides which of the two counts.
func (c *Config) For(env string) Settings {
	s, own := Settings{c.GitOps, c.Signing, c.Infra, c.Cluster}, c.Environments[env]
	for _, of := range []struct {
		to   *string
		from string
	}{
		{&s.GitOps.Remote, own.GitOps.Remote}, {&s.GitOps.Branch, own.GitOps.Branch}, {&s.GitOps.Username, own.GitOps.Username},
		{&s.Signing.PublicKey, own.Signing.PublicKey}, {&s.Cluster.Server, own.Server},
	} {
		if of.from != "" {
			*of.to = of.from
		}
	}
	if own.State != nil {
		s.Infra.State, s.Infra.Backend = own.State.State, own.State.Backend
		if s.Infra.Backend != nil {
			s.Infra.Username = "" // of an http state
		}
	}
	return s
}

// apart changes what environments have of their own.
func (c *Config) apart(change func(*Environment)) {
	environments := maps.Clone(c.Environments)
	for name, env := range environments {
		change(&env)
		environments[name] = env
	}
	c.Environments = environments
}

// ReleaseTo has every environment release to another repository or branch, where one is
// named.
func (c *Config) ReleaseTo(remote, branch string) {
	if remote != "" {
		c.GitOps.Remote = remote
		c.apart(func(e *Environment) { e.GitOps.Remote = "" })
	}
	if branch != "" {
		c.GitOps.Branch = branch
		c.apart(func(e *Environment) { e.GitOps.Branch = "" })
	}
}

// KeepStateAt has every environment keep its state behind another URL, if one is given.
func (c *Config) KeepStateAt(address string) {
	if address != "" {
		c.Infra.State = address
		c.apart(func(e *Environment) { e.State = nil })
	}
}

// ProvisionInCluster has infra.cluster, if there is one, take the place of the rest of
// infra, and of the states that environments have of their own.
func (c *Config) ProvisionInCluster() {
	if c.Infra.Cluster != nil {
		c.Infra = *c.Infra.Cluster
		c.apart(func(e *Environment) { e.State = nil })
	}
}

// validateApart checks what an environment has of its own.
func (c *Config) validateApart(name string) error {
	own, at := c.Environments[name], "environments."+name
	for _, k := range []struct {
		key, value, reason, mend string
		ok                       bool
	}{
		{".gitops.remote", own.GitOps.Remote, "is not an http(s) URL without credentials", "give the URL of the environment's own repository, or leave it out for gitops.remote", cleanURL(own.GitOps.Remote)},
		{".gitops.branch", own.GitOps.Branch, "is not a branch name", "give the branch that the environment's Argo CD follows, or leave it out for gitops.branch", goodBranch(own.GitOps.Branch)},
		{".server", own.Server, "is not an https URL without credentials", "give the URL of the environment's Kubernetes API as the kubeconfig names it, or leave it out", cleanURL(own.Server) && strings.HasPrefix(own.Server, "https:")},
	} {
		if k.value != "" && !k.ok {
			return step.Input(stage, fmt.Sprintf("%s: %s%s %q", File, at, k.key, Shown(k.value)), k.reason, k.mend)
		}
	}
	if key := own.Signing.PublicKey; key != "" {
		if len(c.Signing.Identities) > 0 {
			return step.Input(stage, fmt.Sprintf("%s: %s.signing.publicKey %q", File, at, key), "is given beside signing.identities", "limit identities by their environments, or let keys sign everywhere")
		}
		if err := checkKey(at+".signing", key); err != nil {
			return err
		}
	}
	if own.State != nil {
		return c.For(name).Infra.validate(at, []string{name})
	}
	return nil
}

// kubeconfig is the part of one that says which cluster it is for.
type kubeconfig struct {
	CurrentContext string        `yaml:"current-context"`
	Contexts       []kubeContext `yaml:"contexts"`
	Clusters       []kubeCluster `yaml:"clusters"`
}

type kubeContext struct {
	Name    string    `yaml:"name"`
	Context ofContext `yaml:"context"`
}

type ofContext struct {
	Cluster string `yaml:"cluster"`
}

type kubeCluster struct {
	Name    string    `yaml:"name"`
	Cluster ofCluster `yaml:"cluster"`
}

type ofCluster struct {
	Server string `yaml:"server"`
}

// server is the URL of the cluster that the current context names; empty if there is none.
func (k kubeconfig) server() string {
	for _, context := range k.Contexts {
		for _, cluster := range k.Clusters {
			if context.Name == k.CurrentContext && cluster.Name == context.Context.Cluster {
				return cluster.Cluster.Server
			}
		}
	}
	return ""
}

// Server is the URL of the cluster that a kubeconfig is for. An error tells nothing of
// its credentials.
func Server(stage string, content []byte) (string, error) {
	var k kubeconfig
	if yaml.Unmarshal(content, &k) != nil {
		return "", step.Input(stage, "kubeconfig", "can't be read", "give one as kubectl reads it")
	}
	return k.server(), nil
}

// Apart reports whether an environment names a cluster of its own.
func (c *Config) Apart() bool {
	for _, env := range c.Environments {
		if env.Server != "" {
			return true
		}
	}
	return false
}

// ReachedAt are the environments that a cluster is for, by the URL of its API: all of
// them, as long as none names a cluster of its own.
func (c *Config) ReachedAt(server string) []string {
	var reached []string
	for _, env := range c.EnvironmentNames() {
		if want := c.For(env).Cluster.Server; !c.Apart() || strings.TrimSuffix(want, "/") == strings.TrimSuffix(server, "/") {
			reached = append(reached, env)
		}
	}
	return reached
}
