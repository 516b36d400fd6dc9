package database

import (
	"path/filepath"
	"testing"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	trivytypes "github.com/aquasecurity/trivy/pkg/types"
	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"slipway/step"
)

func TestCoverage(t *testing.T) {
	c := &Coverage{sources: []string{"go::Sample", "debian 12", "alpine 3.20"}}
	report := func(class trivytypes.ResultClass, kind ftypes.TargetType, os *ftypes.OS) *trivytypes.Report {
		r := &trivytypes.Report{Results: trivytypes.Results{{
			Target: "x", Class: class, Type: kind, Packages: []ftypes.Package{{Name: "p"}},
		}}}
		r.Metadata.OS = os
		return r
	}
	require.NoError(t, c.Check("linux/amd64", report(trivytypes.ClassLangPkg, ftypes.GoBinary, nil)))
	require.NoError(t, c.Check("linux/amd64", report(trivytypes.ClassOSPkg, ftypes.Debian, &ftypes.OS{Family: ftypes.Debian, Name: "12.5"})))
	require.NoError(t, c.Check("linux/amd64", report(trivytypes.ClassOSPkg, ftypes.Alpine, &ftypes.OS{Family: ftypes.Alpine, Name: "3.20.1"})))
	for name, r := range map[string]*trivytypes.Report{
		"a language without advisories":    report(trivytypes.ClassLangPkg, ftypes.NodePkg, nil),
		"an unknown language":              report(trivytypes.ClassLangPkg, "cobol", nil),
		"a release without advisories":     report(trivytypes.ClassOSPkg, ftypes.Debian, &ftypes.OS{Family: ftypes.Debian, Name: "13.1"}),
		"an unknown operating system":      report(trivytypes.ClassOSPkg, "plan9", &ftypes.OS{Family: "plan9", Name: "4"}),
		"no operating system":              report(trivytypes.ClassOSPkg, ftypes.Debian, nil),
		"a release that is only a prefix":  report(trivytypes.ClassOSPkg, ftypes.Debian, &ftypes.OS{Family: ftypes.Debian, Name: "1"}),
		"a language that is only a prefix": report(trivytypes.ClassLangPkg, "g", nil),
	} {
		t.Run(name, func(t *testing.T) {
			_ = refused(t, c.Check("linux/amd64", r), step.KindInfrastructure, "has no advisories, so there is no verdict")
		})
	}
}

func TestCoverageLooksAtEveryResult(t *testing.T) {
	c := &Coverage{sources: []string{"go::Sample"}}
	covered := trivytypes.Result{Target: "app", Class: trivytypes.ClassLangPkg, Type: ftypes.GoBinary, Packages: ftypes.Packages{{Name: "p"}}}
	bare := trivytypes.Result{Target: "Node.js", Class: trivytypes.ClassLangPkg, Type: ftypes.NodePkg, Packages: ftypes.Packages{{Name: "p"}}}
	empty := trivytypes.Result{Target: "none", Class: trivytypes.ClassLangPkg, Type: ftypes.Jar}
	require.NoError(t, c.Check("linux/amd64", &trivytypes.Report{Results: trivytypes.Results{empty, covered, covered}}))
	for _, results := range []trivytypes.Results{{bare, covered}, {covered, bare}, {empty, covered, bare, covered}} {
		fault := refused(t, c.Check("linux/amd64", &trivytypes.Report{Results: results}), step.KindInfrastructure, "1 packages of type node-pkg")
		require.Equal(t, "linux/amd64:Node.js", fault.Input)
	}
}

// advisories is a database with these sources, Red Hat's repositories, and an
// advisory for each of the Go modules.
func advisories(t *testing.T, sources, repositories, modules []string) *Coverage {
	t.Helper()
	file := filepath.Join(t.TempDir(), "trivy.db")
	db, err := bolt.Open(file, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		list, err := tx.CreateBucket([]byte("data-source"))
		require.NoError(t, err)
		for _, source := range sources {
			bucket, err := tx.CreateBucket([]byte(source))
			require.NoError(t, err)
			require.NoError(t, list.Put([]byte(source), []byte("{}")))
			for _, module := range modules {
				_, err := bucket.CreateBucket([]byte(module))
				require.NoError(t, err)
			}
		}
		cpes, err := tx.CreateBucket([]byte("Red Hat CPE"))
		require.NoError(t, err)
		known, err := cpes.CreateBucket([]byte("repository"))
		require.NoError(t, err)
		for _, repository := range repositories {
			require.NoError(t, known.Put([]byte(repository), []byte("[1]")))
		}
		return nil
	}))
	require.NoError(t, db.Close())
	c, err := cover(file)
	require.NoError(t, err)
	return c
}

func TestRedHatIsCoveredByRelease(t *testing.T) {
	c := advisories(t, []string{"Red Hat"}, []string{"rhel-8-for-x86_64-baseos-rpms", "rhel-9-for-x86_64-baseos-rpms", "rhel-10-for-x86_64-baseos-rpms", "rhel-7x"}, nil)
	report := func(family ftypes.OSType, version string, info *ftypes.BuildInfo) *trivytypes.Report {
		return &trivytypes.Report{
			Metadata: trivytypes.Metadata{OS: &ftypes.OS{Family: family, Name: version}},
			Results: trivytypes.Results{{Target: "x", Class: trivytypes.ClassOSPkg, Type: family,
				Packages: ftypes.Packages{{Name: "a", BuildInfo: info}, {Name: "p", BuildInfo: info}}}},
		}
	}
	require.NoError(t, c.Check("linux/amd64", report(ftypes.RedHat, "9.4", nil)))
	require.NoError(t, c.Check("linux/amd64", report(ftypes.CentOS, "8.4", nil)), "the policy decides about its end of life")
	require.NoError(t, c.Check("linux/amd64", report(ftypes.RedHat, "10.0", &ftypes.BuildInfo{ContentSets: []string{"rhel-10-for-x86_64-baseos-rpms"}})))
	for name, r := range map[string]*trivytypes.Report{
		"RHEL 6.10": report(ftypes.RedHat, "6.10", nil),
		"RHEL 7":    report(ftypes.RedHat, "7.9", nil),
		"RHEL 10, whose repositories nobody knows": report(ftypes.RedHat, "10.0", nil),
		"RHEL 10 without content sets":             report(ftypes.RedHat, "10.0", &ftypes.BuildInfo{}),
		"no release":                               report(ftypes.RedHat, "", nil),
	} {
		t.Run(name, func(t *testing.T) {
			_ = refused(t, c.Check("linux/amd64", r), step.KindInfrastructure, "has no advisories, so there is no verdict")
		})
	}
	without := advisories(t, []string{"debian 12"}, []string{"rhel-9-for-x86_64-baseos-rpms"}, nil)
	_ = refused(t, without.Check("linux/amd64", report(ftypes.RedHat, "9.4", nil)), step.KindInfrastructure, "has no advisories")
}

func TestGoModulesThatAdvisoriesName(t *testing.T) {
	c := advisories(t, []string{"go::A", "pip::B"}, nil, []string{"golang.org/x/text"})
	known, err := c.GoModules([]string{"golang.org/x/text", "golang.org/x", "example.com/own", ""})
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"golang.org/x/text": true}, known)

	known, err = advisories(t, []string{"pip::B"}, nil, []string{"golang.org/x/text"}).GoModules([]string{"golang.org/x/text"})
	require.NoError(t, err)
	require.Empty(t, known, "advisories of another language")
}

// What each file of packages is judged by; one that is missing here is refused.
func TestEachTypeOfPackagesHasItsAdvisories(t *testing.T) {
	all := map[string][]ftypes.LangType{
		"go":  {ftypes.GoBinary, ftypes.GoModule},
		"npm": {ftypes.Npm, ftypes.Yarn, ftypes.Pnpm, ftypes.Bun, ftypes.NodePkg, ftypes.JavaScript},
		"pip": {ftypes.Pip, ftypes.Pipenv, ftypes.Poetry, ftypes.Uv, ftypes.PyLock, ftypes.PythonPkg}, "maven": {ftypes.Jar, ftypes.Pom, ftypes.Gradle, ftypes.Sbt},
		"nuget": {ftypes.NuGet, ftypes.DotNetCore, ftypes.PackagesProps}, "rubygems": {ftypes.Bundler, ftypes.GemSpec}, "cargo": {ftypes.Cargo, ftypes.RustBinary},
		"composer": {ftypes.Composer, ftypes.ComposerVendor}, "erlang": {ftypes.Hex}, "conan": {ftypes.Conan}, "pub": {ftypes.Pub}, "swift": {ftypes.Swift},
		"cocoapods": {ftypes.Cocoapods}, "bitnami": {ftypes.Bitnami}, "julia": {ftypes.Julia},
	}
	for source := range all {
		c := &Coverage{sources: []string{"debian 12", source + "::Sample"}}
		for other, kinds := range all {
			for _, kind := range kinds {
				err := c.Check("linux/amd64", &trivytypes.Report{Results: trivytypes.Results{{Class: trivytypes.ClassLangPkg, Type: kind, Packages: ftypes.Packages{{Name: "p"}}}}})
				require.Equal(t, source == other, err == nil, "%s by %s: %v", kind, source, err)
			}
		}
	}
	for _, sources := range [][]string{{""}, {"::"}, {"::Sample"}} {
		c := &Coverage{sources: sources}
		for _, result := range []trivytypes.Result{{Class: trivytypes.ClassLangPkg, Type: "cobol"}, {Class: trivytypes.ClassOSPkg, Type: "plan9"}} {
			result.Packages = ftypes.Packages{{Name: "p"}}
			require.Error(t, c.Check("linux/amd64", &trivytypes.Report{Results: trivytypes.Results{result}}), "a source without a name covers nothing")
		}
	}
}

func TestEachSystemHasItsAdvisories(t *testing.T) {
	for _, c := range []struct {
		family        ftypes.OSType
		version, want string
	}{
		{ftypes.Debian, "12.5", "debian 12"}, {ftypes.Ubuntu, "24.04", "ubuntu 24.04"}, {ftypes.Alpine, "3.20.1", "alpine 3.20"}, {ftypes.Rocky, "9.4", "rocky 9"}, {ftypes.Alma, "9.4", "alma 9"},
		{ftypes.Wolfi, "20230201", "wolfi"}, {ftypes.Chainguard, "20230214", "chainguard"}, {ftypes.RedHat, "6.10", "Red Hat 6"}, {ftypes.RedHat, "7.9", "Red Hat 7"}, {ftypes.CentOS, "8", "Red Hat 8"},
		{ftypes.RedHat, "9.4", "Red Hat 9"}, {ftypes.RedHat, "10.0", ""}, {"plan9", "4", ""},
	} {
		require.Equal(t, c.want, system(&ftypes.OS{Family: c.family, Name: c.version}, ftypes.Packages{{Name: "a"}}), c)
	}
}

func TestADatabaseThatIsDamagedCoversNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trivy.db")
	_, err := cover(file)
	require.Error(t, err)
	_, err = (&Coverage{path: file, sources: []string{"go::A"}}).GoModules([]string{"a"})
	require.Error(t, err)
	write := func(do func(*bolt.Tx) error) {
		t.Helper()
		db, err := bolt.Open(file, 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.Update(do))
		require.NoError(t, db.Close())
	}
	write(func(*bolt.Tx) error { return nil })
	c, err := cover(file)
	require.NoError(t, err)
	require.Empty(t, c.sources, "an empty one")
	write(func(tx *bolt.Tx) error {
		list, err := tx.CreateBucket([]byte("data-source"))
		require.NoError(t, err)
		_, err = tx.CreateBucket([]byte("go::A"))
		require.NoError(t, err)
		return list.Put([]byte("go::A"), []byte("{"))
	})
	_, err = cover(file)
	require.ErrorContains(t, err, `source "go::A": unexpected end of JSON input`)
	// Red Hat's repositories say nothing without its advisories, and the other way round.
	for _, buckets := range [][]string{{"Red Hat CPE"}, {"Red Hat"}} {
		file = filepath.Join(t.TempDir(), "trivy.db")
		write(func(tx *bolt.Tx) error {
			_, err := tx.CreateBucket([]byte("data-source"))
			require.NoError(t, err)
			for _, name := range buckets {
				bucket, err := tx.CreateBucket([]byte(name))
				require.NoError(t, err)
				repositories, err := bucket.CreateBucket([]byte("repository"))
				require.NoError(t, err)
				require.NoError(t, repositories.Put([]byte("rhel-9-for-x86_64-baseos-rpms"), []byte("[1]")))
			}
			return nil
		})
		c, err := cover(file)
		require.NoError(t, err)
		require.Empty(t, c.sources)
	}
}

func TestGoModulesOfEverySource(t *testing.T) {
	c := advisories(t, []string{"pip::B", "go::A", "go::C"}, nil, []string{"example.com/a", "example.com/b"})
	c.sources = append([]string{"go::gone"}, c.sources...)
	known, err := c.GoModules([]string{"example.com/b", "", "example.com/none", "example.com/a"})
	require.NoError(t, err)
	require.Equal(t, map[string]bool{"example.com/a": true, "example.com/b": true}, known)
	for _, order := range [][]string{{"example.com/a", "example.com/b"}, {"example.com/b", "example.com/a"}} {
		known, err = c.GoModules(order)
		require.NoError(t, err)
		require.Len(t, known, 2)
	}
	c.sources = []string{"pip::B"}
	known, err = c.GoModules([]string{"example.com/a"})
	require.NoError(t, err)
	require.Empty(t, known)
}
