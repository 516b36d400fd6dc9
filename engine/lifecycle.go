package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// How long an engine may take.
const (
	// startTimeout is long because an engine whose predecessor was killed
	// deletes all its caches before it answers: on a slow disk, minutes.
	startTimeout = 15 * time.Minute
	// stopTimeout is longer than the five minutes that the engine gives itself
	// to write its caches.
	stopTimeout = 6 * time.Minute
)

// Running is what is known of the machine's engine while it runs.
type Running struct {
	PID     int       `json:"pid"`
	Key     string    `json:"key"`
	State   string    `json:"state"`
	Network Network   `json:"network"`
	Started time.Time `json:"started"`
}

func (l *Launcher) key() string        { return filepath.Base(l.Dirs.Cache) }
func (l *Launcher) engineLock() string { return filepath.Join(l.Dirs.Run, "engine.lock") }
func (l *Launcher) background() Background {
	return Background{Name: "the engine", Lock: l.engineLock(), Log: l.Dirs.Log(), End: syscall.SIGTERM, Patience: stopTimeout, Progress: l.Progress}
}

func (l *Launcher) launcherLock() string { return filepath.Join(l.Dirs.Run, "launcher.lock") }
func (l *Launcher) record() string       { return filepath.Join(l.Dirs.Run, "running.json") }

// running says whether the machine's engine runs: it holds its lock.
func (l *Launcher) running() bool {
	locked, err := l.background().Running()
	return err == nil && locked
}

func (l *Launcher) readRecord() (Running, error) {
	var r Running
	content, err := os.ReadFile(l.record())
	if err == nil {
		err = json.Unmarshal(content, &r)
	}
	return r, err
}

// exclusive runs work while no other launcher starts or stops the engine.
func (l *Launcher) exclusive(ctx context.Context, work func() error) error {
	if os.Geteuid() != 0 {
		return errors.New("a native engine needs root: run this as root, start Docker, or name an engine in " + runnerVariable)
	}
	if err := os.MkdirAll(l.Dirs.Run, 0o700); err != nil {
		return err
	}
	return exclusive(ctx, l.launcherLock(), func() { l.Progress.Say("another launcher is at work: waiting for it") }, work)
}

// Up makes sure that an engine is there: it builds what is missing, starts the
// native engine if that is the one to use, and writes .slipway/env.
func (l *Launcher) Up(ctx context.Context) error {
	if l.runner(ctx) != RunnerNative {
		if err := l.Build(ctx); err != nil {
			return err
		}
		return WriteEnv(l.Repo, l.Env(ctx))
	}
	return l.exclusive(ctx, func() error {
		if err := l.upNative(ctx); err != nil {
			return err
		}
		return WriteEnv(l.Repo, EnvFile(l.Dirs.CLI(), l.Dirs.RunnerHost()))
	})
}

func (l *Launcher) upNative(ctx context.Context) error {
	if l.running() {
		r, err := l.readRecord()
		if err != nil {
			return fmt.Errorf("an engine runs, but its record can't be read (end the process dagger-engine by hand): %w", err)
		}
		if r.Key != l.key() {
			return fmt.Errorf("an engine with other pins (%s, this checkout has %s) runs on this machine: end it with engine down, then try again", r.Key, l.key())
		}
		if r.Network != l.Network {
			return errors.New("the engine that runs was started by another version of the launcher, in another network: end it with engine down, then try again")
		}
		if !l.Dirs.Built() {
			return fmt.Errorf("the engine runs, but parts of it are gone from %s: engine down, then up builds them", l.Dirs.Cache)
		}
		if err := dial(l.Dirs.Socket()); err != nil {
			return l.await(ctx, nil)
		}
		return nil
	}
	if err := Setup(ctx, l.Progress, true); err != nil {
		return err
	}
	if !l.Dirs.Built() {
		if err := l.builder().All(ctx); err != nil {
			return err
		}
	}
	return l.Progress.Do("start the engine", func() error { return l.start(ctx) })
}

// EnterCommand is the hidden command of the launcher that Enter is.
const EnterCommand = "enter-engine-root"

// cleanUp removes what the last engine left, whichever key it had, and makes
// the folders of the next one.
func (l *Launcher) cleanUp() error {
	states := []string{l.Dirs.State}
	if last, err := l.readRecord(); err == nil && last.State != l.Dirs.State && filepath.IsAbs(last.State) {
		states = append(states, last.State)
	}
	for _, state := range states {
		if err := clean(state, l.Network); err != nil {
			return err
		}
	}
	socket := filepath.Dir(l.Dirs.Socket())
	for _, dir := range []string{socket, filepath.Join(l.Dirs.State, "tmp")} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	for _, dir := range []string{socket, filepath.Join(l.Dirs.State, "lib"), filepath.Join(l.Dirs.State, "root")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	tmp := filepath.Join(l.Dirs.State, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return err
	}
	return os.Chmod(tmp, 0o777|fs.ModeSticky)
}

// engineEnv is the engine's environment: the machine's proxies and what the Go
// SDK needs, nothing else of the caller's.
func engineEnv(getenv func(string) string, sdkDigest, goproxy string) []string {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root",
		"TMPDIR=/tmp",
		"DO_NOT_TRACK=1",
		"DAGGER_GO_SDK_MANIFEST_DIGEST=" + sdkDigest,
		"_DAGGER_ENGINE_SYSTEMENV_GOPROXY=" + GoProxy(goproxy),
	}
	for _, name := range passedOn {
		if value := getenv(name); value != "" && strings.HasSuffix(strings.ToUpper(name), "_PROXY") {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func dial(socket string) error {
	conn, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// await waits until the engine answers. ended tells that it ended; nil when
// the engine is not this process's child.
func (l *Launcher) await(ctx context.Context, ended <-chan string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	discard := sync.OnceFunc(func() {
		l.Progress.Say("the last engine was killed: Dagger discards its caches first")
	})
	return l.background().await(ctx, ended, func() error {
		err := dial(l.Dirs.Socket())
		if err != nil && strings.Contains(l.background().logEnd(), discardMessage) {
			discard()
		}
		return err
	})
}

// discardMessage is what Dagger v0.21.7 logs when it finds that its caches were
// not closed.
const discardMessage = "local cache state invalid; resetting worker"

// Down interrupts the calls that run on the machine's engine, ends it, and waits
// until its caches are written.
func (l *Launcher) Down(ctx context.Context) error {
	if !l.running() {
		l.Progress.Say("no native engine runs")
		return nil
	}
	return l.exclusive(ctx, func() error { return l.down(ctx) })
}

func (l *Launcher) down(ctx context.Context) error {
	if !l.running() {
		return nil
	}
	r, err := l.readRecord()
	if err != nil {
		return fmt.Errorf("an engine runs, but its record can't be read (end the process dagger-engine by hand): %w", err)
	}
	return l.Progress.Do("stop the engine", func() error {
		if err := l.interruptClients(ctx); err != nil {
			return err
		}
		lock, err := l.background().Stop(ctx, r.PID)
		if err != nil {
			return err
		}
		defer lock.Close()
		if err := clean(r.State, l.Network); err != nil {
			return err
		}
		if err := os.RemoveAll(filepath.Dir(l.Dirs.Socket())); err != nil {
			return err
		}
		return os.Remove(l.record())
	})
}

// Reset ends the engine and removes its state; what was built stays.
func (l *Launcher) Reset(ctx context.Context) error {
	return l.exclusive(ctx, func() error {
		if err := l.down(ctx); err != nil {
			return err
		}
		if !exists(l.Dirs.State) {
			return nil
		}
		return l.Progress.Do("remove the engine's state", func() error { return os.RemoveAll(l.Dirs.State) })
	})
}

// ErrDown is the error of Status when no native engine runs.
var ErrDown = errors.New("no native engine runs: start it with engine up")

// Status returns a few lines about the engine that is used.
func (l *Launcher) Status(ctx context.Context) (string, error) {
	switch l.runner(ctx) {
	case RunnerGiven:
		return "engine: " + l.Getenv(runnerVariable) + " (from " + runnerVariable + ")\n", nil
	case RunnerDocker:
		return "engine: Docker's, started by the dagger CLI\n", nil
	}
	if !l.running() {
		return "", ErrDown
	}
	r, err := l.readRecord()
	if err != nil {
		return "", err
	}
	answers := "yes"
	if err := dial(l.Dirs.Socket()); err != nil {
		answers = "no: " + err.Error()
	}
	return fmt.Sprintf("engine:   Dagger %s, native, process %d, up since %s\nanswers:  %s\naddress:  %s\npins:     %s (this checkout: %s)\nstate:    %s\nlog:      %s\n",
		DaggerVersion, r.PID, r.Started.Local().Format(time.DateTime), answers, l.Dirs.RunnerHost(), r.Key, l.key(), r.State, filepath.Join(r.State, "engine.log")), nil
}
