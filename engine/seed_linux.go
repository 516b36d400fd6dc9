package engine

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
)

// compileSeed compiles engine/seed inside root, and asks there for the modules
// as Dagger's code generation does.
func (b *Builder) compileSeed(ctx context.Context, root string) error {
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		for _, src := range []string{"src", "plain"} {
			target := filepath.Join(root, src, name)
			if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
				return err
			}
			if err := copyFile(filepath.Join(b.Repo, "engine/seed", name), target, 0o644); err != nil {
				return err
			}
		}
	}
	for _, name := range []string{"resolv.conf", "hosts", "nsswitch.conf"} {
		if err := copyFile("/etc/"+name, filepath.Join(root, "etc", name), 0o644); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	const null = 1<<8 | 3 // the device number of /dev/null
	if err := syscall.Mknod(filepath.Join(root, "dev/null"), syscall.S_IFCHR|0o666, null); err != nil {
		return err
	}
	proxy, err := goEnv(ctx, "GOPROXY")
	if err != nil {
		return err
	}
	env := append([]string{"GOPROXY=" + GoProxy(proxy), "TMPDIR=/tmp"}, sdkEnv...)
	for _, name := range passedOn {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	for _, seed := range seedCommands() {
		cmd := command(ctx, "/usr/local/go/bin/go", seed.args...)
		cmd.SysProcAttr.Chroot = root
		cmd.Dir, cmd.Env = seed.dir, env
		if err := run(cmd); err != nil {
			return err
		}
	}
	return nil
}
