package trivy

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// ConfinedCommand is the step program's argument that makes it Confined.
const ConfinedCommand = "confined"

// confined is the command line of a run of Trivy that can't open a socket.
func (r *Runner) confined(args ...string) []string {
	return append([]string{"/proc/self/exe", ConfinedCommand, r.binary}, args...)
}

// Confined becomes the program that its arguments name, with a filter of system
// calls (seccomp(2)) that lets neither it nor what it starts open a socket of any
// kind, and with no_new_privs, so that nothing takes the filter away. It needs no
// privilege, so it works in every container; where the kernel refuses the filter,
// the program is not started. It returns only an error.
func Confined(args []string) error {
	if len(args) == 0 {
		return errors.New(ConfinedCommand + " names no program")
	}
	runtime.LockOSThread()
	if err := withoutSockets(); err != nil {
		return fmt.Errorf("take the network away: %w", err)
	}
	if err := syscall.Exec(args[0], args, os.Environ()); err != nil {
		return fmt.Errorf("start %s: %w", args[0], err)
	}
	return nil
}

// Offsets in struct seccomp_data, and the bit of the x32 calls, which amd64 has
// beside its own.
const (
	callOffset = 0
	archOffset = 4
	x32Bit     = 0x40000000
)

var architectures = map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}

// withoutSockets installs the filter for every thread of the process.
func withoutSockets() error {
	arch, ok := architectures[runtime.GOARCH]
	if !ok {
		return errors.New("no filter is written for " + runtime.GOARCH)
	}
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: archOffset, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: arch, SkipTrue: 5}, // another architecture's calls have other numbers
		bpf.LoadAbsolute{Off: callOffset, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: x32Bit, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_SOCKET, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SYS_IO_URING_SETUP, SkipTrue: 1}, // it opens sockets by itself
		bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW},
		bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
	})
	if err != nil {
		return err
	}
	instructions := make([]unix.SockFilter, 0, len(filter))
	for _, i := range filter {
		instructions = append(instructions, unix.SockFilter{Code: i.Op, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	program := unix.SockFprog{Len: uint16(len(instructions)), Filter: &instructions[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, failed := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(instructions)
	if failed != 0 {
		return failed
	}
	return nil
}
