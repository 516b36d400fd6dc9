// Package stage holds the infra stages: plan, check, apply, output, drift, and
// unlock for the lock that a killed run left behind. Each starts from files alone and
// works in a copy of the code, so that it can run in any container.
package stage

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"slipway/infra/step/azure"
	"slipway/infra/step/backend"
	"slipway/infra/step/cluster"
	"slipway/infra/step/code"
	"slipway/infra/step/redact"
	"slipway/infra/step/terraform"
	"slipway/step"
	entra "slipway/step/azure"
	"slipway/step/reach"
	"slipway/step/result/infra"
)

// Names of the stages, as their Faults carry them.
const (
	StagePlan   = "plan"
	StageCheck  = "check"
	StageApply  = "apply"
	StageOutput = "output"
	StageDrift  = "drift"
	StageUnlock = "unlock"
)

// Common is what every stage that runs Terraform takes.
type Common struct {
	// Terraform is the path of the executable, Code the folder of the code, Root
	// the root's folder in it, and Environment the environment's name.
	Terraform, Code, Root, Environment string
	// Providers is the folder of a provider mirror; empty is none.
	Providers string
	// Out is the folder that result files are written to.
	Out string
	// Temp is the folder for the working copy.
	Temp string
	// Allowed is a JSON object, infra.Allowed; empty allows nothing.
	Allowed string
	// Progress gets short lines for people.
	Progress io.Writer
}

// Remote is what every stage that reads or changes the state takes.
type Remote struct {
	// BackendConfig is the file that backend.Read reads.
	BackendConfig string
	// PasswordFile holds the http backend's password or the azurerm backend's
	// variables; empty is none.
	PasswordFile string
	// Kubeconfig is the file of the cluster that the kubernetes backend or a
	// provider works on; empty is none.
	Kubeconfig string
	// Azure says who the azurerm provider and backend are, and who reaches a cluster
	// of AKS.
	Azure entra.Access
	// Connect says where logical hosts are reached.
	Connect reach.Connections
	// SecretVarFile is a file with a JSON object of values for ephemeral
	// variables; empty is none.
	SecretVarFile string
	// LockTimeout is how long to wait for the state's lock.
	LockTimeout time.Duration
}

// secrets are the variable files with what no plan, state or log may hold. They
// lie beside the working copy, and go with it.
func (r Remote) secrets(stage string, w *workspace) ([]string, error) {
	if r.SecretVarFile == "" {
		return nil, nil
	}
	const mend = `give a JSON object of names and values, such as {"token": "…"}`
	data, err := os.ReadFile(r.SecretVarFile)
	if err != nil {
		return nil, step.Input(stage, "secret variables", "can't be read", mend).Because(err)
	}
	var values map[string]json.RawMessage
	// The parser's own words could hold a part of a secret.
	if json.Unmarshal(data, &values) != nil || len(values) == 0 {
		return nil, step.Input(stage, "secret variables", "are not a JSON object with at least one name", mend)
	}
	if !terraform.Ephemeral(w.Program) {
		return nil, step.Input(stage, "--terraform", "is "+w.Program.String()+", which writes every variable into the plan", "use Terraform 1.10 or later for secret variables")
	}
	var known any
	if err := json.Unmarshal(data, &known); err != nil {
		return nil, err
	}
	w.secrets.Add(known)
	if err := code.CheckEphemeral(stage, w.dir, slices.Collect(maps.Keys(values))); err != nil {
		return nil, err
	}
	file := filepath.Join(w.root, "secret.tfvars.json")
	return []string{file}, os.WriteFile(file, data, 0o600)
}

// state is the state as this run reaches it.
type state struct {
	backend.Endpoint
	env         map[string]string
	azure       entra.Access
	kubeconfig  []byte
	lockTimeout time.Duration
}

// reach reads and validates the state's description, and what it is reached
// with.
func (r Remote) reach(ctx context.Context, stage string) (*state, error) {
	config, err := backend.Read(stage, r.BackendConfig)
	if err != nil {
		return nil, err
	}
	s := &state{Endpoint: backend.Endpoint{Config: config, Connect: r.Connect}, azure: r.Azure, lockTimeout: r.LockTimeout}
	switch config.Type {
	case backend.TypeKubernetes:
		if r.PasswordFile != "" {
			return nil, step.Input(stage, "--backend-password-file", "is not for a kubernetes backend", "leave it out: the kubeconfig says who reads and writes the state")
		}
		if r.Kubeconfig == "" {
			return nil, step.Input(stage, "--kubeconfig", "is missing, but the state is in a cluster", "give the kubeconfig of the cluster that holds the state")
		}
	case backend.TypeHTTP:
		if (r.PasswordFile == "") != (config.HTTP.Username == "") {
			return nil, step.Input(stage, "backend credentials", "are not complete",
				"give both a username in the backend config and --backend-password-file, or neither")
		}
	}
	if config.Type == backend.TypeAzurerm && r.PasswordFile != "" && r.Azure.Identity != "" {
		return nil, step.Input(stage, "--backend-password-file", "says who reaches the state, and --azure does, too", "give one of the two")
	}
	if r.PasswordFile != "" {
		data, err := os.ReadFile(r.PasswordFile)
		if err != nil {
			return nil, step.Input(stage, "--backend-password-file "+r.PasswordFile, "can't be read", "give a file that holds the password").Because(err)
		}
		s.Password = string(bytes.TrimRight(data, "\r\n"))
		if s.Password == "" {
			return nil, step.Input(stage, "--backend-password-file "+r.PasswordFile, "is empty", "give a file that holds the password")
		}
	}
	if s.env, err = s.Env(stage); err != nil {
		return nil, err
	}
	if r.Kubeconfig != "" {
		s.kubeconfig, err = cluster.Kubeconfig(ctx, stage, r.Kubeconfig, r.Connect, r.Azure)
	}
	return s, err
}

// public are the variables of Terraform's environment whose values may be shown. Those
// of any other name are secret.
var public = regexp.MustCompile(`\A(?:TF_HTTP_(?:(?:LOCK_|UNLOCK_)?ADDRESS|(?:UPDATE|LOCK|UNLOCK)_METHOD|RETRY_[A-Z_]+|USERNAME)|` +
	`ARM_(?:CLIENT_ID|TENANT_ID|SUBSCRIPTION_ID|ENVIRONMENT|USE_[A-Z]+|METADATA_HOST(?:NAME)?|OIDC_REQUEST_URL|ADO_PIPELINE_SERVICE_CONNECTION_ID|MSI_ENDPOINT|[A-Z_]+_FILE(?:_PATH)?|CLIENT_CERTIFICATE_PATH)|` +
	`SSL_CERT_FILE)\z`)

// prepare says in the working copy where the state is, and beside it who may
// reach it. It returns the environment that Terraform needs.
func (s *state) prepare(stage string, w *workspace) (map[string]string, error) {
	override, err := s.Config.Override()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(w.dir, backend.OverrideFile), override, 0o600); err != nil {
		return nil, err
	}
	env := maps.Clone(s.env)
	who, stop, err := azure.Env(s.azure, stage, w.root)
	w.stop = stop
	if err != nil {
		return nil, err
	}
	maps.Copy(env, who)
	w.secrets.Add(s.Password)
	for name, value := range env {
		if !public.MatchString(name) {
			w.secrets.Add(value)
		}
	}
	if s.kubeconfig == nil {
		return env, nil
	}
	w.secrets.Add(cluster.Credentials(s.kubeconfig))
	file := filepath.Join(w.root, "kubeconfig")
	if err := os.WriteFile(file, s.kubeconfig, 0o600); err != nil {
		return nil, err
	}
	// Of the kubernetes backend and of the providers alike; KUBECONFIG and
	// KUBE_CONFIG stay unset.
	env["KUBE_CONFIG_PATH"] = file
	return env, nil
}

// workspace is a working copy of the code with a Terraform that runs in it.
type workspace struct {
	*terraform.Terraform
	dir    string
	digest string
	root   string
	// stop ends what Terraform asks while it runs.
	stop func()
	// secrets are left out of what the stage says.
	secrets *redact.Secrets
}

func (c Common) validate(stage string) error {
	return step.Name(stage, "environment", c.Environment)
}

// open copies the code, lets accept judge its digest, judges what the code may use, and
// opens Terraform in the copy; with no state, when it needs none.
func (c Common) open(ctx context.Context, stage string, s *state, accept func(digest string) error, varFiles ...string) (_ *workspace, err error) {
	providers, err := c.mirror(stage)
	if err != nil {
		return nil, err
	}
	root, err := os.MkdirTemp(c.Temp, "infra-")
	if err != nil {
		return nil, err
	}
	w := &workspace{root: root, stop: func() {}, secrets: &redact.Secrets{}}
	defer func() {
		if err != nil {
			w.close(&err)
		}
	}()
	w.dir, w.digest, err = c.copy(stage, filepath.Join(root, "code"))
	if err != nil {
		return nil, err
	}
	if err := accept(w.digest); err != nil {
		return nil, err
	}
	if err := c.judge(stage, w, varFiles); err != nil {
		return nil, err
	}
	options := terraform.Options{
		Stage: stage, Path: c.Terraform, Dir: w.dir, Scratch: root, Providers: providers, Progress: c.Progress, Secrets: w.secrets,
	}
	if s != nil {
		options.Backend, options.LockTimeout = s.Config, s.lockTimeout
		if options.Env, err = s.prepare(stage, w); err != nil {
			return nil, err
		}
	}
	w.Terraform, err = terraform.Open(ctx, options)
	return w, err
}

// judge refuses code that uses more than is allowed, and learns what it and the files of
// its variables mark as sensitive.
func (c Common) judge(stage string, w *workspace, varFiles []string) error {
	var allowed infra.Allowed
	if c.Allowed != "" {
		decoder := json.NewDecoder(strings.NewReader(c.Allowed))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&allowed); err != nil {
			return step.Input(stage, "--allowed", "is not what the code may use: "+err.Error(), `give a JSON object such as {"providers": {"registry.terraform.io/hashicorp/azurerm": ["features"]}, "data": []}`)
		}
	}
	dir, folder := filepath.Join(w.root, "code"), cmp.Or(c.Root, ".")
	if err := code.Check(stage, dir, folder, allowed); err != nil {
		return err
	}
	values, complete, err := code.Sensitive(stage, dir, folder, varFiles)
	for _, value := range values {
		w.secrets.Add(value)
	}
	w.secrets.Partial = !complete
	return err
}

// copy copies the code to a new folder, and returns the root's folder in it.
func (c Common) copy(stage, to string) (dir, digest string, err error) {
	if err := os.Mkdir(to, 0o700); err != nil {
		return "", "", err
	}
	folder := cmp.Or(c.Root, ".")
	digest, err = code.Copy(stage, c.Code, folder, to)
	return filepath.Join(to, filepath.FromSlash(folder)), digest, err
}

// mirror is the provider mirror's absolute path; empty is none.
func (c Common) mirror(stage string) (string, error) {
	if c.Providers == "" {
		return "", nil
	}
	path, err := filepath.Abs(c.Providers)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return "", step.Input(stage, "--providers "+c.Providers, "is not a folder", "give a mirror as terraform providers mirror makes it, or leave it out").Because(err)
	}
	return path, nil
}

// close removes the working copy, which may hold secrets, and leaves those that are
// known out of what a stage ends with.
func (w *workspace) close(err *error) {
	w.stop()
	os.RemoveAll(w.root)
	*err = w.without(*err)
}

func (w *workspace) without(err error) error {
	f, ok := step.AsFault(err)
	switch {
	case err == nil || !w.secrets.Holds(err.Error()) && !ok:
		return err
	case !ok:
		return errors.New(w.secrets.Text(err.Error()))
	}
	shown := &step.Fault{Kind: f.Kind, Stage: f.Stage, Input: w.secrets.Text(f.Input), Reason: w.secrets.Text(f.Reason), Mend: w.secrets.Text(f.Mend)}
	for _, line := range f.Details {
		shown.Details = append(shown.Details, w.secrets.Text(line))
	}
	if cause := f.Unwrap(); cause != nil && !w.secrets.Holds(cause.Error()) {
		return shown.Because(cause)
	}
	return shown
}

// put stores a plan file's bytes beside the working copy.
func (w *workspace) put(data []byte) (string, error) {
	file := filepath.Join(w.root, "checked.tfplan")
	return file, os.WriteFile(file, data, 0o600)
}

// keep saves a file of the working copy, if it is there, to out.
func (w *workspace) keep(name, out string) (bool, error) {
	data, err := os.ReadFile(filepath.Join(w.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, writeFile(out, name, data)
}

func writeFile(out, name string, data []byte) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, name), data, 0o600)
}

func writeJSON(out, name string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(out, name, append(data, '\n'))
}

func anyCode(string) error { return nil }
