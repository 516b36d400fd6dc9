// Package scan is the whole scan of one image, its source and its manifests.
package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aquasecurity/trivy/pkg/types"

	"slipway/scan/step/database"
	"slipway/scan/step/findings"
	"slipway/scan/step/layout"
	"slipway/scan/step/sbom"
	"slipway/scan/step/trivy"
	"slipway/step"
	"slipway/step/printable"
	"slipway/step/result/scan"
)

const stage = "scan"

// Names of the files that Run writes below its output folder. The raw reports
// are below RawFolder, one per run of Trivy. Where the bills of materials are, scan.SBOM
// says.
const (
	FindingsFile = "findings.json"
	TableFile    = "report.txt"
	SARIFFile    = "report.sarif"
	RawFolder    = "raw"
)

// Tree is a folder and what the repository calls it.
type Tree struct{ Name, Folder string }

// Input says what to scan and with what.
type Input struct {
	// Layout is an OCI layout about Digest.
	Layout, Digest string
	// Source is the app's source, searched for secrets and for the packages
	// that it names. The last element of its name is the image's name.
	Source Tree
	// Revision is the Git tree id of the source; empty when it is not known.
	Revision string
	// Manifests are trees of manifests, checked and searched for secrets.
	Manifests []Tree
	// Cache is a folder that database.Fetch filled.
	Cache string
	// Expect are types of packages that each image must hold, such as
	// gobinary.
	Expect []string
}

// Run scans and writes its reports below out. work is an empty folder for
// temporary files. Findings are no fault; not being able to look is.
func Run(ctx context.Context, runner *trivy.Runner, in Input, work, out string, say func(string, ...any)) (*scan.Summary, error) {
	started := now()
	if err := in.check(); err != nil {
		return nil, err
	}
	digest, err := runner.Digest()
	if err != nil {
		return nil, err
	}
	info, coverage, err := database.Load(in.Cache)
	if err != nil {
		return nil, err
	}
	image, err := layout.Verify(in.Layout, in.Digest)
	if err != nil {
		return nil, err
	}
	say("layout: %s, %d images, every blob verified", in.Digest, len(image.Images))

	s := &scanner{ctx: ctx, runner: runner, cache: in.Cache, work: work, out: out, say: say}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	var platforms []string
	var about []billed
	for _, i := range image.Images {
		view := filepath.Join(work, "view-"+slug(i.Platform))
		if err := image.View(i, view); err != nil {
			return nil, err
		}
		report, err := s.scan(findings.KindImage, i.Platform, view)
		if err != nil {
			return nil, err
		}
		if err := expect(i.Platform, report, in.Expect); err != nil {
			return nil, err
		}
		if err := s.executables(image, i, coverage, in.Source.Folder); err != nil {
			return nil, err
		}
		if err := coverage.Check(i.Platform, report); err != nil {
			return nil, err
		}
		platforms = append(platforms, i.Platform)
		about = append(about, billed{sbom.Subject{Name: filepath.Base(in.Source.Name), Platform: i.Platform, Digest: i.Digest}, report})
	}
	if _, err := s.scan(findings.KindSource, in.Source.Name, in.Source.Folder); err != nil {
		return nil, err
	}
	packages, err := s.packages(in.Source)
	if err != nil {
		return nil, err
	}
	suppressions, err := s.manifests(in.Manifests)
	if err != nil {
		return nil, err
	}

	document, err := findings.Merge(in.Digest, runner.Version(), *info, s.parts, suppressions)
	if err != nil {
		return nil, err
	}
	if err := s.write(FindingsFile, document); err != nil {
		return nil, err
	}
	about = append(about, billed{sbom.Subject{Name: in.Source.Name, Revision: in.Revision}, packages})
	if err := s.bills(about); err != nil {
		return nil, err
	}
	if err := s.render(findings.Combine(in.Digest, s.parts, suppressions)); err != nil {
		return nil, err
	}
	slices.Sort(s.files)
	return &scan.Summary{
		Digest: in.Digest, Database: *info, TrivyVersion: runner.Version(), TrivyDigest: digest, StartedOn: started, FinishedOn: now(), Platforms: platforms,
		Vulnerabilities:   findings.Count(document.Vulnerabilities, func(f scan.Vulnerability) string { return string(f.Severity) }),
		Secrets:           findings.Count(document.Secrets, func(f scan.Secret) string { return string(f.Severity) }),
		Misconfigurations: findings.Count(document.Misconfigurations, func(f scan.Misconfiguration) string { return string(f.Severity) }),
		Files:             s.files,
	}, nil
}

func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

// revision is a Git tree id, in SHA-1.
var revision = regexp.MustCompile(`\A[0-9a-f]{40}\z`)

// check refuses trees that are missing, empty or named twice, and a revision
// that is none.
func (in Input) check() error {
	if in.Revision != "" && !revision.MatchString(in.Revision) {
		return step.Input(stage, fmt.Sprintf("revision %.80q", in.Revision), "is not a Git tree id",
			"give 40 lower-case hexadecimal digits, or none")
	}
	var names []string
	for _, tree := range append([]Tree{in.Source}, in.Manifests...) {
		if tree.Name == "" || !filepath.IsLocal(tree.Name) || tree.Name != filepath.Clean(tree.Name) || tree.Name == "." {
			return step.Input(stage, fmt.Sprintf("tree name %.80q", tree.Name), "is not a relative path",
				"name a tree by its path in the repository, such as apps/hello")
		}
		for _, other := range names {
			if strings.HasPrefix(other+"/", tree.Name+"/") || strings.HasPrefix(tree.Name+"/", other+"/") {
				return step.Input(stage, "tree "+tree.Name, "is given twice, or lies in another tree",
					"give trees that do not overlap")
			}
		}
		names = append(names, tree.Name)
		entries, err := os.ReadDir(tree.Folder)
		if err != nil || len(entries) == 0 {
			return step.Input(stage, "tree "+tree.Name, "is missing or empty, so there is nothing to scan",
				"give a folder that holds the files to scan").Because(err)
		}
	}
	return nil
}

// expect refuses an image that lacks a type of packages.
func expect(platform string, report *types.Report, kinds []string) error {
	for _, kind := range kinds {
		if !slices.ContainsFunc(report.Results, func(r types.Result) bool {
			return string(r.Type) == kind && len(r.Packages) > 0
		}) {
			return step.Policy(stage, "image for "+platform,
				fmt.Sprintf("holds no package of type %s, so nothing can be said about its vulnerabilities", kind),
				"build the app in a form that Trivy reads: not packed, and with its build information")
		}
	}
	return nil
}

type scanner struct {
	ctx              context.Context
	runner           *trivy.Runner
	cache, work, out string
	say              func(string, ...any)

	secretConfig string
	parts        []findings.Part
	files        []string
}

func (s *scanner) prepare() error {
	s.secretConfig = filepath.Join(s.work, "secret.yaml")
	if err := os.WriteFile(s.secretConfig, []byte(trivy.SecretConfig), 0o644); err != nil {
		return err
	}
	return os.MkdirAll(filepath.Join(s.out, RawFolder), 0o755)
}

// manifests scans all trees of manifests in one run.
func (s *scanner) manifests(trees []Tree) ([]scan.Misconfiguration, error) {
	if len(trees) == 0 {
		return nil, nil
	}
	all := filepath.Join(s.work, "manifests")
	var suppressions []scan.Misconfiguration
	var names, objects []string
	for _, tree := range trees {
		held, found, err := gather(tree, all)
		if err != nil {
			return nil, err
		}
		suppressions = append(suppressions, found...)
		objects = append(objects, held...)
		names = append(names, tree.Name)
	}
	if _, err := s.scan(findings.KindManifests, strings.Join(names, ", "), all); err != nil {
		return nil, err
	}
	s.parts[len(s.parts)-1].Trees = names
	s.parts[len(s.parts)-1].Objects = objects
	return suppressions, nil
}

// scan runs Trivy once and keeps its report without the scanned lines.
func (s *scanner) scan(kind findings.Kind, name, folder string) (*types.Report, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	report := filepath.Join(s.work, "report.json")
	var args []string
	var prefix string
	file := "manifests.json"
	switch kind {
	case findings.KindImage:
		file = "image-" + slug(name) + ".json"
		prefix, args = "image", trivy.ImageArgs(s.cache, folder, report)
	case findings.KindSource:
		file = "source.json"
		prefix, args = "source", trivy.SourceArgs(s.cache, s.secretConfig, folder, report)
	default:
		prefix, args = "manifests", trivy.ManifestArgs(s.cache, s.secretConfig, folder, report)
	}
	read, err := s.read(prefix, name, report, file, args)
	if err != nil {
		return nil, err
	}
	s.parts = append(s.parts, findings.Part{Kind: kind, Name: name, Report: read})
	return read, nil
}

// read runs Trivy with arguments that make it write report, takes it, and keeps
// it among the raw reports as file.
func (s *scanner) read(what, name, report, file string, args []string) (*types.Report, error) {
	if err := s.runner.Offline(s.ctx, what+" "+name, args...); err != nil {
		return nil, err
	}
	read, err := findings.Read(report)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(report); err != nil {
		return nil, err
	}
	read.ArtifactName = name
	s.say("%s %s: scanned", what, name)
	return read, s.write(filepath.Join(RawFolder, file), read)
}

// billed is what a bill of materials is about, and the report about it.
type billed struct {
	subject sbom.Subject
	report  *types.Report
}

// bills writes the bills of materials of each platform's image and of the source.
func (s *scanner) bills(about []billed) error {
	var reports []*types.Report
	for _, a := range about {
		reports = append(reports, a.report)
	}
	created := sbom.Created(reports...)
	for _, a := range about {
		a.subject.TrivyVersion, a.subject.Created = s.runner.Version(), created
		bill, err := sbom.Of(a.subject, a.report)
		if err != nil {
			return err
		}
		for format, document := range map[scan.SBOMFormat]func() ([]byte, error){scan.CycloneDX: bill.CycloneDX, scan.SPDX: bill.SPDX} {
			data, err := document()
			if err != nil {
				return err
			}
			file := scan.SBOM(a.subject.Platform, format)
			s.files = append(s.files, file)
			if err := os.MkdirAll(filepath.Dir(filepath.Join(s.out, file)), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(s.out, file), []byte(printable.JSON(string(data))), 0o644); err != nil {
				return err
			}
		}
	}
	s.say("bills of materials: of %d platforms and of the source", len(about)-1)
	return nil
}

// render makes the table and the SARIF log, with Trivy's own writers.
func (s *scanner) render(report *types.Report) error {
	data, err := json.Marshal(report)
	if err != nil {
		return err
	}
	combined := filepath.Join(s.work, "combined.json")
	if err := os.WriteFile(combined, data, 0o644); err != nil {
		return err
	}
	for format, file := range map[string]string{"table": TableFile, "sarif": SARIFFile} {
		target := filepath.Join(s.out, file)
		if err := s.runner.Offline(s.ctx, "convert to "+format, trivy.ConvertArgs(s.cache, format, combined, target)...); err != nil {
			return err
		}
		if _, err := os.Stat(target); err != nil {
			return step.Infrastructure(stage, "trivy convert to "+format, "wrote no report", "run again").Because(err)
		}
		s.files = append(s.files, file)
	}
	if err := settleTable(filepath.Join(s.out, TableFile)); err != nil {
		return err
	}
	return settleSARIF(filepath.Join(s.out, SARIFFile))
}

func (s *scanner) write(name string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	s.files = append(s.files, name)
	return os.WriteFile(filepath.Join(s.out, name), []byte(printable.JSON(string(data))+"\n"), 0o644)
}

func slug(name string) string { return strings.ReplaceAll(name, "/", "-") }
