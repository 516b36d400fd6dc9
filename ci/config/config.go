// Package config reads slipway.yaml, the one configuration file of a platform,
// and app.yaml, the descriptor of one app. Both are strict: an unknown key, a
// wrong type or a missing value is a fault that names the place in the file.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/mail"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/infra"
)

// File is the name of the configuration at the repository's root.
const File = "slipway.yaml"

const stage = "config"

// Config is the content of slipway.yaml.
type Config struct {
	Registry     Registry               `yaml:"registry"`
	GitOps       GitOps                 `yaml:"gitops"`
	Signing      Signing                `yaml:"signing"`
	Infra        Infra                  `yaml:"infra"`
	Cluster      Cluster                `yaml:"cluster"`
	Environments map[string]Environment `yaml:"environments"`
	// Platform is the repository that this file is from.
	Platform Platform `yaml:"platform"`
	// Apps are those whose code lies in a repository of their own; the others are the
	// folders of apps/.
	Apps map[string]Registration `yaml:"apps,omitempty"`
	Scan Scan                    `yaml:"scan"`
	// Build bounds how apps are built and tested.
	Build BuildRules `yaml:"build"`
	// Verification is what an image's evidence must say before it is released.
	Verification rules.Rules `yaml:"verification"`
}

// BuildRules bound how apps are built and tested.
type BuildRules struct {
	Limits Limits `yaml:"limits"`
	NPM    NPM    `yaml:"npm"`
	Pip    Pip    `yaml:"pip"`
	// Bases are the images that Dockerfiles get for names without a digest: node:22
	// as they write it, and the pinned reference.
	Bases map[string]string `yaml:"bases"`
	// Network are the hosts, as host:port, that an app.yaml may ask for.
	Network Hosts `yaml:"network,omitempty"`
}

// Images returns Bases as NAME=REFERENCE, in order.
func (b BuildRules) Images() []string {
	var all []string
	for _, written := range slices.Sorted(maps.Keys(b.Bases)) {
		all = append(all, written+"="+b.Bases[written])
	}
	return all
}

// NPM says where npm packages come from.
type NPM struct {
	// Registry is the base address of the one registry that packages are fetched
	// from, whatever a lock file names. Empty where no app has one.
	Registry string `yaml:"registry"`
}

// Pip says where Python packages come from.
type Pip struct {
	// Index is the base address of the one simple index (PEP 503 or 691) that packages
	// are fetched from; apps with requirements are refused if empty.
	Index string `yaml:"index"`
}

// Taken are the paths that a call takes from the platform's repository, whichever app it
// is about: the rules, and what they name.
func (c *Config) Taken() []string {
	paths := []string{File, RevocationsFile, "infra"}
	database := c.Scan.Database.Signing
	for _, file := range []string{c.Signing.PublicKey, c.Signing.TrustedRoot, database.PublicKey, database.TrustedRoot} {
		if file != "" {
			paths = append(paths, path.Clean(file))
		}
	}
	for _, name := range c.EnvironmentNames() {
		if file := c.Environments[name].Signing.PublicKey; file != "" {
			paths = append(paths, path.Clean(file))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Verification.Named)) {
		if file := c.Verification.Named[name].PublicKey; file != "" {
			paths = append(paths, path.Clean(file))
		}
	}
	return paths
}

// Registry says where images go.
type Registry struct {
	// Repository is the prefix of every image: <host>[:port][/path]. An app's
	// image is <prefix>/<app>.
	Repository string `yaml:"repository"`
	// Username is who pushes; empty for an anonymous registry. The password
	// is an argument, never a part of this file.
	Username string `yaml:"username"`
}

// GitOps says where releases go.
type GitOps struct {
	// Remote is the http(s) URL of the GitOps repository.
	Remote string `yaml:"remote"`
	// Branch is the branch that Argo CD follows.
	Branch string `yaml:"branch"`
	// Root is the folder of the GitOps tree inside the repository, "." for
	// its root.
	Root string `yaml:"root"`
	// Author signs the release commits.
	Author Author `yaml:"author"`
	// Username is who pushes; the token is an argument.
	Username string `yaml:"username"`
	// Images are those that overlays may run besides the platform's own apps, each by
	// its digest.
	Images []step.Reference `yaml:"images"`
}

// Author is a Git author.
type Author struct {
	Name  string `yaml:"name"`
	Email string `yaml:"email"`
}

// Platform is the platform's own repository, and the branch that nobody changes alone.
type Platform struct {
	// Remote is the http(s) URL of the repository; needed where an environment takes
	// its rules from the protected branch only.
	Remote string `yaml:"remote"`
	// Branch is its protected branch.
	Branch string `yaml:"branch"`
}

// Signing says who must have signed a release: a key, or identities.
type Signing struct {
	// PublicKey is the path, from the repository's root, of the PEM public
	// key that a signature must match. Empty means: the key given as an
	// argument, or the public half of the signing key.
	PublicKey string `yaml:"publicKey"`
	// Identities that may sign; any one of those of an environment is enough. With
	// them, no key's signature counts.
	Identities rules.Identities `yaml:"identities"`
	// TrustedRoot is the path of their Sigstore's trusted_root.json.
	TrustedRoot string `yaml:"trustedRoot"`
	// Logs and CertificateLogs are how many transparency logs must hold a signature
	// by an identity, and vouch for its certificate; 1 unless said, 0 for a
	// Sigstore without.
	Logs            int `yaml:"logs"`
	CertificateLogs int `yaml:"certificateLogs"`
}

// Infra says which Terraform configuration belongs to an environment and
// where its state is.
type Infra struct {
	// Code is the folder below infra/.
	Code string `yaml:"code"`
	// State is the base URL of Terraform's http state backend; the state of
	// an environment is <state>/<code>/<environment>. Empty when Backend says
	// where the states are; a State wins over it.
	State string `yaml:"-"`
	// Backend is the long form of state: an object instead of a URL.
	Backend *Backend `yaml:"-"`
	// Username is who reads and writes the state; the password is an argument.
	Username string `yaml:"username"`
	// LockTimeout is how long a run waits for a state that another one has locked; 30
	// seconds when it is zero.
	LockTimeout time.Duration `yaml:"lockTimeout"`
	// Allow is what the code may use that runs before its plan is checked, in either
	// place; infra.DefaultAllowed when it is nil.
	Allow *infra.Allowed `yaml:"-"`
	// Cluster takes the place of all the rest in calls that are given a kubeconfig.
	Cluster *Infra `yaml:"cluster"`
}

// Cluster says where Argo CD runs.
type Cluster struct {
	// Server is the URL of the Kubernetes API, as the kubeconfig names it; it is
	// needed only where a service stands in for it.
	Server string `yaml:"server"`
	// Namespace is Argo CD's.
	Namespace string `yaml:"namespace"`
}

// Environment is one place that apps are released to.
type Environment struct {
	// AllowDestroy lets a plan that destroys or replaces resources pass its
	// check without the explicit argument.
	AllowDestroy bool `yaml:"allowDestroy"`
	// Infra says what a release does about infrastructure that is not applied,
	// or has drifted: InfraRequire, also when it is empty, or InfraIgnore.
	Infra string `yaml:"infra"`
	// Signing is what holds for signatures here.
	Signing EnvironmentSigning `yaml:"signing"`
	// Cluster is ClusterRequire where the environment is in a cluster that has to be
	// asked; empty where a call without a kubeconfig leaves it out.
	Cluster string `yaml:"cluster"`
	// Server is the URL of its Kubernetes API, as the kubeconfig names it; empty for
	// cluster.server.
	Server string `yaml:"server"`
	// GitOps is where its releases go; what it leaves empty is as gitops says.
	GitOps EnvironmentGitOps `yaml:"gitops"`
	// State is where its Terraform state is; nil for infra.state.
	State *EnvironmentState `yaml:"state"`
	// Platform is PlatformProtected where only rules of the protected branch are good
	// for a release and an apply; empty where those of any checkout are.
	Platform string `yaml:"platform"`
}

// What a release does about an environment's infrastructure.
const (
	InfraRequire = "require"
	InfraIgnore  = "ignore"
)

// PlatformProtected demands that the platform's rules are as a commit of its protected
// branch has them.
const PlatformProtected = "protected"

// ClusterRequire refuses to change an environment without asking its cluster.
const ClusterRequire = "require"

// RequiresInfra reports whether a release looks at the infrastructure.
func (e Environment) RequiresInfra() bool { return e.Infra != InfraIgnore }

// Scan is the scan's database and its policy.
type Scan struct {
	Database Database `yaml:"database"`
	// Policy decides what the findings mean.
	Policy rules.Policy `yaml:"policy"`
}

var (
	repositoryPattern = regexp.MustCompile(`\A[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*\z`)
	pathPattern       = regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*\z`)
	branchPattern     = regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9._/-]*\z`)
	tagPattern        = regexp.MustCompile(`\A[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\z`)
)

// Parse reads and checks slipway.yaml.
func Parse(data []byte) (*Config, error) {
	signing := Signing{Logs: 1, CertificateLogs: 1}
	c := &Config{Signing: signing, GitOps: GitOps{Branch: "main", Root: "."}, Platform: Platform{Branch: "main"}, Cluster: Cluster{Namespace: "argocd"}, Scan: Scan{Database: Database{Tag: "2", Signing: signing}}}
	if err := decode(File, data, c); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// imageName reports whether a name is an image's, with or without a tag.
func imageName(name string) bool {
	repository, tag := name, "latest"
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		repository, tag = name[:i], name[i+1:]
	}
	return repositoryPattern.MatchString(repository) && tagPattern.MatchString(tag)
}

// Validate checks every value of the configuration.
func (c *Config) Validate() error {
	checks := []struct {
		key, value, reason, mend string
		ok                       bool
	}{
		{"registry.repository", c.Registry.Repository, "is not a registry prefix", "give host[:port][/path], in lower case, without a scheme or a tag", repositoryPattern.MatchString(c.Registry.Repository)},
		{"gitops.remote", c.GitOps.Remote, "is not an http(s) URL without credentials", "give the GitOps repository's URL, such as https://github.com/acme/platform.git; tokens are arguments", cleanURL(c.GitOps.Remote)},
		{"platform.remote", c.Platform.Remote, "is not an http(s) URL without credentials", "give the address of the repository that this file is from, or leave it out", c.Platform.Remote == "" || cleanURL(c.Platform.Remote)},
		{"platform.branch", c.Platform.Branch, "is not a branch name", "give the platform's protected branch", goodBranch(c.Platform.Branch)},
		{"gitops.branch", c.GitOps.Branch, "is not a branch name", "give the branch that Argo CD follows", goodBranch(c.GitOps.Branch)},
		{"gitops.root", c.GitOps.Root, "is not a folder inside the repository", "give a relative path, or . for the repository's root", c.GitOps.Root == "." || pathPattern.MatchString(c.GitOps.Root)},
		{"gitops.author.name", c.GitOps.Author.Name, "is not an author name", "give the name that release commits carry", goodAuthor(c.GitOps.Author.Name)},
		{"gitops.author.email", c.GitOps.Author.Email, "is not an e-mail address", "give the address that release commits carry", goodEmail(c.GitOps.Author.Email)},
		{"cluster.server", c.Cluster.Server, "is not an https URL without credentials", "give the URL that the kubeconfig names, such as https://localhost:6443, or leave it out", c.Cluster.Server == "" || cleanURL(c.Cluster.Server) && strings.HasPrefix(c.Cluster.Server, "https:")},
		{"build.npm.registry", c.Build.NPM.Registry, "is not an https URL without credentials", "give the base address of a registry, or leave it out where no app has npm packages; credentials are an argument of with-packages", safeURL(c.Build.NPM.Registry)},
		{"build.pip.index", c.Build.Pip.Index, "is not an https URL without credentials", "give the base address of a simple index, such as https://host/simple, or leave it out where no app has Python packages; credentials are an argument of with-packages", safeURL(c.Build.Pip.Index)},
	}
	for _, k := range checks {
		if !k.ok {
			return step.Input(stage, fmt.Sprintf("%s: %s %q", File, k.key, Shown(k.value)), k.reason, k.mend)
		}
	}
	if err := step.Name(stage, File+": cluster.namespace", c.Cluster.Namespace); err != nil {
		return err
	}
	if err := c.Build.Limits.validate(File + ": build.limits"); err != nil {
		return err
	}
	for _, written := range slices.Sorted(maps.Keys(c.Build.Bases)) {
		key := fmt.Sprintf("%s: build.bases: %.200q", File, written)
		if !imageName(written) {
			return step.Input(stage, key, "is not a name of an image without a digest", "give it as Dockerfiles write it, such as node:22-bookworm-slim")
		}
		base := c.Build.Bases[written]
		pinned := step.Reference(base)
		if !imageName(pinned.Repository()) || step.Digest(stage, key, pinned.Digest()) != nil {
			return step.Input(stage, key, fmt.Sprintf("gets %.200q, which is not pinned by digest", base), "give name@sha256:…")
		}
	}
	for n, image := range c.GitOps.Images {
		key := fmt.Sprintf("%s: gitops.images[%d] %.200q", File, n, image)
		if image != image.Untagged() || !repositoryPattern.MatchString(image.Repository()) || step.Digest(stage, key, image.Digest()) != nil {
			return step.Input(stage, key, "is not pinned by digest", "give name@sha256:…, as the refusal names it, without a tag")
		}
	}
	if err := c.Build.Network.validate(File + ": build.network"); err != nil {
		return err
	}
	if len(c.Environments) == 0 {
		return step.Input(stage, File+": environments", "is empty", "name at least one environment, such as dev: {}")
	}
	for _, name := range c.EnvironmentNames() {
		if err := step.Name(stage, File+": environments", name); err != nil {
			return err
		}
		if demand := c.Environments[name].Infra; demand != "" && demand != InfraRequire && demand != InfraIgnore {
			return step.Input(stage, fmt.Sprintf("%s: environments.%s.infra %q", File, name, demand), "is neither require nor ignore", "use one of them")
		}
		if cluster := c.Environments[name].Cluster; cluster != "" && cluster != ClusterRequire {
			return step.Input(stage, fmt.Sprintf("%s: environments.%s.cluster %q", File, name, cluster), "is not a demand", "write require, or leave it out")
		}
		switch demands := c.Environments[name].Platform; {
		case demands != "" && demands != PlatformProtected:
			return step.Input(stage, fmt.Sprintf("%s: environments.%s.platform %q", File, name, demands), "is not a demand", "write protected, or leave it out")
		case demands != "" && c.Platform.Remote == "":
			return step.Input(stage, fmt.Sprintf("%s: environments.%s.platform", File, name), "is protected, and nothing says by which branch", "add platform: {remote: https://…, branch: …}, the repository that this file is from")
		}
		if err := c.Environments[name].Signing.validate(fmt.Sprintf("environments.%s.signing", name)); err != nil {
			return err
		}
		if err := c.validateApart(name); err != nil {
			return err
		}
	}
	if err := c.validateApps(); err != nil {
		return err
	}
	if err := c.Signing.validate("signing", c.EnvironmentNames(), c.identityApproves()); err != nil {
		return err
	}
	if err := c.Scan.Database.validate("scan.database"); err != nil {
		return err
	}
	if err := c.Infra.validate("infra", c.EnvironmentNames()); err != nil {
		return err
	}
	if c.Infra.Cluster != nil {
		if err := c.Infra.Cluster.validate("infra.cluster", c.EnvironmentNames()); err != nil {
			return err
		}
	}
	if err := c.checkApprovers(); err != nil {
		return err
	}
	if err := c.Verification.Validate(File+": verification", c.EnvironmentNames()); err != nil {
		return err
	}
	return c.Scan.Policy.Validate(File + ": scan.policy")
}

// EnvironmentNames returns the environments in order.
func (c *Config) EnvironmentNames() []string {
	names := make([]string, 0, len(c.Environments))
	for name := range c.Environments {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Environment returns the named environment; a name that is not valid or not
// configured is a fault of the given stage.
func (c *Config) Environment(stage, name string) (Environment, error) {
	if err := step.Name(stage, "environment", name); err != nil {
		return Environment{}, err
	}
	env, ok := c.Environments[name]
	if !ok {
		return Environment{}, step.Input(stage, fmt.Sprintf("environment %q", name), "is not configured",
			fmt.Sprintf("use one of %s, or add it to environments in %s", strings.Join(c.EnvironmentNames(), ", "), File))
	}
	return env, nil
}

// Image returns the repository of an app's image.
func (c *Config) Image(app string) string { return c.Registry.Repository + "/" + app }

// decode reads exactly one strict YAML document.
func decode(name string, data []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the file is empty")
		}
		return step.Input(stage, name, strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\n", ""), "yaml: "),
			"mend the named line").Because(err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return step.Input(stage, name, "holds more than one YAML document", "keep one document")
	}
	return nil
}

func cleanURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil &&
		!strings.ContainsAny(s, "?# \t\r\n")
}

// safeURL is for addresses that packages come from: https, or on this machine; or none.
func safeURL(s string) bool {
	return s == "" || cleanURL(s) && (strings.HasPrefix(s, "https:") || Local(s))
}

func goodBranch(s string) bool {
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return branchPattern.MatchString(s) && !strings.Contains(s, "..")
}

func goodAuthor(s string) bool {
	return s != "" && len(s) <= 100 && strings.TrimSpace(s) == s &&
		printable.IsLine(s) && !strings.ContainsAny(s, "<>")
}

func goodEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}
