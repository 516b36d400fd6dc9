package terraform

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"io"
	"os"

	"github.com/hashicorp/go-version"

	"slipway/step/result/infra"
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

// Ephemeral reports whether the program keeps ephemeral variables out of plans.
func Ephemeral(p infra.Program) bool {
	since := "1.10.0"
	if p.Name == nameOpenTofu {
		since = "1.11.0"
	}
	v, err := version.NewVersion(p.Version)
	return err == nil && !v.LessThan(version.Must(version.NewVersion(since)))
}

// program identifies an executable.
func program(path string, v *version.Version) (infra.Program, error) {
	file, err := os.Open(path)
	if err != nil {
		return infra.Program{}, err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return infra.Program{}, err
	}
	p := infra.Program{Name: "a program without build information", Version: v.String(), SHA256: "sha256:" + hex.EncodeToString(sum.Sum(nil))}
	if info, err := buildinfo.Read(file); err == nil {
		p.Name = info.Path
		if name, ok := programs[info.Path]; ok {
			p.Name = name
		}
	}
	return p, nil
}
