package inventory

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/md5"  //nolint:gosec // What dpkg's databases hold.
	"crypto/sha1" //nolint:gosec // What apk's databases hold.
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// The kinds of executable files. A policy knows scripts by theirs.
const (
	kindELF    = "ELF file"
	kindPE     = "PE file"
	kindMachO  = "Mach-O file"
	kindJava   = "Java archive"
	kindZip    = "archive that runs"
	kindScript = "script"
)

// executable is one executable content of the image.
type executable struct {
	kind              string
	sha256, sha1, md5 string
	// privileged is whether a setuid or setgid bit is set, for the refusal.
	privileged bool
	// runnable is whether an executable bit is set: Trivy opens no others.
	runnable bool
	// repeated is a path that its layer holds more than once.
	repeated bool
	// replaces is whether a lower layer has another executable at the path: what
	// Trivy lists for it may be about that one.
	replaces bool
	// goInfo is the build information of a Go program.
	goInfo *buildinfo.BuildInfo
	// inner are the archives in a Java archive, by path in it; unread says why
	// they are not all known.
	inner  []inner
	unread string
}

type inner struct{ path, sha256 string }

// read looks at a regular file while its layer is read: nil for one that is
// neither executable nor a package database's.
func (t *tree) read(name string, h *tar.Header, content io.Reader) (*file, error) {
	if isRecord(name) {
		if t.records += h.Size; h.Size < 0 || t.records > mostRecords {
			return nil, fmt.Errorf("the package databases have more than %d bytes", mostRecords)
		}
		record, err := io.ReadAll(content)
		return &file{record: record}, err
	}
	head := make([]byte, 64)
	n, err := io.ReadFull(content, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	head = head[:n]
	guess := kindOf(name, h.Mode, head)
	if guess == "" {
		return nil, nil
	}
	long, short, middle := sha256.New(), md5.New(), sha1.New() //nolint:gosec // As above.
	spool, size, done, err := t.spool(io.TeeReader(io.MultiReader(bytes.NewReader(head), content), io.MultiWriter(long, short, middle)))
	if err != nil {
		return nil, err
	}
	defer done()
	e := &executable{
		kind: guess, runnable: h.Mode&0o111 != 0, privileged: h.Mode&0o6000 != 0,
		sha256: hex.EncodeToString(long.Sum(nil)), md5: hex.EncodeToString(short.Sum(nil)), sha1: hex.EncodeToString(middle.Sum(nil)),
	}
	switch guess {
	case kindPE:
		if !isPE(spool, size) {
			return nil, nil
		}
	case kindZip:
		if e.kind = archiveKind(spool, size); e.kind == "" {
			return nil, nil
		}
	}
	switch e.kind {
	case kindELF, kindPE, kindMachO:
		if info, err := buildinfo.Read(spool); err == nil {
			e.goInfo = info
		}
	case kindJava:
		t.archive(e, "", spool, size, 0)
	}
	return &file{executable: e}, nil
}

// inMemory is the most bytes of one file that are kept in memory.
const inMemory = 8 << 20

// spool keeps a content where it can be read in any order, until done.
func (t *tree) spool(content io.Reader) (r io.ReaderAt, size int64, done func(), err error) {
	head, err := io.ReadAll(io.LimitReader(content, inMemory+1))
	if err != nil || len(head) <= inMemory {
		return bytes.NewReader(head), int64(len(head)), func() {}, err
	}
	file, err := os.CreateTemp(t.scratch, "file-")
	if err != nil {
		return nil, 0, nil, err
	}
	done = func() {
		file.Close()
		os.Remove(file.Name())
	}
	size, err = io.Copy(file, io.MultiReader(bytes.NewReader(head), content))
	if err != nil {
		done()
		return nil, 0, nil, err
	}
	return file, size, done, nil
}

// kindOf tells an executable by its first bytes: all that a kernel or an
// interpreter starts, whatever its name and mode. A script counts where programs
// lie and with an executable bit; elsewhere it is what other text is.
func kindOf(name string, mode int64, head []byte) string {
	begins := func(magic string) bool { return strings.HasPrefix(string(head), magic) }
	switch {
	case begins("\x7fELF"):
		return kindELF
	case isJava(name):
		return kindJava
	case begins("MZ"):
		return kindPE
	case begins("\xfe\xed\xfa\xce"), begins("\xfe\xed\xfa\xcf"), begins("\xce\xfa\xed\xfe"), begins("\xcf\xfa\xed\xfe"):
		return kindMachO
	case begins("\xca\xfe\xba\xbe") && len(head) >= 8 && binary.BigEndian.Uint32(head[4:]) < 0x20:
		// A Java class begins alike, with its version (45 and more) there.
		return kindMachO
	case begins("PK\x03\x04"):
		return kindZip
	case begins("#!") && mode&0o111 != 0 && holdsPrograms(path.Dir(name)):
		return kindScript
	}
	return ""
}

// isJava says whether a name is that of a Java archive.
func isJava(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".jar", ".war", ".ear", ".par":
		return true
	}
	return false
}

// holdsPrograms says whether a folder is one that programs are started from.
func holdsPrograms(dir string) bool {
	switch path.Base(dir) {
	case ".", "bin", "sbin", "libexec":
		return true
	}
	return false
}

// isPE follows the DOS header to the PE signature: other files begin with MZ, too.
func isPE(r io.ReaderAt, size int64) bool {
	head := make([]byte, 64)
	if _, err := r.ReadAt(head, 0); err != nil {
		return false
	}
	at := int64(binary.LittleEndian.Uint32(head[0x3c:]))
	signature := make([]byte, 4)
	if at+4 > size {
		return false
	}
	_, err := r.ReadAt(signature, at)
	return err == nil && string(signature) == "PE\x00\x00"
}

// archiveKind is what a zip archive is that no name tells of.
func archiveKind(r io.ReaderAt, size int64) string {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return ""
	}
	for _, f := range z.File {
		switch {
		case f.Name == "META-INF/MANIFEST.MF", strings.HasSuffix(f.Name, ".class"):
			return kindJava
		case f.Name == "__main__.py":
			return kindZip
		}
	}
	return ""
}

// Bounds of Java archives in Java archives.
const (
	deepest         = 4
	mostInner int64 = 4 << 30
)

// archive lists the Java archives in the one at r, whose path in the outermost is
// prefix.
func (t *tree) archive(e *executable, prefix string, r io.ReaderAt, size int64, depth int) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		e.unread = "is no zip archive"
		return
	}
	var total int64
	for _, f := range z.File {
		if !isJava(f.Name) || f.FileInfo().IsDir() {
			continue
		}
		if total += int64(min(f.UncompressedSize64, uint64(mostInner)+1)); total > mostInner || depth == deepest {
			e.unread = "holds too many archives in archives"
			return
		}
		if err := t.innerArchive(e, path.Join(prefix, f.Name), f, depth); err != nil {
			e.unread = "holds the archive " + path.Join(prefix, f.Name) + ", which can't be read"
			return
		}
	}
}

func (t *tree) innerArchive(e *executable, name string, f *zip.File, depth int) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	sum := sha256.New()
	spool, size, done, err := t.spool(io.TeeReader(io.LimitReader(r, int64(f.UncompressedSize64)+1), sum))
	if err != nil {
		return err
	}
	defer done()
	e.inner = append(e.inner, inner{name, hex.EncodeToString(sum.Sum(nil))})
	t.archive(e, name, spool, size, depth+1)
	return nil
}
