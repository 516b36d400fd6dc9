package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step/result/build"
	"slipway/step/steptest"
)

// The programs under test, compiled once: a box has to be a program. In a container
// they are at the same paths.
var boxProgram, hostile string

// sharedCache keeps what the toolchain compiles of itself, for all tests of a run.
var sharedCache string

// goroot is the toolchain that they use.
var goroot string

// Commands of the test's own program, which a container is started with: to show a
// folder of the machine in it, and to become a program in a new root.
const (
	bindCommand = "bind"
	rootCommand = "root"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 3 && (os.Args[1] == bindCommand || os.Args[1] == rootCommand) {
		panic(become1(os.Args[1], os.Args[2:]))
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "box-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		sharedCache = filepath.Join(dir, "cache")
		root, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			panic(err)
		}
		goroot = strings.TrimSpace(string(root))
		boxProgram, hostile = filepath.Join(dir, "box"), filepath.Join(dir, "hostile")
		for program, source := range map[string]string{boxProgram: ".", hostile: "./testdata/hostile"} {
			cmd := exec.Command("go", "build", "-o", program, source)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				panic(string(out))
			}
		}
		if err := os.Chmod(dir, 0o755); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}

// become1 does a command and becomes the next one.
func become1(command string, args []string) error {
	switch command {
	case bindCommand:
		if err := syscall.Mount(args[0], args[1], "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
			return err
		}
		args = args[2:]
	case rootCommand:
		if err := errors.Join(loopbackUp(), syscall.Chroot(args[0]), os.Chdir("/")); err != nil {
			return err
		}
		args = args[1:]
	}
	return syscall.Exec(args[0], args, os.Environ())
}

// loopbackUp is what an engine does in a new network namespace.
func loopbackUp() error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	request := struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{name: [syscall.IFNAMSIZ]byte{'l', 'o'}, flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return errno
	}
	return nil
}

// container is a root with nothing in it but the programs and a few folders.
type container struct {
	root string
	// binds are folders of the machine that it shows at their own paths.
	binds []string
	// network is that of the machine.
	network bool
}

func newContainer(t *testing.T) *container {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("makes namespaces, which needs root")
	}
	root := openDir(t)
	for _, dir := range []string{"proc", "dev", "tmp", filepath.Dir(boxProgram)} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	require.NoError(t, syscall.Mknod(filepath.Join(root, "dev", "null"), syscall.S_IFCHR|0o666, 1<<8|3))
	require.NoError(t, os.Chmod(filepath.Join(root, "dev", "null"), 0o666))
	for _, program := range []string{boxProgram, hostile} {
		require.NoError(t, os.Link(program, filepath.Join(root, program)))
	}
	return &container{root: root}
}

// run runs a program as the first process of new PID and mount namespaces, as an
// engine does.
func (c *container) run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	argv := []string{"--pid", "--mount", "--fork", "--kill-child", "--mount-proc=" + filepath.Join(c.root, "proc")}
	if !c.network {
		argv = append(argv, "--net")
	}
	argv = append(argv, "--")
	for _, dir := range c.binds {
		require.NoError(t, os.MkdirAll(filepath.Join(c.root, dir), 0o755))
		argv = append(argv, os.Args[0], bindCommand, dir, filepath.Join(c.root, dir))
	}
	cmd := exec.Command("unshare", append(append(argv, os.Args[0], rootCommand, c.root), args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Env = []string{"PATH=/usr/bin", "TMPDIR=/tmp"}
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// contained is run in a new container.
func contained(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return newContainer(t).run(t, args...)
}

// openDir is a folder that every user gets to.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

func TestRunPassesOn(t *testing.T) {
	stdout, stderr, code := contained(t, boxProgram, "run", "--", hostile, "exit")
	assert.Equal(t, "to stdout", stdout)
	assert.Equal(t, "to stderr", stderr)
	assert.Equal(t, 7, code)
	_, _, code = contained(t, boxProgram, "run", "--", hostile, "die")
	assert.Equal(t, 128+9, code)
	_, stderr, code = contained(t, boxProgram, "run", "--", "/no/such/program")
	assert.Equal(t, 126, code)
	assert.Contains(t, stderr, "/no/such/program")
}

func TestWhatIsPrintedIsNoCommand(t *testing.T) {
	stdout, _, code := contained(t, boxProgram, "run", "--", hostile, "commands")
	assert.Zero(t, code)
	steptest.Printable(t, stdout)
	assert.Contains(t, stdout, "error::owned")
}

func TestWhoRuns(t *testing.T) {
	none := "0000000000000000"
	stdout, _, code := contained(t, boxProgram, "run", "--", hostile, "show")
	assert.Zero(t, code)
	for _, line := range []string{"Uid 65532 65532 65532 65532", "Groups ", "NoNewPrivs 1", "CapEff " + none, "CapPrm " + none, "CapInh " + none, "CapBnd " + none, "CapAmb " + none} {
		assert.Contains(t, stdout+"\n", line+"\n")
	}
	stdout, _, code = contained(t, boxProgram, "run", "--keep-user", "--", hostile, "show")
	assert.Zero(t, code)
	// CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID.
	for _, line := range []string{"Uid 0 0 0 0", "NoNewPrivs 1", "CapEff 000000000000001b", "CapBnd 000000000000001b", "CapInh " + none} {
		assert.Contains(t, stdout, line+"\n")
	}
}

// TestAttempts: each attempt that fails in the box succeeds, or would, outside of it.
func TestAttempts(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	attempt := func(args ...string) map[string]string {
		c := newContainer(t)
		require.NoError(t, os.WriteFile(filepath.Join(c.root, "roots"), nil, 0o644))
		stdout, _, _ := c.run(t, append(append([]string{boxProgram, "run"}, args...), "--", hostile, "attack", "/roots", listener.Addr().String())...)
		require.Contains(t, stdout, "still here")
		got := map[string]string{}
		for line := range strings.Lines(stdout) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
				got[name] = value
			}
		}
		return got
	}
	fails := map[string]string{
		"kill the box": "false", "stop the box": "false", "read its memory": "false", "read its environ": "false", "trace it": "false",
		"become root": "false", "become another": "false", "mount": "false", "chown": "false", "write there": "false", "dial": "false",
	}
	assert.Equal(t, fails, attempt())
	// The kernel takes root's signals to the first process, and drops them. Root may
	// own files, and is root already.
	fails["kill the box"], fails["stop the box"] = "true", "true"
	fails["chown"], fails["write there"], fails["become root"] = "true", "true", "true"
	assert.Equal(t, fails, attempt("--keep-user"))
	// The control: the listener is there, and a container with a network gets to it.
	conn, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	conn.Close()
}

func TestLimits(t *testing.T) {
	for name, tc := range map[string]struct {
		flags []string
		does  []string
		limit string
	}{
		"an endless command":  {[]string{"--time=300ms"}, []string{"sleep"}, "time: it did not end within 300ms"},
		"a fork bomb":         {[]string{"--processes=100"}, []string{"bomb"}, "processes: it started 100 processes and threads"},
		"a thread bomb":       {[]string{"--processes=100"}, []string{"threads"}, "processes: it started 100 processes and threads"},
		"all the memory":      {[]string{"--memory=64MiB"}, []string{"eat"}, "memory: its processes took more than 64MiB"},
		"endless output":      {[]string{"--output=1MiB"}, []string{"print"}, "output: it printed more than 1MiB"},
		"a full disk":         {[]string{"--disk=16MiB"}, []string{"fill"}, "disk: it wrote more than 16MiB"},
		"a file without end":  {[]string{"--disk=16MiB"}, []string{"one-file"}, "disk: it wrote more than 16MiB"},
		"a bomb that is root": {[]string{"--processes=100", "--keep-user"}, []string{"bomb"}, "processes: it started 100 processes and threads"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContainer(t)
			require.NoError(t, os.Chmod(filepath.Join(c.root, "tmp"), 0o777))
			args := append([]string{boxProgram, "run", "--time=60s"}, tc.flags...)
			_, stderr, code := c.run(t, append(append(append(args, "--"), hostile), append(tc.does, "/tmp")...)...)
			assert.Equal(t, 125, code)
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			assert.Contains(t, lines[len(lines)-1], "slipway-box: limit: "+tc.limit)
		})
	}
}

func TestNothingOutlivesTheCommand(t *testing.T) {
	stdout, _, code := contained(t, boxProgram, "run", "--time=60s", "--", hostile, "daemon")
	assert.Zero(t, code)
	assert.Equal(t, "<nil>\n", stdout)
}

func TestTheBoxRefusesToBeNone(t *testing.T) {
	out, err := exec.Command(boxProgram, "run", "--", "/bin/true").CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 125, exit.ExitCode())
	assert.Regexp(t, "the box only runs as the first process of a container|the container has a network", string(out))

	if err := noNetwork(); err == nil {
		t.Skip("this machine has no network that a container could have")
	}
	c := newContainer(t)
	c.network = true
	_, stderr, code := c.run(t, boxProgram, "run", "--", hostile, "exit")
	assert.Equal(t, 125, code)
	assert.Contains(t, stderr, "the container has a network")
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{}, {"jump"}, {"run"}, {"run", "--time=0s", "--", hostile, "exit"}, {"run", "--memory=4GB", "--", "x"}, {"run", "--memory=-1", "--", "x"},
		{"run", "--processes=0", "--", hostile, "exit"}, {"go-build"}, {"go-build", "--app", "x", "--out", "/x", "--package", "."}, {"go-test", "--app", "x"}, {"gateway"}, {"gateway", "--host", "*:443"}, {"usage"},
	} {
		_, stderr, code := contained(t, append([]string{boxProgram}, args...)...)
		assert.Equal(t, 125, code, args)
		assert.Contains(t, stderr, "slipway-box:", args)
	}
}

func TestSizes(t *testing.T) {
	var s build.Size
	for text, want := range map[string]string{"4GiB": "4GiB", "4096MiB": "4GiB", "1": "1", "1025": "1025", "1KiB": "1KiB"} {
		require.NoError(t, s.Set(text), text)
		assert.Equal(t, want, s.String())
	}
	for _, text := range []string{"", "GiB", "4G", "-1", "1.5GiB", "99999999999999999999", "0x10", " 1"} {
		assert.Error(t, s.Set(text), text)
	}
}
