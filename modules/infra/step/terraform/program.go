package terraform

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"io"
	"os"

	"github.com/hashicorp/go-version"
)

// The programs that are known by their build information.
const (
	nameTerraform = "Terraform"
	nameOpenTofu  = "OpenTofu"
)

var programs = map[string]string{
	"github.com/hashicorp/terraform":        nameTerraform,
	"github.com/opentofu/opentofu/cmd/tofu": nameOpenTofu,
}

// Program is an executable that plans and applies.
type Program struct {
	// Name is Terraform or OpenTofu, or the import path of another program that says
	// that it is one of them.
	Name string `json:"name"`
	// Version is what it says of itself.
	Version string `json:"version"`
	// SHA256 is sha256:<hex> of the file.
	SHA256 string `json:"sha256"`
}

func (p Program) String() string { return p.Name + " " + p.Version + " (" + p.SHA256 + ")" }

// Ephemeral reports whether the program keeps ephemeral variables out of plans.
func (p Program) Ephemeral() bool {
	since := "1.10.0"
	if p.Name == nameOpenTofu {
		since = "1.11.0"
	}
	v, err := version.NewVersion(p.Version)
	return err == nil && !v.LessThan(version.Must(version.NewVersion(since)))
}

// program identifies an executable.
func program(path string, v *version.Version) (Program, error) {
	file, err := os.Open(path)
	if err != nil {
		return Program{}, err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return Program{}, err
	}
	p := Program{Name: "a program without build information", Version: v.String(), SHA256: "sha256:" + hex.EncodeToString(sum.Sum(nil))}
	if info, err := buildinfo.Read(file); err == nil {
		p.Name = info.Path
		if name, ok := programs[info.Path]; ok {
			p.Name = name
		}
	}
	return p, nil
}
