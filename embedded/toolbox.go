package embedded

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Toolbox names published programs that are verified and pulled instead of
// compiled. .env remembers them for later runs and for dagger call.
type Toolbox struct {
	// Tools and Node are references, repository@digest.
	Tools, Node string
	// Key is the PEM public key that must have signed them.
	Key string

	given map[string]bool
}

// Flags defines the toolbox's flags. An empty value takes back what an earlier
// run was given.
func (t *Toolbox) Flags(flags *flag.FlagSet) {
	flags.StringVar(&t.Tools, "toolbox", "", "programs of the pipeline to verify and pull, as repository@sha256:…")
	flags.StringVar(&t.Node, "node", "", "programs of the cluster to verify and pull, as repository@sha256:…")
	flags.StringVar(&t.Key, "toolbox-key", "", "public key that must have signed them; by default the checkout's own")
}

// Given takes note of which flags were given, and makes the key's path absolute.
func (t *Toolbox) Given(flags *flag.FlagSet) (err error) {
	t.given = map[string]bool{}
	flags.Visit(func(f *flag.Flag) { t.given[f.Name] = true })
	if t.Key == "" {
		return nil
	}
	if t.Tools == "" && t.Node == "" {
		return errors.New("--toolbox-key needs --toolbox or --node")
	}
	if t.Key, err = filepath.Abs(t.Key); err == nil {
		_, err = os.Stat(t.Key)
	}
	return err
}

// settings are the lines of .env that name the toolbox: what was given now, or
// else what the old .env says. ownKey and address are the checkout's public key
// and embedded registry.
func (t *Toolbox) settings(old, ownKey, address string) string {
	was := map[string]string{}
	for line := range strings.Lines(old) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		was[name] = value
	}
	var b strings.Builder
	for _, of := range []struct{ flag, given, module string }{{"toolbox", t.Tools, "SLIPWAY"}, {"node", t.Node, "SANDBOX"}} {
		reference, key := was[of.module+"_TOOLBOX"], was[of.module+"_TOOLBOXKEY"]
		if t.given[of.flag] {
			reference, key = of.given, t.Key
		}
		if reference == "" {
			continue
		}
		if key == "" {
			key = ownKey
		}
		fmt.Fprintf(&b, "%s_TOOLBOX=%s\n%[1]s_TOOLBOXKEY=%[3]s\n", of.module, reference, key)
		if of.flag == "node" && strings.HasPrefix(reference, "localhost:") {
			fmt.Fprintf(&b, "%s_REGISTRY=tcp://%s\n", of.module, address)
		}
	}
	return b.String()
}

// Registry is where a toolbox is published to; empty fields mean the configured
// registry.
type Registry struct {
	// Repository is the prefix of its images, host[:port][/path].
	Repository string
	// Username and Password are who pushes; Password is a reference of the dagger
	// CLI to a secret, such as env:TOKEN.
	Username, Password string
}

// Flags defines the registry's flags.
func (r *Registry) Flags(flags *flag.FlagSet) {
	flags.StringVar(&r.Repository, "repository", "", "prefix of the images, as host[:port][/path]; by default the configured registry's")
	flags.StringVar(&r.Username, "username", "", "who pushes")
	flags.StringVar(&r.Password, "password", "", "the password or token, as env:NAME or file:PATH")
}

// PublishToolbox compiles what is missing, publishes the programs of the pipeline
// and of the cluster, signed with the checkout's key, and says how another
// machine takes them.
func (p *Platform) PublishToolbox(ctx context.Context, to Registry, out io.Writer) error {
	if err := p.Up(ctx); err != nil {
		return err
	}
	var account []string
	for _, of := range []struct{ flag, value string }{{"--username", to.Username}, {"--password", to.Password}} {
		if of.value != "" {
			account = append(account, of.flag, of.value)
		}
	}
	call := []string{"call"}
	if to != (Registry{}) {
		call = append(append(call, "with-registry"), account...)
	}
	if to.Repository != "" {
		call = append(call, "--repository", to.Repository)
	}
	tools, err := p.reference(ctx, nil, "publish the programs of the pipeline", append(call, "toolbox", "publish")...)
	if err != nil {
		return err
	}
	prefix, _, ok := strings.Cut(tools, "/toolbox@")
	if !ok {
		return fmt.Errorf("toolbox publish returned %q, which is not a reference of a toolbox", tools)
	}
	var env []string
	if strings.HasPrefix(prefix, "localhost:") && to.Username == "" && to.Password == "" {
		as, err := p.account("toolbox")
		if err != nil {
			return err
		}
		account = []string{"--username", as.Username, "--password", "env:" + passwordVariable}
		env = []string{passwordVariable + "=" + as.Password}
	}
	args := append([]string{
		"-m", "modules/sandbox", "call", "publish", "--repository", prefix,
		"--key", "file://" + p.path("keys", "cosign.key"), "--key-password", "file://" + p.path("keys", "password"),
	}, account...)
	if strings.HasPrefix(prefix, "localhost:") {
		args = append(args, "--service", "tcp://"+p.address)
	}
	node, err := p.reference(ctx, env, "publish the programs of the cluster", args...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `Published, and signed with the key of %s:
  the pipeline's programs  %s
  the cluster's programs   %s
Another checkout of the same revision takes them with
  go tool task demo:cluster -- --toolbox %[2]s --node %[3]s --toolbox-key cosign.pub
`, p.relative("keys", "cosign.pub"), tools, node)
	return err
}

// passwordVariable carries a password of the sandbox to the dagger CLI.
const passwordVariable = "SLIPWAY_SANDBOX_PASSWORD"

// reference runs dagger and returns the reference that it prints.
func (p *Platform) reference(ctx context.Context, env []string, what string, args ...string) (string, error) {
	var out bytes.Buffer
	err := p.Progress.Do(what, func() error { return p.daggerWith(ctx, env, &out, args...) })
	return strings.TrimSpace(out.String()), err
}
