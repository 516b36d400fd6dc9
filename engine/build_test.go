package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func testBuilder(t *testing.T) *Builder {
	t.Helper()
	return &Builder{Dirs: Dirs{Cache: t.TempDir()}, Progress: NewProgress(new(bytes.Buffer))}
}

func TestBuildArgs(t *testing.T) {
	assert.Equal(t, []string{
		"build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-tags", "dfexcludepatterns,dfparents,netgo,osusergo",
		"-ldflags", "-s -w -X github.com/dagger/dagger/engine.Version=v0.21.7 -X github.com/dagger/dagger/engine.Tag=v0.21.7",
		"-o", "/out/", "github.com/dagger/dagger/cmd/codegen", "github.com/dagger/dagger/cmd/init",
	}, buildArgs("/out", "codegen", "init"))
}

func TestADynamicHelperIsRefused(t *testing.T) {
	assert.ErrorContains(t, static("/bin/sh"), "sh is not a static program")
	assert.ErrorContains(t, static(os.DevNull), "read null")

	program := filepath.Join(t.TempDir(), "web")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/web")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.NoError(t, static(program))
}

func TestPartIsBuiltOnce(t *testing.T) {
	b := testBuilder(t)
	built := 0
	build := func(temp string) error {
		built++
		return os.WriteFile(filepath.Join(temp, "dagger"), nil, 0o755)
	}
	require.NoError(t, b.part("build", b.Dirs.CLI(), build))
	require.NoError(t, b.part("build", b.Dirs.CLI(), build))
	assert.Equal(t, 1, built)
	assert.FileExists(t, filepath.Join(b.Dirs.CLI(), "dagger"))
}

func TestUnfinishedPartIsNoPart(t *testing.T) {
	b := testBuilder(t)
	broken := errors.New("broken")
	err := b.part("build", b.Dirs.CLI(), func(temp string) error {
		require.NoError(t, os.WriteFile(filepath.Join(temp, "dagger"), nil, 0o755))
		return broken
	})
	require.ErrorIs(t, err, broken)
	entries, err := os.ReadDir(b.Dirs.Cache)
	require.NoError(t, err)
	assert.Empty(t, entries, "nothing is left of it")
	assert.False(t, b.Dirs.Built())
}

func TestRemoveUnfinished(t *testing.T) {
	b := testBuilder(t)
	killed, kept := filepath.Join(b.Dirs.Cache, tempPrefix+"123"), filepath.Join(b.Dirs.Cache, "state")
	require.NoError(t, os.MkdirAll(filepath.Join(killed, "half"), 0o755))
	require.NoError(t, os.Mkdir(kept, 0o755))
	require.NoError(t, b.removeUnfinished())
	assert.NoDirExists(t, killed)
	assert.DirExists(t, kept)
}

func TestToolchainDir(t *testing.T) {
	dir, err := toolchainDir([]byte(`{"Dir":"/mod/go","Sum":"`+toolchainSum+`"}`), nil, "")
	require.NoError(t, err)
	assert.Equal(t, "/mod/go", dir)
	_, err = toolchainDir([]byte(`{"Dir":"/mod/go","Sum":"h1:other="}`), nil, "")
	require.EqualError(t, err, toolchain+" has the sum h1:other=, not the pinned "+toolchainSum+": refused")
	_, err = toolchainDir([]byte(`{"Error":"not found"}`), errors.New("exit status 1"), "")
	require.ErrorContains(t, err, "download "+toolchain+": not found")
	_, err = toolchainDir(nil, errors.New("exit status 1"), "no network\n")
	require.ErrorContains(t, err, "no network")
}

func TestToolchainMode(t *testing.T) {
	assert.EqualValues(t, 0o755, toolchainMode("bin/go"))
	assert.EqualValues(t, 0o755, toolchainMode("pkg/tool/linux_amd64/compile"))
	assert.EqualValues(t, 0o644, toolchainMode("src/bin/go.go"))
}

func TestCommandSaysWhatFailed(t *testing.T) {
	err := run(command(context.Background(), "go", "no-such-command"))
	require.ErrorContains(t, err, "go no-such-command: exit status")
	require.ErrorContains(t, err, "unknown command")
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := tryLock(path)
	require.NoError(t, err)
	require.NotNil(t, first)
	second, err := tryLock(path)
	require.NoError(t, err)
	assert.Nil(t, second, "one engine per state")
	locked, err := held(path)
	require.NoError(t, err)
	assert.True(t, locked)
	ctx, cancel := context.WithCancel(context.Background())
	_, err = lockFile(ctx, path, cancel)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, first.Close())
	unlock, err := lockFile(context.Background(), path, func() { t.Error("the lock is free") })
	require.NoError(t, err)
	unlock()
}

func TestAskingForALockTakesNoneFromOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	locked, err := held(path)
	require.NoError(t, err)
	assert.False(t, locked, "there is no file yet")
	file, err := tryLock(path)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	var starters, askers sync.WaitGroup
	done := make(chan struct{})
	starters.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				assert.NoError(t, exec.Command("true").Run())
			}
		}
	})
	for range 2 {
		askers.Go(func() {
			for range 3000 {
				locked, err := held(path)
				if !assert.NoError(t, err) || !assert.False(t, locked, "nobody holds it") {
					return
				}
			}
		})
	}
	askers.Wait()
	close(done)
	starters.Wait()
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	progress := NewProgress(&out)
	require.NoError(t, progress.Do("compile", func() error { return nil }))
	broken := errors.New("broken")
	require.ErrorIs(t, progress.Do("start", func() error { return broken }), broken)
	assert.Regexp(t, `\Acompile\n  compile: done in \d+s\nstart\n  start: failed after \d+s\n\z`, out.String())
}

func TestProgressSaysWhatIsUnderWay(t *testing.T) {
	progress := NewProgress(io.Discard)
	still := func() string { return progress.still("deliver", 80*time.Second) }
	assert.Equal(t, "  deliver: 1m20s so far", still())
	doing := "compiling trivy for 40s"
	stop := progress.Follow(func() string { return doing })
	assert.Equal(t, "  deliver: 1m20s so far, compiling trivy for 40s", still())
	doing = ""
	assert.Equal(t, "  deliver: 1m20s so far", still())
	doing = "in Sign.sign for 2s"
	stop()
	assert.Equal(t, "  deliver: 1m20s so far", still())
}
