//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/engine"
)

// platform is one private set of services and keys.
type platform struct {
	repo     string // the repository under test
	dir      string // this platform's own folder
	sandbox  string // host:port of registry, Git remote and state
	env      []string
	password string
	accounts map[string]account // of the sandbox, by purpose
}

// account is who writes to a part of the sandbox. Its password lies in file, too.
type account struct{ Username, Password, file string }

// repository is the checkout's root.
func repository() string {
	out, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		panic(fmt.Errorf("find the repository: %w", err))
	}
	return strings.TrimSpace(string(out))
}

// ends stop what single tests have started for all.
var ends []func()

// shared is the platform of the tests that don't break anything.
var shared *platform

func TestMain(m *testing.M) {
	// A test that starts an engine runs this program as the launcher.
	if len(os.Args) == 3 && os.Args[1] == engine.EnterCommand {
		fmt.Fprintln(os.Stderr, engine.Enter(os.Args[2]))
		os.Exit(1)
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "slipway-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		p, stop, err := start(dir)
		if err != nil {
			fmt.Fprintln(os.Stderr, "start the platform:", err)
			return 1
		}
		defer stop()
		defer func() {
			for _, end := range ends {
				end()
			}
		}()
		shared = p
		return m.Run()
	}())
}

// start runs a sandbox of its own, makes a key pair, and signs and publishes the
// vulnerability database.
func start(dir string) (*platform, func(), error) {
	repo := repository()
	// The checkout's own .env would give the pipeline the developer's cluster.
	copied := filepath.Join(dir, "repo")
	if err := copyWork(repo, copied); err != nil {
		return nil, nil, err
	}
	p := &platform{repo: copied, dir: dir, password: "correct horse battery staple"}
	if out, err := exec.Command(filepath.Join(repo, ".slipway/bin/slipway-dev"), "engine", "status").CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("these tests need an engine, go tool task setup starts it: %w\n%s", err, out)
	}
	env, err := exec.Command(filepath.Join(repo, ".slipway/bin/slipway-dev"), "environ").Output()
	if err != nil {
		return nil, nil, fmt.Errorf("ask the launcher for the engine: %w", err)
	}
	p.env = append(os.Environ(), strings.Split(strings.TrimSpace(string(env)), "\n")...)
	server, address, err := serve(repo, filepath.Join(dir, "sandbox"))
	if err != nil {
		return nil, nil, err
	}
	p.sandbox = address
	stop := func() {
		_ = server.Process.Signal(os.Interrupt)
		_ = server.Wait()
	}
	if err := p.readAccounts(); err != nil {
		stop()
		return nil, nil, err
	}
	if err := os.WriteFile(p.file("password"), []byte(p.password), 0o600); err != nil {
		stop()
		return nil, nil, err
	}
	for _, args := range [][]string{
		{"-m", "modules/sign", "call", "keygen", "--password", "file:" + p.file("password"), "export", "--path", p.file("keys")},
		append(append([]string{"call"}, p.options()...), "publish-database"),
	} {
		if out, err := p.run(p.repo, args...); err != nil {
			stop()
			return nil, nil, fmt.Errorf("dagger %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	seed := exec.Command(filepath.Join(repo, ".slipway/bin/slipway-sandbox"), "seed", "--gitops", filepath.Join(repo, "gitops"), "--url", "http://"+address+"/gitops.git", "--accounts", p.file(accountsFile))
	if out, err := seed.CombinedOutput(); err != nil {
		stop()
		return nil, nil, fmt.Errorf("seed: %w\n%s", err, out)
	}
	return p, stop, nil
}

// accountsFile is where the sandbox keeps its accounts, in the platform's folder.
const accountsFile = "sandbox/accounts.json"

func (p *platform) readAccounts() error {
	data, err := os.ReadFile(p.file(accountsFile))
	if err == nil {
		err = json.Unmarshal(data, &p.accounts)
	}
	for purpose, a := range p.accounts {
		a.file = p.file("password of " + strings.ReplaceAll(purpose, "/", " "))
		p.accounts[purpose] = a
		err = errors.Join(err, os.WriteFile(a.file, []byte(a.Password), 0o600))
	}
	return err
}

// environments are slipway.yaml's, and those that tests add and change.
func environments() []string {
	return append([]string{"dev", "staging", "production", addedEnvironment}, crowdEnvironments()...)
}

// serve starts a sandbox on a free port.
func serve(repo, data string) (*exec.Cmd, string, error) {
	ready := data + ".ready"
	cmd := exec.Command(filepath.Join(repo, ".slipway/bin/slipway-sandbox"), "serve", "--data", data, "--listen", "127.0.0.1:0", "--ready-file", ready, "--environments", strings.Join(environments(), ","))
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var state struct {
			Address string `json:"address"`
		}
		if data, err := os.ReadFile(ready); err == nil && json.Unmarshal(data, &state) == nil && state.Address != "" {
			_, port, _ := strings.Cut(state.Address, ":")
			return cmd, "localhost:" + port, nil
		}
		select {
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			return nil, "", fmt.Errorf("the sandbox is not ready: %s", log.String())
		case <-tick.C:
		}
	}
}

// compilePatience bounds calls that may compile everything first.
const compilePatience = 80 * time.Minute

func (p *platform) file(name string) string { return filepath.Join(p.dir, name) }

// run runs the dagger CLI in a folder and returns its standard output; an
// error holds what it printed to standard error.
func (p *platform) run(dir string, args ...string) (string, error) {
	return p.runFor(30*time.Minute, dir, args...)
}

// runFor is run with another bound on its time.
func (p *platform) runFor(patience time.Duration, dir string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	dagger, err := p.look("dagger")
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, dagger, append([]string{"--progress=plain"}, args...)...)
	cmd.Dir, cmd.Env = dir, p.env
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return out.String(), errors.New(err.Error() + "\n" + end(log.String()))
	}
	return out.String(), nil
}

// end is the end of a log, where the refusal is: testify cuts a long error there.
func end(log string) string {
	const most = 24 << 10
	if len(log) <= most {
		return log
	}
	return "…" + log[len(log)-most:]
}

func (p *platform) look(name string) (string, error) {
	for i := len(p.env) - 1; i >= 0; i-- {
		if path, ok := strings.CutPrefix(p.env[i], "PATH="); ok {
			for _, dir := range filepath.SplitList(path) {
				if candidate := filepath.Join(dir, name); isExecutable(candidate) {
					return candidate, nil
				}
			}
			break
		}
	}
	return "", fmt.Errorf("%s is not on the engine's PATH", name)
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// options are the constructor's arguments for this platform.
func (p *platform) options() []string {
	return append(p.place(),
		"--key", "file:"+p.file("keys/cosign.key"),
		"--key-password", "file:"+p.file("password"),
	)
}

// place are the constructor's arguments for this platform's sandbox, whose vulnerability
// database the platform's key has signed, whoever signs images.
func (p *platform) place() []string {
	return []string{"--sandbox", "tcp://" + p.sandbox, "--accounts", "file:" + p.file(accountsFile), "--database-key", p.file("keys/cosign.pub")}
}

// as are the flags of an account.
func (p *platform) as(purpose string) []string {
	return []string{"--username", p.accounts[purpose].Username, "--password", "file:" + p.accounts[purpose].file}
}

func (p *platform) terraform(t testing.TB) []string {
	t.Helper()
	path, err := exec.LookPath("terraform")
	if err != nil {
		return nil // the pipeline's own OpenTofu
	}
	return []string{"--terraform", path}
}

// call runs a pipeline call of the repository in dir with this platform.
func (p *platform) call(dir string, options []string, args ...string) (string, error) {
	return p.run(dir, append(append([]string{"call"}, options...), args...)...)
}

// source copies the files that Git knows of or would add into a repository of
// its own, for a test to spoil.
func source(t testing.TB, spoil map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, copyFiles(repository(), dir))
	for name, text := range spoil {
		write(t, filepath.Join(dir, name), text)
	}
	git(t, dir, "init", "-q", "-b", "main")
	git(t, dir, "add", "-A")
	git(t, dir, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "test source")
	return dir
}

// copyFiles copies the files that Git knows of or would add.
func copyFiles(repo, dir string) error {
	list, err := exec.Command("git", "-C", repo, "ls-files", "-co", "--exclude-standard", "-z").Output()
	if err != nil {
		return err
	}
	for _, name := range strings.Split(strings.Trim(string(list), "\x00"), "\x00") {
		info, err := os.Lstat(filepath.Join(repo, name))
		if errors.Is(err, os.ErrNotExist) || (err == nil && !info.Mode().IsRegular()) {
			continue
		}
		if err != nil {
			return err
		}
		data, err := os.ReadFile(filepath.Join(repo, name))
		if err != nil {
			return err
		}
		target := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, data, info.Mode().Perm()); err != nil {
			return err
		}
	}
	return nil
}

// standIn compiles and starts a program that stands in for a service on loopback; it
// ends with the test. Its arguments follow from its folder, where it writes the file
// address with host:port as soon as it listens.
func standIn(t *testing.T, module, pkg string, arguments func(dir string) []string) (dir, address string) {
	t.Helper()
	dir = t.TempDir()
	program := filepath.Join(dir, "program")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, pkg)
	build.Dir = filepath.Join(repository(), module)
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	cmd := exec.Command(program, arguments(dir)...)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		assert.NoError(t, cmd.Process.Signal(os.Interrupt))
		assert.NoError(t, cmd.Wait())
	})
	require.Eventually(t, func() bool {
		data, err := os.ReadFile(filepath.Join(dir, "address"))
		address = strings.Replace(string(data), "127.0.0.1", "localhost", 1)
		return err == nil
	}, 30*time.Second, 20*time.Millisecond)
	return dir, address
}

// copyWork clones a checkout at its head, with its uncommitted changes.
func copyWork(repo, dir string) error {
	if out, err := exec.Command("git", "clone", "-q", "--", repo, dir).CombinedOutput(); err != nil {
		return fmt.Errorf("clone: %w: %s", err, out)
	}
	return copyFiles(repo, dir)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput()
	require.NoError(t, err, "git %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

// remote clones the platform's GitOps repository, to be pushed from as well, by who may
// change all of it.
func (p *platform) remote(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "clone", "-q", "http://"+p.sandbox+"/gitops.git", "clone")
	basic := base64.StdEncoding.EncodeToString([]byte(p.accounts["platform"].Username + ":" + p.accounts["platform"].Password))
	git(t, filepath.Join(dir, "clone"), "config", "http.extraHeader", "Authorization: Basic "+basic)
	return filepath.Join(dir, "clone")
}
