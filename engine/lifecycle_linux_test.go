//go:build engine

package engine

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
)

// TestMain lets the test program be the launcher's hidden command, as its own
// program is.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == EnterCommand {
		fmt.Fprintln(os.Stderr, Enter(os.Args[2]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// insideVariable marks the test process that runs inside a network namespace.
const insideVariable = "SLIPWAY_TEST_INSIDE"

// inOwnNetwork runs a test again in a network namespace of its own, where an
// engine disturbs neither the user's nor the machine's network. It returns
// whether this process is the one inside.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		require.NoError(t, setUp("lo", "", "", ""))
		return true
	}
	inside := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1")
	inside.Env = append(os.Environ(), insideVariable+"=1")
	inside.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := inside.CombinedOutput()
	t.Logf("inside:\n%s", out)
	require.NoError(t, err)
	require.Contains(t, string(out), "--- PASS: "+t.Name()+" (")
	return false
}

// testNetwork is not the user's.
var testNetwork = Network{Name: "test", Prefix: "10.86.", Link: "169.254.86."}

// ownLauncher is a launcher of an engine beside the user's: same programs, own
// state, own locks, own network.
func ownLauncher(t *testing.T) *Launcher {
	t.Helper()
	user, err := NewLauncher(".", NewProgress(os.Stderr))
	require.NoError(t, err)
	require.True(t, user.Dirs.Built(), "run engine build before these tests")
	repo := t.TempDir()
	own := &Launcher{
		Repo:     repo,
		Dirs:     Dirs{Cache: user.Dirs.Cache, State: filepath.Join(t.TempDir(), "state"), Run: filepath.Join(t.TempDir(), "run")},
		Network:  testNetwork,
		Progress: NewProgress(os.Stderr),
		Getenv: func(name string) string {
			if name == runnerVariable || strings.HasPrefix(name, "DOCKER_") || name == "HOME" {
				return ""
			}
			return os.Getenv(name)
		},
	}
	t.Cleanup(func() { assert.NoError(t, own.Reset(context.Background())) })
	return own
}

// machine is what an engine must leave as it is.
func machine(t *testing.T) map[string]string {
	t.Helper()
	state := map[string]string{}
	resolv, err := os.ReadFile("/etc/resolv.conf")
	require.NoError(t, err)
	state["/etc/resolv.conf"] = string(resolv)
	for _, pattern := range []string{"/usr/sbin/ip*tables*", "/usr/bin/ip*tables*", "/etc/alternatives/ip*tables*", "/usr/bin/xtables*", "/usr/local/bin/runc", "/usr/local/bin/dagger-*"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			info, err := os.Lstat(file)
			require.NoError(t, err)
			target, _ := os.Readlink(file)
			state[file] = info.Mode().String() + " " + target + " " + info.ModTime().String()
		}
	}
	return state
}

// machineNetwork is the machine's interfaces, routes and rules of both iptables
// backends, without counters.
func machineNetwork(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	interfaces, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		require.NoError(t, err)
		fmt.Fprintln(&b, i.Name, addresses)
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	require.NoError(t, err)
	for _, route := range routes {
		fmt.Fprintln(&b, route.Dst, route.Gw)
	}
	for _, backend := range []string{"xtables-legacy-multi", "xtables-nft-multi"} {
		saved, err := exec.CommandContext(t.Context(), backend, "iptables-save").Output()
		require.NoError(t, err)
		for line := range strings.Lines(string(saved)) {
			if strings.HasPrefix(line, "-A ") {
				b.WriteString(line)
			}
		}
	}
	return b.String()
}

// inContainer runs a program in a scratch container of the launcher's engine,
// without any module: their code generation may ask the network.
func (l *Launcher) inContainer(t *testing.T, program string, args ...string) string {
	t.Helper()
	c := cli{env: append(os.Environ(), l.Environ(t.Context())...), dir: t.TempDir()}
	stdout, _ := c.must(t, "core", "-s", "container",
		"with-file", "--path=/web", "--source="+program, "--permissions=493",
		"with-exec", "--args="+strings.Join(append([]string{"/web"}, args...), ","), "stdout")
	return strings.TrimSpace(stdout)
}

// running reports whether a process has a command line that begins so.
func running(t *testing.T, commandLine string) bool {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(text), commandLine) {
			return true
		}
	}
	return false
}

func TestLifecycle(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	l := ownLauncher(t)
	ctx := t.Context()
	before, alone := machine(t), machineNetwork(t)
	program := buildWeb(t)

	require.NoError(t, l.Up(ctx))
	linked := machineNetwork(t)
	env, err := os.ReadFile(filepath.Join(l.Repo, ".slipway", "env"))
	require.NoError(t, err)
	assert.Contains(t, string(env), l.Dirs.RunnerHost())
	first, err := l.readRecord()
	require.NoError(t, err)
	stamp := l.inContainer(t, program, "time", "now")
	require.Regexp(t, `\A\d+\z`, stamp)

	t.Run("up twice is one engine", func(t *testing.T) {
		var said bytes.Buffer
		second := *l
		second.Progress = NewProgress(&said)
		require.NoError(t, second.Up(ctx))
		again, err := l.readRecord()
		require.NoError(t, err)
		assert.Equal(t, first, again)
		assert.Empty(t, said.String(), "nothing was done")
	})
	t.Run("other pins are refused while it runs", func(t *testing.T) {
		other := *l
		other.Dirs.Cache = filepath.Join(t.TempDir(), "0123456789abcdef")
		require.ErrorContains(t, other.Up(ctx), "an engine with other pins")
	})
	t.Run("one in another network is refused while it runs", func(t *testing.T) {
		other := *l
		other.Network.Link = "169.254.85."
		require.ErrorContains(t, other.Up(ctx), "in another network: end it with engine down")
	})
	t.Run("a second engine on its lock is refused", func(t *testing.T) {
		require.ErrorContains(t, l.start(ctx), "an engine has just been started by other means")
	})
	t.Run("status names it", func(t *testing.T) {
		status, err := l.Status(ctx)
		require.NoError(t, err)
		assert.Contains(t, status, "Dagger v0.21.7, native")
		assert.Contains(t, status, "answers:  yes")
	})
	t.Run("caches survive down and up", func(t *testing.T) {
		require.NoError(t, l.Down(ctx))
		_, err := l.Status(ctx)
		require.ErrorIs(t, err, ErrDown)
		assert.Equal(t, alone, machineNetwork(t), "no link, route or rule is left")
		require.NoError(t, l.Up(ctx))
		assert.Equal(t, stamp, l.inContainer(t, program, "time", "now"))
	})
	t.Run("down in mid-call ends the call and keeps the caches", func(t *testing.T) {
		c := cli{env: append(os.Environ(), l.Environ(ctx)...), dir: t.TempDir()}
		ended := make(chan error, 1)
		go func() {
			_, _, err := c.try(t, "core", "-s", "container", "with-file", "--path=/web", "--source="+program, "--permissions=493",
				"with-exec", "--args=/web,serve,:8080", "stdout")
			ended <- err
		}()
		require.Eventually(t, func() bool { return running(t, "/web\x00serve\x00") }, time.Minute, lockPoll, "the call runs its container")
		var said bytes.Buffer
		stopper := *l
		stopper.Progress = NewProgress(&said)
		require.NoError(t, stopper.Down(ctx))
		require.Error(t, <-ended, "the call did not end by itself")
		assert.Contains(t, said.String(), "interrupting what runs on it: 1 dagger processes")
		assert.NotContains(t, said.String(), "killing")
		assert.False(t, running(t, "/web\x00serve\x00"))
		require.NoError(t, l.Up(ctx))
		assert.Equal(t, stamp, l.inContainer(t, program, "time", "now"))
	})
	t.Run("up cleans up after kill -9", func(t *testing.T) {
		killed, err := l.readRecord()
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(killed.PID, syscall.SIGKILL))
		lock, err := awaitLock(ctx, startTimeout, l.engineLock())
		require.NoError(t, err)
		require.NoError(t, lock.Close())
		require.Contains(t, machineNetwork(t), l.Network.chains(), "the kill left the rules")
		require.NoError(t, l.Up(ctx))
		assert.Equal(t, linked, machineNetwork(t), "and they are there once")
		assert.Contains(t, l.inContainer(t, program, "cat", "/etc/resolv.conf"), "nameserver "+l.Network.Prefix+"0.1")
	})
	t.Run("reset removes the state", func(t *testing.T) {
		require.NoError(t, l.Reset(ctx))
		assert.NoDirExists(t, l.Dirs.State)
		assert.False(t, l.running())
	})
	assert.Equal(t, before, machine(t), "the machine's own files are as before")
}
