package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
)

// Of linux/prctl.h, linux/capability.h and linux/resource.h.
const (
	prSetDumpable   = 4
	prCapbsetRead   = 23
	prCapbsetDrop   = 24
	prSetNoNewPrivs = 38
	capVersion3     = 0x20080522
	rlimitNproc     = 6
	lastCapability  = 63
)

// niceness is that of everything in the box, beside the box's own 0.
const niceness = 10

// fileCapabilities is what root keeps in a step of a Dockerfile: to give files an
// owner and a mode, whoever owns them (CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER and
// CAP_FSETID). Without CAP_KILL, CAP_SETUID and CAP_SETGID it can't become anybody
// else.
const fileCapabilities = 1<<0 | 1<<1 | 1<<3 | 1<<4

// enter turns the process into a command of the box: it gives up what the command
// must not have, and becomes it. It returns only on failure.
func enter(args []string) error {
	flags := flag.NewFlagSet("box enter", flag.ContinueOnError)
	uid := flags.Int("uid", -1, "user id; the box's own if negative")
	processes := flags.Uint64("processes", 0, "limit of the user's processes; none if 0")
	size := flags.Uint64("file-size", 0, "limit of a file's size; none if 0")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("box enter needs a command")
	}
	// What follows belongs to the thread that becomes the command.
	runtime.LockOSThread()
	// The kernel's choice, when memory runs out, is the command.
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0); err != nil {
		return err
	}
	// The box gets its turn before any number of them.
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness); err != nil {
		return fmt.Errorf("set priority: %w", err)
	}
	limits := map[int]uint64{syscall.RLIMIT_CORE: 0, syscall.RLIMIT_FSIZE: *size, rlimitNproc: *processes}
	for resource, limit := range limits {
		if limit == 0 && resource != syscall.RLIMIT_CORE {
			continue
		}
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			return fmt.Errorf("set limit %d: %w", resource, err)
		}
	}
	kept := uint64(fileCapabilities)
	if *uid >= 0 {
		kept = 0
	}
	if err := dropBounding(kept); err != nil {
		return err
	}
	if *uid >= 0 {
		if err := become(*uid); err != nil {
			return err
		}
	}
	if err := capset(kept & capabilities()); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	if err := prctl(prSetNoNewPrivs, 1); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	program, err := exec.LookPath(flags.Arg(0))
	if err != nil {
		return err
	}
	return &os.PathError{Op: "exec", Path: program, Err: syscall.Exec(program, flags.Args(), os.Environ())}
}

func prctl(option, argument uintptr) error {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, option, argument, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// dropBounding takes away what a program of root's, or one with capabilities of its
// own, would gain. A user without CAP_SETPCAP can't, and has nothing to gain from
// where no_new_privs is set.
func dropBounding(kept uint64) error {
	for c := range uint64(lastCapability) {
		has, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, prCapbsetRead, uintptr(c), 0, 0, 0, 0)
		if errno != 0 {
			return nil // the kernel has no further ones
		}
		if has == 0 || kept&(1<<c) != 0 {
			continue
		}
		if err := prctl(prCapbsetDrop, uintptr(c)); err != nil && os.Geteuid() == 0 {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return nil
}

// become gives the thread another user and no group but the user's own.
func become(uid int) error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return fmt.Errorf("leave all groups: %w", errno)
	}
	id := uintptr(uid)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESGID, id, id, id); errno != 0 {
		return fmt.Errorf("become group %d: %w", uid, errno)
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, id, id, id); errno != 0 {
		return fmt.Errorf("become user %s: %w", strconv.Itoa(uid), errno)
	}
	return nil
}
