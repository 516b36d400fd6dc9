package inventory

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"path"
	"slices"
	"strings"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
)

// Where package managers keep which files they installed.
const (
	dpkgInfo   = "var/lib/dpkg/info/"
	dpkgStatus = "var/lib/dpkg/status.d/"
	md5sums    = ".md5sums"
	recordFile = ".dist-info/RECORD"
)

// dpkgDiversions says which files of packages lie under another name.
const dpkgDiversions = "var/lib/dpkg/diversions"

var apkDatabases = []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"}

// isRecord says whether a file says which package holds which files.
func isRecord(name string) bool {
	dir, _ := path.Split(name)
	return (dir == dpkgInfo || dir == dpkgStatus) && strings.HasSuffix(name, md5sums) ||
		slices.Contains(apkDatabases, name) || name == dpkgDiversions || strings.HasSuffix(name, recordFile)
}

// claim is what a package says of a file that it installed.
type claim struct {
	pkg string
	// sum is the content's, as algorithm:hex; empty where the package manager
	// keeps none that can be read here, and then layer is the one that the
	// package was installed in.
	sum, layer string
	// problem says why nothing is known about the package itself.
	problem string
}

func (c claim) holds(e *executable, diffID string) bool {
	switch c.sum {
	case "":
		return c.layer == diffID
	case "md5:" + e.md5, "sha1:" + e.sha1, "sha256:" + e.sha256:
		return true
	}
	return false
}

// owners are the claims about the paths of an image.
type owners struct {
	tree *tree
	// wanted are the last elements of the paths that are asked for.
	wanted map[string]bool
	// diverted is by the path that a package calls a file.
	diverted map[string]string
	claims   map[string][]claim
}

// claimed reads every package database of the image. Only a package that the
// report lists can claim a file: of another no advisory was asked.
func claimed(t *tree, report *types.Report, wanted map[string]bool) map[string][]claim {
	o := &owners{tree: t, wanted: wanted, diverted: map[string]string{}, claims: map[string][]claim{}}
	if n := t.at(dpkgDiversions); n != nil && n.file != nil {
		// Three lines each: the path, where it lies, and the package that took it.
		lines := strings.Split(string(n.file.record), "\n")
		for ; len(lines) >= 3; lines = lines[3:] {
			o.diverted[clean(lines[0])] = lines[1]
		}
	}
	system := map[string]ftypes.Package{}
	files := map[string]bool{}
	for _, result := range report.Results {
		for _, p := range result.Packages {
			switch {
			case result.Class == types.ClassOSPkg:
				system[p.Name] = p
				if rpm[result.Type] {
					for _, file := range p.InstalledFiles {
						o.add(file, o.of(p, claim{layer: p.Layer.DiffID}))
					}
				}
			case result.Type == ftypes.PythonPkg:
				files[p.FilePath] = true
			}
		}
	}
	t.files(func(name string, n *node) {
		record := n.file.record
		if record == nil {
			return
		}
		dir, base := path.Split(name)
		switch {
		case strings.HasSuffix(base, md5sums):
			pkg, _, _ := strings.Cut(strings.TrimSuffix(base, md5sums), ":")
			if p, ok := system[pkg]; ok {
				o.dpkg(p, record)
			}
		case name == dpkgDiversions:
		case strings.HasSuffix(name, recordFile):
			if files[dir+"METADATA"] {
				o.python(name, record)
			}
		default:
			o.apk(system, record)
		}
	})
	return o.claims
}

// rpm are the systems whose package manager is RPM.
var rpm = map[ftypes.TargetType]bool{
	ftypes.RedHat: true, ftypes.CentOS: true, ftypes.Rocky: true, ftypes.Alma: true, ftypes.Fedora: true, ftypes.Oracle: true, ftypes.Amazon: true,
}

// of is a claim of a system's package.
func (o *owners) of(p ftypes.Package, c claim) claim {
	c.pkg = p.Name
	if p.Repository.Class == ftypes.RepositoryClassThirdParty {
		c.problem = "is of the package " + p.Name + ", which is not the distribution's, so that its advisories say nothing about it"
	}
	return c
}

func (o *owners) add(file string, c claim) {
	if !o.wanted[path.Base(file)] {
		return
	}
	file = o.tree.resolve(file)
	o.claims[file] = append(o.claims[file], c)
}

// dpkg reads lines of an MD5 sum, two spaces and a path (deb-md5sums(5)).
func (o *owners) dpkg(p ftypes.Package, record []byte) {
	for line := range strings.Lines(string(record)) {
		if sum, file, ok := strings.Cut(strings.TrimRight(line, "\n"), "  "); ok {
			c := o.of(p, claim{sum: "md5:" + strings.ToLower(sum)})
			o.add(file, c)
			if to, ok := o.diverted[clean(file)]; ok {
				o.add(to, c)
			}
		}
	}
}

// apk reads the installed database: P is a package, F a folder, R a file in it and
// Z the file's sum, Q1 for SHA-1 and Q2 for SHA-256.
func (o *owners) apk(system map[string]ftypes.Package, record []byte) {
	var pkg, folder, file string
	for line := range strings.Lines(string(record)) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\n"), ":")
		if !ok {
			pkg, folder, file = "", "", ""
			continue
		}
		switch key {
		case "P":
			pkg = value
		case "F":
			folder = value
		case "R":
			file = path.Join(folder, value)
		case "Z":
			p, listed := system[pkg]
			algorithm := map[string]string{"Q1": "sha1:", "Q2": "sha256:"}[value[:min(2, len(value))]]
			if sum, err := base64.StdEncoding.DecodeString(value[min(2, len(value)):]); err == nil && listed && algorithm != "" && file != "" {
				o.add(file, o.of(p, claim{sum: algorithm + hex.EncodeToString(sum)}))
			}
		}
	}
}

// python reads the RECORD of a wheel: rows of a path, relative to the folder of
// packages, a sum and a size.
func (o *owners) python(name string, record []byte) {
	site := path.Dir(path.Dir(name))
	pkg := strings.TrimSuffix(path.Base(path.Dir(name)), ".dist-info")
	rows := csv.NewReader(bytes.NewReader(record))
	rows.FieldsPerRecord = -1
	for {
		row, err := rows.Read()
		if err != nil {
			return
		}
		if len(row) < 2 {
			continue
		}
		encoded, ok := strings.CutPrefix(row[1], "sha256=")
		sum, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
		if !ok || err != nil {
			continue
		}
		file := row[0]
		if !path.IsAbs(file) {
			file = path.Join("/", site, file)
		}
		o.add(file, claim{pkg: pkg, sum: "sha256:" + hex.EncodeToString(sum)})
	}
}
