package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// RootSpec says what the engine's root is made of. It is the argument of the
// command that Enter is.
type RootSpec struct {
	// Dir is an empty folder that the root is assembled on.
	Dir string `json:"dir"`
	// Programs, SDK, State and Socket are folders of the machine that the root
	// shows to the engine.
	Programs string `json:"programs"`
	SDK      string `json:"sdk"`
	State    string `json:"state"`
	Socket   string `json:"socket"`
	// Config is the content of /etc/dagger/engine.json.
	Config []byte `json:"config"`
	// Resolv is the content of /etc/resolv.conf.
	Resolv []byte `json:"resolv"`
	// Network is the engine's network on the machine.
	Network Network `json:"network"`
	// Env is the engine's environment.
	Env []string `json:"env"`
}

// enginePath is where the root has the engine.
const enginePath = "/usr/local/bin/dagger-engine"

// etcCopies are the files and folders of /etc that the root has copies of. The
// engine rewrites some of them, so none is the machine's own.
var etcCopies = []string{
	"alternatives", "ca-certificates", "ca-certificates.conf", "ethertypes", "gai.conf", "gitconfig", "group",
	"host.conf", "hostname", "hosts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "nsswitch.conf", "passwd",
	"protocols", "services", "ssh/ssh_known_hosts", "ssl", "timezone",
}

// linkedFile is where Enter reads linkedByte once its network is linked to the
// machine's. Before it in the launcher's list is the engine's lock.
const (
	linkedFile = 4
	linkedByte = 1
)

// Enter runs as process 1 of new mount, PID and network namespaces: it waits for
// the link to the machine's network, assembles the root, moves into it, and
// becomes the engine. It returns only on failure.
func Enter(argument string) error {
	var spec RootSpec
	if err := json.Unmarshal([]byte(argument), &spec); err != nil {
		return fmt.Errorf("read the root's description: %w", err)
	}
	if os.Getpid() != 1 || !filepath.IsAbs(spec.Dir) {
		return errors.New("this command only runs as process 1 of its own namespaces")
	}
	if err := awaitLink(spec.Network); err != nil {
		return fmt.Errorf("link the engine's network: %w", err)
	}
	if err := assemble(spec); err != nil {
		return fmt.Errorf("assemble the engine's root: %w", err)
	}
	if err := pivot(spec.Dir); err != nil {
		return fmt.Errorf("move into the engine's root: %w", err)
	}
	return syscall.Exec(enginePath, []string{
		"dagger-engine", "--config", "/etc/dagger/buildkitd.toml",
		"--network-name", spec.Network.Name, "--network-cidr", spec.Network.containers(),
	}, spec.Env)
}

// awaitLink waits until the launcher has made the link, and sets its end up.
func awaitLink(network Network) error {
	linked := os.NewFile(linkedFile, "linked")
	_, err := linked.Read(make([]byte, 1))
	if err := errors.Join(err, linked.Close()); err != nil {
		return fmt.Errorf("wait for the launcher: %w", err)
	}
	return connected(network)
}

// mounter mounts until something fails and keeps that failure.
type mounter struct{ err error }

func (m *mounter) mount(source, target, kind string, flags uintptr, data string) {
	if m.err != nil {
		return
	}
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		m.err = fmt.Errorf("mount %s (%s) on %s: %w", source, kind, target, err)
	}
}

func (m *mounter) do(err error) {
	if m.err == nil {
		m.err = err
	}
}

// bind shows a file or folder at another path, which it makes.
func (m *mounter) bind(source, target string, readOnly bool) {
	if m.err != nil {
		return
	}
	info, err := os.Stat(source)
	if err == nil && info.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else if err == nil {
		if err = os.MkdirAll(filepath.Dir(target), 0o755); err == nil {
			err = replaceByEmpty(target)
		}
	}
	m.do(err)
	m.mount(source, target, "", syscall.MS_BIND|syscall.MS_REC, "")
	if readOnly {
		m.mount("", target, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	}
}

// replaceByEmpty puts an empty file in a path's place, so that a link there is
// not followed.
func replaceByEmpty(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, nil, 0o644)
}

func assemble(spec RootSpec) error {
	root := func(parts ...string) string { return filepath.Join(append([]string{spec.Dir}, parts...)...) }
	var m mounter
	m.mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	m.mount("tmpfs", spec.Dir, "tmpfs", syscall.MS_NOSUID, "mode=0755")
	for _, dir := range []string{
		"usr", "etc/dagger", "proc", "sys", "dev", "run", "tmp", "root", "mnt",
		"var/lib/dagger", "var/tmp", "var/cache", "overlay/upper", "overlay/work",
	} {
		if m.err == nil {
			m.do(os.MkdirAll(root(dir), 0o755))
		}
	}
	// What the engine changes below /usr goes into memory.
	m.mount("overlay", root("usr"), "overlay", 0,
		fmt.Sprintf("lowerdir=/usr,upperdir=%s,workdir=%s", root("overlay/upper"), root("overlay/work")))
	for _, dir := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		m.topLevel("/"+dir, root(dir))
	}
	m.mount("proc", root("proc"), "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, "")
	// The interfaces in it are those of the network that it is mounted in.
	m.mount("sysfs", root("sys"), "sysfs", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, "")
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/kernel/security"} {
		if exists(dir) {
			m.mount(dir, root(dir), "", syscall.MS_BIND|syscall.MS_REC, "")
		}
	}
	m.mount("/dev", root("dev"), "", syscall.MS_BIND|syscall.MS_REC, "")
	m.mount("tmpfs", root("run"), "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=0755")
	m.bind(filepath.Join(spec.State, "tmp"), root("tmp"), false)
	m.bind(filepath.Join(spec.State, "lib"), root("var/lib/dagger"), false)
	m.bind(spec.Socket, root("run/dagger"), false)
	if m.err != nil {
		return m.err
	}
	m.do(os.Symlink("/run", root("var/run")))
	m.do(copyEtc("/etc", root("etc")))
	m.do(os.WriteFile(root("etc/resolv.conf"), spec.Resolv, 0o644))
	m.do(os.WriteFile(root("etc/dagger/engine.json"), spec.Config, 0o644))
	m.do(os.WriteFile(root("etc/dagger/buildkitd.toml"), nil, 0o644))
	m.bind(filepath.Join(spec.Programs, "engine"), root(enginePath), true)
	m.bind(filepath.Join(spec.Programs, "init"), root("usr/local/bin/dagger-init"), true)
	m.bind(spec.SDK, root("usr/local/share/dagger/content"), true)
	// The engine would add the machine's own certificate authorities to every
	// container, and so to what is built in one. Its own connections use the
	// bundle in /etc/ssl, which has them.
	m.do(os.RemoveAll(root("usr/local/share/ca-certificates")))
	m.do(linkPrograms(spec.Dir))
	m.bind(filepath.Join(spec.Programs, "dnsname"), root("opt/cni/bin/dnsname"), true)
	return m.err
}

// topLevel makes /bin and the like what they are on the machine: a link into
// /usr, or a folder.
func (m *mounter) topLevel(from, to string) {
	if m.err != nil {
		return
	}
	if target, err := os.Readlink(from); err == nil {
		m.do(os.Symlink(target, to))
	} else if exists(from) {
		m.bind(from, to, true)
	}
}

// linkPrograms puts links where the engine looks for what Debian keeps
// elsewhere: runc, iptables' two commands, and the CNI plugins.
func linkPrograms(root string) error {
	link := func(at string, candidates ...string) error {
		target := firstExisting("/", candidates)
		if target == "" {
			return fmt.Errorf("none of %s is there: run the set-up", strings.Join(candidates, ", "))
		}
		if target == at {
			return nil
		}
		path := filepath.Join(root, at)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return os.Symlink(target, path)
	}
	errs := []error{link("/usr/local/bin/runc", enginePackages[0].Paths...)}
	for _, name := range []string{"xtables-nft-multi", "xtables-legacy-multi"} {
		errs = append(errs, link("/usr/bin/"+name, "/usr/sbin/"+name, "/usr/bin/"+name))
	}
	for _, name := range []string{"bridge", "loopback", "firewall", "host-local"} {
		errs = append(errs, link("/opt/cni/bin/"+name, "/usr/lib/cni/"+name, "/opt/cni/bin/"+name))
	}
	return errors.Join(errs...)
}

// copyEtc copies etcCopies from one folder into another. Links in folders are kept
// as links.
func copyEtc(from, to string) error {
	for _, name := range etcCopies {
		source, target := filepath.Join(from, name), filepath.Join(to, name)
		info, err := os.Stat(source)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if info.IsDir() {
			err = copyTree(source, target, func(_ string, info fs.FileInfo) fs.FileMode { return info.Mode().Perm() })
		} else if err = os.MkdirAll(filepath.Dir(target), 0o755); err == nil {
			err = copyFile(source, target, info.Mode().Perm())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// pivot makes dir the root and lets go of the old one.
func pivot(dir string) error {
	old := filepath.Join(dir, "mnt")
	if err := syscall.PivotRoot(dir, old); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return syscall.Unmount("/mnt", syscall.MNT_DETACH)
}
