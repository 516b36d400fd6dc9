// Package testinput makes what the tests of several packages build images
// from. Nothing but tests imports it.
package testinput

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// ELF is the smallest file that has the header of a 64-bit Linux executable:
// one program header of the given type and nothing to run.
func ELF(machine elf.Machine, kind elf.Type, program elf.ProgType) []byte {
	const headerSize, programSize = 64, 56
	header := elf.Header64{
		Ident:     [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:      uint16(kind),
		Machine:   uint16(machine),
		Version:   uint32(elf.EV_CURRENT),
		Phoff:     headerSize,
		Ehsize:    headerSize,
		Phentsize: programSize,
		Phnum:     1,
		Shentsize: 64,
	}
	var out bytes.Buffer
	for _, part := range []any{header, elf.Prog64{Type: uint32(program)}} {
		if err := binary.Write(&out, binary.LittleEndian, part); err != nil {
			panic(err) // a buffer takes everything
		}
	}
	return out.Bytes()
}

// Static writes a static executable for machine into a new folder.
func Static(t testing.TB, machine elf.Machine) string {
	t.Helper()
	return File(t, "app", ELF(machine, elf.ET_EXEC, elf.PT_LOAD))
}

// File writes a file into a new folder and returns its path.
func File(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o755))
	return path
}

// Zoneinfo writes a small archive of time zones.
func Zoneinfo(t testing.TB) string {
	t.Helper()
	var out bytes.Buffer
	zw := zip.NewWriter(&out)
	w, err := zw.Create("Etc/UTC")
	require.NoError(t, err)
	_, err = w.Write([]byte("TZif"))
	require.NoError(t, err)
	require.NoError(t, zw.Close())
	return File(t, "zoneinfo.zip", out.Bytes())
}

// Tree makes a folder with one source file.
func Tree(t testing.TB) string {
	t.Helper()
	return filepath.Dir(File(t, "main.go", []byte("package main\n")))
}
