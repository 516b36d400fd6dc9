package image

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway/step"
)

// Stage is the stage that faults of this package name.
const Stage = "build"

// machines are the platforms that images are built for, and what an ELF
// header calls their processor.
var machines = map[string]elf.Machine{
	"linux/amd64": elf.EM_X86_64,
	"linux/arm64": elf.EM_AARCH64,
}

// Source is one platform's input: a binary, or an image archive or layout.
type Source struct {
	// Platform is "linux/amd64" or "linux/arm64".
	Platform string
	// Path is the file or folder.
	Path string
}

// ParseSource reads a flag's "PLATFORM=PATH". flag is its name, for the fault.
func ParseSource(flag, value string) (Source, error) {
	platform, path, ok := strings.Cut(value, "=")
	if _, known := machines[platform]; !ok || !known || path == "" {
		return Source{}, step.Input(Stage, fmt.Sprintf("--%s %q", flag, value), "is not PLATFORM=PATH",
			"give one of "+strings.Join(platforms(), ", ")+", an equals sign and a path")
	}
	return Source{Platform: platform, Path: filepath.Clean(path)}, nil
}

func platforms() []string {
	var names []string
	for name := range machines {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// ordered checks that there is one source or more and no platform twice, and
// sorts them by platform.
func ordered(flag string, sources []Source) ([]Source, error) {
	if len(sources) == 0 {
		return nil, step.Input(Stage, "--"+flag, "is missing", "give at least one platform")
	}
	out := append([]Source(nil), sources...)
	sort.Slice(out, func(i, j int) bool { return out[i].Platform < out[j].Platform })
	for i := 1; i < len(out); i++ {
		if out[i].Platform == out[i-1].Platform {
			return nil, step.Input(Stage, "--"+flag+" "+out[i].Platform, "is given twice", "give each platform once")
		}
	}
	return out, nil
}

func ociPlatform(name string) *v1.Platform {
	os, arch, _ := strings.Cut(name, "/")
	return &v1.Platform{OS: os, Architecture: arch}
}

// checkBinary refuses a binary that can't run in an image that holds nothing
// else: one for another processor, or one that needs a dynamic linker.
func checkBinary(s Source) error {
	input := "binary of " + s.Platform
	f, err := elf.Open(s.Path)
	if err != nil {
		return step.Input(Stage, input, "is not an ELF executable", "build it with GOOS=linux").Because(err)
	}
	defer f.Close()
	if f.Machine != machines[s.Platform] || f.Class != elf.ELFCLASS64 {
		return step.Input(Stage, input, "is for processor "+f.Machine.String(), "build it with the GOARCH of "+s.Platform)
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return step.Input(Stage, input, "is of ELF type "+f.Type.String()+", not an executable", "build a main package")
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return step.Input(Stage, input, "is linked dynamically", "build it with CGO_ENABLED=0")
		}
	}
	return nil
}
