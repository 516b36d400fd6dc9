package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"slipway/scan/step/internal/sample"
	"slipway/scan/step/layout"
	"slipway/scan/step/trivy"
	"slipway/step"
	"slipway/step/result/scan"
)

// TestMain makes the test binary a stand-in for Trivy when it is called so: it
// writes a report that was recorded, and notes its arguments.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == trivy.ConfinedCommand {
		fmt.Fprintln(os.Stderr, trivy.Confined(os.Args[2:]))
		os.Exit(2)
	}
	if filepath.Base(os.Args[0]) != "trivy" {
		os.Exit(m.Run())
	}
	if err := standIn(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func standIn(args []string) error {
	here := filepath.Dir(os.Args[0])
	note, err := os.OpenFile(filepath.Join(here, "calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(note, strings.Join(args, " ")); err != nil {
		return err
	}
	if err := note.Close(); err != nil {
		return err
	}
	output, scanners := "", ""
	for i, arg := range args {
		switch arg {
		case "--output":
			output = args[i+1]
		case "--scanners":
			scanners = args[i+1]
		}
	}
	recorded := map[string]string{"vuln": "image", "secret": "source", "license": "packages", "misconfig,secret": "manifests"}[scanners]
	if args[0] == "fs" && scanners == "vuln" {
		recorded = "modules"
	}
	switch args[0] {
	case "version":
		fmt.Println(`{"Version":"0.74.0"}`)
		return nil
	case "convert":
		if _, err := os.Stat(filepath.Join(here, "silent-"+args[2])); err == nil {
			return nil
		}
		data, err := os.ReadFile(args[len(args)-1])
		if err != nil {
			return err
		}
		if spoilt, err := os.ReadFile(filepath.Join(here, "spoilt-"+args[2])); err == nil {
			data = spoilt
		} else if args[2] == "sarif" {
			data = []byte(`{"version":"2.1.0","runs":[{"originalUriBaseIds":{"ROOTPATH":{"uri":"file:///tmp/x/"}},"results":[]}]}`)
		}
		return os.WriteFile(output, data, 0o644)
	}
	data, err := os.ReadFile(filepath.Join(here, recorded+".json"))
	if err != nil {
		return err
	}
	return os.WriteFile(output, data, 0o644)
}

// bench is an input whose scan passes, and where it goes.
type bench struct {
	in        Input
	runner    *trivy.Runner
	home      string
	work, out string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{home: t.TempDir(), work: t.TempDir(), out: t.TempDir()}
	for _, name := range []string{"image", "source", "manifests"} {
		data, err := os.ReadFile(filepath.Join("..", "findings", "testdata", name+".json"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(b.home, name+".json"), data, 0o644))
	}
	packages, err := os.ReadFile(filepath.Join("..", "sbom", "testdata", "source.json"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(b.home, "packages.json"), packages, 0o644))
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(b.home, "trivy")))
	b.runner, err = trivy.New(context.Background(), filepath.Join(b.home, "trivy"), t.TempDir())
	require.NoError(t, err)

	b.in.Layout, b.in.Digest = sample.Layout(t, sample.Index(t,
		sample.Image(t, "amd64", "app", []byte("one")), sample.Image(t, "arm64", "app", []byte("two"))))
	b.in.Cache = cache(t, "go::Sample")
	b.in.Expect = []string{"gobinary"}
	b.in.Source = tree(t, "apps/sample", "go.mod", "module sample\n\ngo 1.24\n\nrequire golang.org/x/text v0.3.7\n")
	b.in.Manifests = []Tree{
		tree(t, "gitops/apps/sample", "base/pod.yaml", "kind: Pod\n"),
		tree(t, "infra/local", "main.tf", "# nothing\n"),
	}
	return b
}

func cache(t *testing.T, source string) string {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(folder, "db"), 0o755))
	db, err := bolt.Open(filepath.Join(folder, "db", "trivy.db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		list, err := tx.CreateBucket([]byte("data-source"))
		if err != nil {
			return err
		}
		if _, err := tx.CreateBucket([]byte(source)); err != nil {
			return err
		}
		return list.Put([]byte(source), []byte("{}"))
	}))
	require.NoError(t, db.Close())
	info := `{"digest":"sha256:` + strings.Repeat("2", 64) + `","updatedAt":"2026-01-02T03:04:05Z","nextUpdate":"2026-01-03T03:04:05Z","version":2}`
	require.NoError(t, os.WriteFile(filepath.Join(folder, "database.json"), []byte(info), 0o644))
	return folder
}

func tree(t *testing.T, name, file, content string) Tree {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, file)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return Tree{Name: name, Folder: folder}
}

func (b *bench) run() (*scan.Summary, error) {
	return Run(context.Background(), b.runner, b.in, b.work, b.out, func(string, ...any) {})
}

func TestRun(t *testing.T) {
	b := newBench(t)
	summary, err := b.run()
	require.NoError(t, err)
	require.Equal(t, b.in.Digest, summary.Digest)
	require.Equal(t, "0.74.0", summary.TrivyVersion)
	binary, err := b.runner.Digest()
	require.NoError(t, err)
	require.Regexp(t, "^sha256:[0-9a-f]{64}$", binary)
	require.Equal(t, binary, summary.TrivyDigest)
	require.False(t, summary.StartedOn.IsZero())
	require.False(t, summary.FinishedOn.Before(summary.StartedOn))
	require.Equal(t, []string{"linux/amd64", "linux/arm64"}, summary.Platforms)
	require.Equal(t, map[string]int{"HIGH": 1}, summary.Vulnerabilities)
	require.Equal(t, map[string]int{"CRITICAL": 1}, summary.Secrets)
	require.Equal(t, map[string]int{"HIGH": 3, "LOW": 1}, summary.Misconfigurations)
	require.Equal(t, []string{
		"findings.json", "raw/image-linux-amd64.json", "raw/image-linux-arm64.json", "raw/manifests.json",
		"raw/source-packages.json", "raw/source.json", "report.sarif", "report.txt",
		"sbom/image-linux-amd64.cdx.json", "sbom/image-linux-amd64.spdx.json", "sbom/image-linux-arm64.cdx.json", "sbom/image-linux-arm64.spdx.json",
		"sbom/source.cdx.json", "sbom/source.spdx.json",
	}, summary.Files)
	for _, file := range summary.Files {
		require.FileExists(t, filepath.Join(b.out, file))
	}

	log, err := os.ReadFile(filepath.Join(b.out, SARIFFile))
	require.NoError(t, err)
	require.JSONEq(t, `{"version":"2.1.0","runs":[{"originalUriBaseIds":{"ROOTPATH":{"uri":"file:///"}},"results":[]}]}`, string(log))

	data, err := os.ReadFile(filepath.Join(b.home, "calls"))
	require.NoError(t, err)
	calls := strings.Split(strings.TrimSpace(string(data)), "\n")
	report, secret := filepath.Join(b.work, "report.json"), filepath.Join(b.work, "secret.yaml")
	require.Equal(t, "version --format json", calls[0])
	require.Equal(t, []string{
		strings.Join(trivy.ImageArgs(b.in.Cache, filepath.Join(b.work, "view-linux-amd64"), report), " "),
		strings.Join(trivy.ImageArgs(b.in.Cache, filepath.Join(b.work, "view-linux-arm64"), report), " "),
		strings.Join(trivy.SourceArgs(b.in.Cache, secret, b.in.Source.Folder, report), " "),
		strings.Join(trivy.PackageArgs(b.in.Cache, b.in.Source.Folder, report), " "),
		strings.Join(trivy.ManifestArgs(b.in.Cache, secret, filepath.Join(b.work, "manifests"), report), " "),
	}, calls[1:6])
	require.ElementsMatch(t, []string{
		strings.Join(trivy.ConvertArgs(b.in.Cache, "table", filepath.Join(b.work, "combined.json"), filepath.Join(b.out, TableFile)), " "),
		strings.Join(trivy.ConvertArgs(b.in.Cache, "sarif", filepath.Join(b.work, "combined.json"), filepath.Join(b.out, SARIFFile)), " "),
	}, calls[6:])
	require.FileExists(t, filepath.Join(b.work, "manifests", "gitops", "apps", "sample", "base", "pod.yaml"))
}

func TestBillsOfMaterialsAreAboutThisImageAndItsSource(t *testing.T) {
	b := newBench(t)
	b.in.Revision = strings.Repeat("7", 40)
	_, err := b.run()
	require.NoError(t, err)
	read := func(platform string) cdx.BOM {
		file, err := os.Open(filepath.Join(b.out, scan.SBOM(platform, scan.CycloneDX)))
		require.NoError(t, err)
		defer file.Close()
		var bom cdx.BOM
		require.NoError(t, cdx.NewBOMDecoder(file, cdx.BOMFileFormatJSON).Decode(&bom))
		return bom
	}
	image, err := layout.Verify(b.in.Layout, b.in.Digest)
	require.NoError(t, err)
	require.Len(t, image.Images, 2)
	for _, i := range image.Images {
		bom := read(i.Platform)
		assert.Equal(t, "sample", bom.Metadata.Component.Name)
		assert.Equal(t, i.Digest, bom.Metadata.Component.Version)
		assert.Contains(t, *bom.Metadata.Component.Properties, cdx.Property{Name: scan.PlatformProperty, Value: i.Platform})
		assert.Equal(t, "1970-01-01T00:00:00+00:00", bom.Metadata.Timestamp)
		var found []string
		for _, c := range *bom.Components {
			found = append(found, c.PackageURL)
		}
		assert.ElementsMatch(t, []string{"", "pkg:golang/golang.org/x/text@v0.3.7", "pkg:golang/sample", "pkg:golang/stdlib@v1.26.8"}, found)
	}

	source := read("")
	assert.Equal(t, "apps/sample", source.Metadata.Component.Name)
	assert.Equal(t, b.in.Revision, source.Metadata.Component.Version)
	assert.Len(t, *source.Components, 5)

	first := b.out
	b.work, b.out = t.TempDir(), t.TempDir()
	_, err = b.run()
	require.NoError(t, err)
	for _, platform := range []string{"linux/amd64", "linux/arm64", ""} {
		for _, format := range []scan.SBOMFormat{scan.CycloneDX, scan.SPDX} {
			name := scan.SBOM(platform, format)
			one, err := os.ReadFile(filepath.Join(first, name))
			require.NoError(t, err)
			two, err := os.ReadFile(filepath.Join(b.out, name))
			require.NoError(t, err)
			assert.Equal(t, string(one), string(two), name)
		}
	}
}

func TestACommentThatSkipsACheckIsAFinding(t *testing.T) {
	b := newBench(t)
	b.in.Manifests[1] = tree(t, "infra/local", "main.tf", "# fine\n#trivy:ignore:AVD-AWS-0001\nresource \"x\" \"y\" {}\n")
	_, err := b.run()
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(b.out, FindingsFile))
	require.NoError(t, err)
	var document scan.Findings
	require.NoError(t, json.Unmarshal(data, &document))
	require.Contains(t, document.Misconfigurations, scan.Misconfiguration{
		ID: scan.InlineIgnore, File: "infra/local/main.tf", Line: 2, Severity: "CRITICAL", Title: "A comment makes the scanner skip a check",
		Message: "Exceptions belong in the scan policy, where they have a reason, an owner and an expiry",
	})
	data, err = os.ReadFile(filepath.Join(b.out, TableFile))
	require.NoError(t, err)
	require.Contains(t, string(data), scan.InlineIgnore)
}

func TestRunRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*testing.T, *bench)
		kind   step.Kind
		input  string
		reason string
	}{
		"no database": {func(t *testing.T, b *bench) { b.in.Cache = t.TempDir() },
			step.KindInfrastructure, "--cache", "holds no vulnerability database"},
		"a database for another language": {func(t *testing.T, b *bench) { b.in.Cache = cache(t, "npm::Sample") },
			step.KindInfrastructure, "linux/amd64:app", "has no advisories"},
		"another digest": {func(_ *testing.T, b *bench) { b.in.Digest = "sha256:" + strings.Repeat("1", 64) },
			step.KindInput, "layout blob", "is about another image"},
		"no digest": {func(_ *testing.T, b *bench) { b.in.Digest = "" },
			step.KindInput, "--digest", "is not a sha256 digest"},
		"a flipped byte": {func(t *testing.T, b *bench) {
			blobs := filepath.Join(b.in.Layout, "blobs", "sha256")
			entries, err := os.ReadDir(blobs)
			require.NoError(t, err)
			path := filepath.Join(blobs, entries[0].Name())
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			data[0] ^= 1
			require.NoError(t, os.WriteFile(path, data, 0o644))
		}, step.KindInput, "layout blob", "a byte was changed"},
		"an image without the expected packages": {func(_ *testing.T, b *bench) { b.in.Expect = []string{"node-pkg"} },
			step.KindPolicy, "image for linux/amd64", "holds no package of type node-pkg"},
		"manifests that can't be checked": {func(t *testing.T, b *bench) {
			b.in.Manifests = append(b.in.Manifests, tree(t, "docs", "a.txt", "x"))
		}, step.KindPolicy, "manifests docs", "hold no file that Trivy can check"},
		"a scanner that fails": {func(t *testing.T, b *bench) { require.NoError(t, os.Remove(filepath.Join(b.home, "source.json"))) },
			step.KindInfrastructure, "trivy source apps/sample", "the scanner failed"},
		"a scanner that lists no packages": {func(t *testing.T, b *bench) {
			require.NoError(t, os.Remove(filepath.Join(b.home, "packages.json")))
		}, step.KindInfrastructure, "trivy packages apps/sample", "the scanner failed"},
		"a revision that is none": {func(_ *testing.T, b *bench) { b.in.Revision = "main" },
			step.KindInput, `revision "main"`, "is not a Git tree id"},
		"a report of an unknown class": {func(t *testing.T, b *bench) {
			require.NoError(t, os.WriteFile(filepath.Join(b.home, "source.json"), []byte(`{"SchemaVersion":2,"Results":[{"Target":"x","Class":"firmware"}]}`), 0o644))
		}, step.KindInfrastructure, `trivy result "x"`, `is of class "firmware"`},
		"an empty source": {func(t *testing.T, b *bench) { b.in.Source.Folder = t.TempDir() },
			step.KindInput, "tree apps/sample", "is missing or empty"},
		"a missing tree": {func(_ *testing.T, b *bench) { b.in.Manifests[0].Folder = "/nowhere" },
			step.KindInput, "tree gitops/apps/sample", "is missing or empty"},
		"a tree in another": {func(t *testing.T, b *bench) {
			b.in.Manifests = append(b.in.Manifests, tree(t, "infra", "main.tf", "x"))
		}, step.KindInput, "tree infra", "lies in another tree"},
		"a tree that leads out": {func(_ *testing.T, b *bench) { b.in.Source.Name = "../apps" },
			step.KindInput, "tree name", "is not a relative path"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			c.change(t, b)
			_, err := b.run()
			fault, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			require.Equal(t, c.kind, fault.Kind)
			require.Equal(t, "scan", fault.Stage)
			require.Contains(t, fault.Input, c.input)
			require.Contains(t, fault.Reason, c.reason)
			require.NotEmpty(t, fault.Mend)
			require.NoFileExists(t, filepath.Join(b.out, FindingsFile))
		})
	}
}

func TestAReportThatIsNotWrittenIsTold(t *testing.T) {
	for _, format := range []string{"table", "sarif"} {
		b := newBench(t)
		require.NoError(t, os.WriteFile(filepath.Join(b.home, "silent-"+format), nil, 0o644))
		summary, err := b.run()
		fault, ok := step.AsFault(err)
		require.True(t, ok, "%v", err)
		require.Equal(t, []any{step.KindInfrastructure, "trivy convert to " + format, "wrote no report"}, []any{fault.Kind, fault.Input, fault.Reason})
		require.Nil(t, summary)
	}
	b := newBench(t)
	require.NoError(t, os.WriteFile(filepath.Join(b.home, "spoilt-sarif"), []byte("{}"), 0o644))
	summary, err := b.run()
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	require.Equal(t, []any{step.KindInfrastructure, "trivy convert to sarif", "wrote no SARIF log"}, []any{fault.Kind, fault.Input, fault.Reason})
	require.Nil(t, summary)
}
