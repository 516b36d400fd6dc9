package engine

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"
)

// clean removes what an engine left that did not end by itself: its bridge,
// its iptables rules, and the files its network namespaces were mounted on.
// Its processes and mounts ended with its namespaces. The caller holds the
// engine's lock, so none is running.
func clean(state string, network Network) error {
	if err := os.RemoveAll(filepath.Join(state, "lib", "net", "cni")); err != nil {
		return fmt.Errorf("clean up after the last engine: %w", err)
	}
	if err := removeRules(network); err != nil {
		return fmt.Errorf("clean up the last engine's iptables rules: %w", err)
	}
	if _, err := net.InterfaceByName(network.bridge()); err != nil {
		return nil
	}
	if err := removeBridge(network.bridge()); err != nil {
		return fmt.Errorf("remove the last engine's bridge %s: %w", network.bridge(), err)
	}
	return nil
}

// removeRules removes the engine's rules from both of iptables' backends, as
// far as each is there: which one an engine used depends on the kernel.
func removeRules(network Network) error {
	for _, backend := range []string{"xtables-legacy-multi", "xtables-nft-multi"} {
		tool := firstExisting("/", []string{"/usr/sbin/" + backend, "/usr/bin/" + backend})
		if tool == "" {
			continue
		}
		// A backend that the kernel doesn't have can't hold rules.
		saved, err := exec.Command(tool, "iptables-save").Output()
		if err != nil {
			continue
		}
		undo := staleRules(string(saved), network)
		if undo == "" {
			continue
		}
		restore := exec.Command(tool, "iptables-restore", "--noflush")
		restore.Stdin = strings.NewReader(undo)
		if err := run(restore); err != nil {
			return err
		}
	}
	return nil
}

// ioctlRemoveBridge is SIOCBRDELBR of linux/sockios.h.
const ioctlRemoveBridge = 0x89a1

// interfaceRequest is struct ifreq: a name, then a union that begins with the
// flags.
type interfaceRequest struct {
	name  [syscall.IFNAMSIZ]byte
	flags uint16
	_     [22]byte
}

// removeBridge takes a bridge down and removes it.
func removeBridge(name string) error {
	if err := setInterface(name, 0); err != nil {
		return err
	}
	return interfaceIoctl(ioctlRemoveBridge, &interfaceRequest{name: interfaceName(name)})
}

// setInterface sets the flags of a network interface.
func setInterface(name string, flags uint16) error {
	return interfaceIoctl(syscall.SIOCSIFFLAGS, &interfaceRequest{name: interfaceName(name), flags: flags})
}

func interfaceName(name string) (field [syscall.IFNAMSIZ]byte) {
	copy(field[:len(field)-1], name)
	return field
}

func interfaceIoctl(request uintptr, argument *interfaceRequest) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(argument))); errno != 0 {
		return errno
	}
	return nil
}
