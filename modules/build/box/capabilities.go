package main

import (
	"syscall"
	"unsafe"
)

// capHeader and capData are what capget and capset read and write: the sets of 64
// capabilities as two halves.
type capHeader struct {
	version uint32
	pid     int32
}

type capData [2]struct{ effective, permitted, inheritable uint32 }

// capabilities are those that the thread may use now; none when the kernel does not
// say.
func capabilities() uint64 {
	header, data := capHeader{version: capVersion3}, capData{}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0); errno != 0 {
		return 0
	}
	return uint64(data[0].permitted) | uint64(data[1].permitted)<<32
}

// capset leaves the thread these capabilities and no others.
func capset(kept uint64) error {
	header, data := capHeader{version: capVersion3}, capData{}
	for half := range data {
		data[half].effective = uint32(kept >> (32 * half))
		data[half].permitted = data[half].effective
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0); errno != 0 {
		return errno
	}
	return nil
}
