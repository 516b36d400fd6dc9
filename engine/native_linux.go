package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// start starts the engine. The lock goes to it, so it lasts as long as it.
func (l *Launcher) start(ctx context.Context) error {
	lock, err := awaitLock(ctx, time.Second, l.engineLock())
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return errors.New("an engine has just been started by other means: end it, then try again")
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := l.cleanUp(); err != nil {
		return err
	}
	spec, allowed, err := l.spec(ctx)
	if err != nil {
		return err
	}
	argument, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	linked, link, err := os.Pipe()
	if err != nil {
		return err
	}
	defer linked.Close()
	defer link.Close()
	cmd := exec.Command("/proc/self/exe", EnterCommand, string(argument))
	cmd.ExtraFiles = []*os.File{lock, linked}
	cmd.Env, cmd.Dir = []string{}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET}
	ended, err := l.background().launch(cmd)
	if err != nil {
		return err
	}
	record, err := json.Marshal(Running{PID: cmd.Process.Pid, Key: l.key(), State: l.Dirs.State, Network: l.Network, Started: time.Now().UTC()})
	if err == nil {
		err = writeFile(l.record(), record, 0o600)
	}
	if err == nil {
		err = connect(l.Network, cmd.Process.Pid, allowed)
	}
	if err == nil {
		_, err = link.Write([]byte{linkedByte})
	}
	if err == nil {
		err = l.await(ctx, ended)
	}
	if err != nil {
		// Killing process 1 of a PID namespace ends all of it.
		return errors.Join(err, ignoreDone(cmd.Process.Kill()), clean(l.Dirs.State, l.Network))
	}
	return nil
}

// spec describes the engine's root, and what of the machine itself the engine may
// reach.
func (l *Launcher) spec(ctx context.Context) (RootSpec, []string, error) {
	total, err := diskSize(l.Dirs.State)
	if err != nil {
		return RootSpec{}, nil, err
	}
	config, err := Config(SizeGC(total))
	if err != nil {
		return RootSpec{}, nil, err
	}
	digest, err := layoutDigest(l.Dirs.SDK())
	if err != nil {
		return RootSpec{}, nil, fmt.Errorf("read the Go SDK image: %w", err)
	}
	proxy, err := goEnv(ctx, "GOPROXY")
	if err != nil {
		return RootSpec{}, nil, fmt.Errorf("ask go for GOPROXY: %w", err)
	}
	env := engineEnv(l.Getenv, digest, proxy)
	resolv, servers, err := resolvConf(resolvFiles)
	if err != nil {
		return RootSpec{}, nil, err
	}
	allowed, err := allowances(servers, env)
	return RootSpec{
		Dir: filepath.Join(l.Dirs.State, "root"), Programs: l.Dirs.Programs(), SDK: l.Dirs.SDK(),
		State: l.Dirs.State, Socket: filepath.Dir(l.Dirs.Socket()), Config: config, Resolv: []byte(resolv),
		Network: l.Network, Env: env,
	}, allowed, err
}

// diskSize returns the size of the file system that holds a folder, in bytes.
func diskSize(dir string) (int64, error) {
	var found syscall.Statfs_t
	if err := syscall.Statfs(dir, &found); err != nil {
		return 0, fmt.Errorf("measure the disk of %s: %w", dir, err)
	}
	return int64(found.Blocks) * found.Bsize, nil
}
