package embedded

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/engine"
)

// programs is the folder of what tests compile, if they do.
var programs string

// built is the real sandbox, once for all tests.
var built = sync.OnceValues(func() (program string, err error) {
	if programs, err = os.MkdirTemp("", "slipway-sandbox-"); err != nil {
		return "", err
	}
	program = filepath.Join(programs, "slipway-sandbox")
	out, err := exec.Command("go", "build", "-C", "../modules/sandbox/host", "-trimpath", "-o", program, "./cmd/slipway-sandbox").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return program, err
})

// asKeeper makes this test binary what keeps a cluster: it names the lock.
const asKeeper = "SLIPWAY_TEST_AS_KEEPER"

func TestMain(m *testing.M) {
	if path := os.Getenv(asKeeper); path != "" {
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGINT)
		if _, err := engine.Hold(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		<-ended
		fmt.Println("interrupted")
		os.Exit(0)
	}
	code := m.Run()
	if programs != "" {
		_ = os.RemoveAll(programs)
	}
	os.Exit(code)
}

// checkoutWithSandbox is the platform of a checkout whose sandbox is compiled, and
// ends with the test.
func checkoutWithSandbox(t *testing.T) (p *Platform, said *bytes.Buffer) {
	t.Helper()
	program, err := built()
	require.NoError(t, err)
	said = &bytes.Buffer{}
	progress := engine.NewProgress(said)
	p = &Platform{Launcher: &engine.Launcher{Repo: t.TempDir(), Progress: progress}, Progress: progress, prefer: "127.0.0.1:0"}
	require.NoError(t, os.MkdirAll(filepath.Dir(p.Sandbox()), 0o755))
	require.NoError(t, os.Symlink(program, p.Sandbox()))
	require.NoError(t, os.WriteFile(filepath.Join(p.Launcher.Repo, "slipway.yaml"), []byte("environments: {dev: {}, production: {infra: require}}\n"), 0o644))
	tree := filepath.Join(p.Launcher.Repo, "gitops")
	require.NoError(t, os.Mkdir(tree, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(tree, "file"), nil, 0o644))
	t.Cleanup(func() { assert.NoError(t, p.StopSandbox(context.WithoutCancel(t.Context()))) })
	return p, said
}

func (p *Platform) pid(t *testing.T) int {
	t.Helper()
	pid, err := p.sandbox().PID()
	require.NoError(t, err)
	return pid
}

func TestTheSandboxIsStartedFoundAndStopped(t *testing.T) {
	p, _ := checkoutWithSandbox(t)
	require.NoError(t, p.StopSandbox(t.Context()), "there is none")
	first, err := p.startSandbox(t.Context())
	require.NoError(t, err)
	assert.Regexp(t, `\Alocalhost:\d+\z`, first)
	pid := p.pid(t)
	assert.NotZero(t, pid)
	second, err := p.startSandbox(t.Context())
	require.NoError(t, err)
	assert.Equal(t, first, second)
	assert.Equal(t, pid, p.pid(t))

	require.NoError(t, p.StopSandbox(t.Context()))
	assert.Zero(t, p.pid(t))
	assert.NoFileExists(t, p.sandboxReady())
	log, err := os.ReadFile(p.sandbox().Log)
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(string(log), "stopped\n"), "it ended by itself")
	require.NoError(t, p.StopSandbox(t.Context()))
}

// An environment that is added gets its accounts at the next start, and the others keep
// theirs.
func TestEachEnvironmentHasItsAccounts(t *testing.T) {
	p, _ := checkoutWithSandbox(t)
	_, err := p.startSandbox(t.Context())
	require.NoError(t, err)
	dev, err := p.account("gitops/dev")
	require.NoError(t, err)
	_, err = p.account("state/production")
	require.NoError(t, err)

	settings := filepath.Join(p.Launcher.Repo, "slipway.yaml")
	require.NoError(t, os.WriteFile(settings, []byte("environments: {dev: {}, staging: {}}\n"), 0o644))
	_, err = p.startSandbox(t.Context())
	require.ErrorContains(t, err, "slipway.yaml has a new environment (end it with go tool task down, then try again)")
	require.ErrorContains(t, err, "no account for gitops/staging")
	require.NoError(t, p.StopSandbox(t.Context()))
	_, err = p.startSandbox(t.Context())
	require.NoError(t, err)
	again, err := p.account("gitops/dev")
	require.NoError(t, err)
	assert.Equal(t, dev, again)
	_, err = p.account("state/staging")
	require.NoError(t, err)

	for content, want := range map[string]string{"environments: {}\n": "has no environments", "environments: [\n": "slipway.yaml: yaml: "} {
		require.NoError(t, os.WriteFile(settings, []byte(content), 0o644))
		_, err = p.startSandbox(t.Context())
		require.ErrorContains(t, err, want)
	}
}

func TestSeveralCommandsStartOneSandbox(t *testing.T) {
	p, _ := checkoutWithSandbox(t)
	addresses := make([]string, 3)
	var group sync.WaitGroup
	for i := range addresses {
		group.Go(func() {
			var err error
			addresses[i], err = p.startSandbox(t.Context())
			assert.NoError(t, err)
		})
	}
	group.Wait()
	assert.NotEmpty(t, addresses[0])
	assert.Equal(t, addresses[0], addresses[1])
	assert.Equal(t, addresses[0], addresses[2])
	assert.NoFileExists(t, p.sandbox().Log+".old", "one was started")
}

func TestAKilledSandboxIsStartedAgainWithItsData(t *testing.T) {
	p, said := checkoutWithSandbox(t)
	_, err := p.startSandbox(t.Context())
	require.NoError(t, err)
	head := filepath.Join(p.path("sandbox", "data", "git"), "gitops.git", "refs", "heads", "main")
	commit, err := os.ReadFile(head)
	require.NoError(t, err)
	pid := p.pid(t)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	lock, err := p.sandbox().Stop(t.Context(), pid)
	require.NoError(t, err)
	require.NoError(t, lock.Close())

	_, err = p.startSandbox(t.Context())
	require.NoError(t, err)
	assert.NotEqual(t, pid, p.pid(t))
	assert.Contains(t, said.String(), "the sandbox ended without being stopped; starting it again")
	again, err := os.ReadFile(head)
	require.NoError(t, err)
	assert.Equal(t, string(commit), string(again))
}

// A process id that a reboot gave to another program must not be signalled.
func TestAStaleProcessIDIsNotSignalled(t *testing.T) {
	p, _ := checkoutWithSandbox(t)
	stranger := exec.Command("sleep", "600")
	require.NoError(t, stranger.Start())
	defer func() {
		require.NoError(t, stranger.Process.Kill())
		_ = stranger.Wait()
	}()
	require.NoError(t, os.MkdirAll(filepath.Dir(p.sandbox().Lock), 0o755))
	require.NoError(t, os.WriteFile(p.sandbox().Lock, []byte(strconv.Itoa(stranger.Process.Pid)), 0o644))
	require.NoError(t, os.WriteFile(p.sandboxReady(), fmt.Appendf(nil, `{"address":"127.0.0.1:1","pid":%d}`, stranger.Process.Pid), 0o644))
	require.NoError(t, p.StopSandbox(t.Context()))
	assert.NoFileExists(t, p.sandboxReady())
	assert.NoError(t, stranger.Process.Signal(syscall.Signal(0)), "the stranger was stopped")
}

func TestATakenPortIsSaid(t *testing.T) {
	p, said := checkoutWithSandbox(t)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer other.Close()
	p.prefer = other.Addr().String()
	address, err := p.startSandbox(t.Context())
	require.NoError(t, err)
	_, port, _ := strings.Cut(address, ":")
	assert.Contains(t, said.String(), p.prefer+" is in use; the sandbox listens at 127.0.0.1:"+port)
}

func TestASandboxOfAnotherOriginIsNotAdopted(t *testing.T) {
	p, _ := checkoutWithSandbox(t)
	require.NoError(t, os.MkdirAll(filepath.Dir(p.sandbox().Lock), 0o755))
	lock, err := engine.Hold(p.sandbox().Lock)
	require.NoError(t, err)
	defer lock.Close()
	_, err = p.startSandbox(t.Context())
	assert.EqualError(t, err, fmt.Sprintf("process %d serves %s, but was not started by up: stop it", os.Getpid(), p.path("sandbox", "data")))
	require.NoError(t, lock.Close())
}

func TestASandboxThatDoesNotAnswerIsAnError(t *testing.T) {
	p, _ := checkoutWithSandbox(t)
	require.NoError(t, os.MkdirAll(filepath.Dir(p.sandbox().Lock), 0o755))
	lock, err := engine.Hold(p.sandbox().Lock)
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, os.WriteFile(p.sandboxReady(), fmt.Appendf(nil, `{"address":"127.0.0.1:1","pid":%d}`, os.Getpid()), 0o644))
	_, err = p.startSandbox(t.Context())
	assert.ErrorContains(t, err, "runs but doesn't answer; stop it with go tool task down and look into "+p.sandbox().Log)
	require.NoError(t, lock.Close())
}

func TestASandboxThatCannotStartSaysWhy(t *testing.T) {
	p, _ := checkoutWithSandbox(t)
	require.NoError(t, os.MkdirAll(p.path("sandbox", "data"), 0o755))
	require.NoError(t, os.WriteFile(p.path("sandbox", "data", "git"), nil, 0o644))
	_, err := p.startSandbox(t.Context())
	assert.ErrorContains(t, err, "the sandbox ended at once (exit status 1): the end of "+p.sandbox().Log+" is:\n")
	assert.ErrorContains(t, err, p.path("sandbox", "data", "git"))
	assert.Zero(t, p.pid(t))
}
