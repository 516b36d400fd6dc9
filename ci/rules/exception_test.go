package rules_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/scan"
)

func except(class rules.Class, id, path string) rules.Exception {
	return rules.Exception{Class: class, ID: id, Path: path, Reason: "r", Owner: "o", Expires: "2026-12-31"}
}

// An id alone is no permission: of what has the same one, only the class that is meant
// passes.
func TestAnExceptionIsForItsClassOnly(t *testing.T) {
	const id, file = "X-1", "apps/hello/a.yaml"
	in := clean()
	in.Findings.Vulnerabilities = []scan.Vulnerability{vulnerability(id, scan.High, "1")}
	in.Findings.Misconfigurations = []scan.Misconfiguration{{ID: id, File: file, Line: 1, Severity: scan.High, Title: "m"}}
	in.Findings.Secrets = []scan.Secret{{Rule: id, File: file, Line: 2, Title: "s"}}
	lines := map[rules.Class]string{
		rules.ClassVulnerability:    "HIGH: X-1 in golang.org/x/text v0.3.7, fixed in 1: denial of service",
		rules.ClassSecret:           "secret: s in apps/hello/a.yaml:2 (X-1)",
		rules.ClassMisconfiguration: "HIGH: X-1 in apps/hello/a.yaml:1: m",
	}
	order := []rules.Class{rules.ClassVulnerability, rules.ClassSecret, rules.ClassMisconfiguration}
	p := strict()
	all := []rules.Exception{except(order[0], id, ""), except(order[1], id, file), except(order[2], id, "")}
	for n, class := range order {
		p.Exceptions = all[n : n+1]
		var left []string
		for _, other := range order {
			if other != class {
				left = append(left, lines[other])
			}
		}
		assert.Equal(t, left, refusal(t, p, in).Details, class)
	}
	p.Exceptions = all
	v, err := p.Evaluate(in)
	require.NoError(t, err)
	assert.Equal(t, all, v.Excepted)
}

func TestAnExceptionForASecretIsForOneFile(t *testing.T) {
	const file = "apps/hello/testdata/key.pem"
	in := clean()
	in.Findings.Secrets = []scan.Secret{{Rule: "private-key", File: file, Line: 1, Title: "Private key"}}
	code := scan.Checked{Secrets: in.Findings.Secrets}
	p := strict()
	for name, c := range map[string]struct {
		exception rules.Exception
		passes    bool
	}{
		"the file":     {except(rules.ClassSecret, "private-key", file), true},
		"another file": {except(rules.ClassSecret, "private-key", "apps/hello/key.pem"), false},
		"a pattern":    {except(rules.ClassSecret, "private-key", "apps/hello/testdata/*"), false},
		"another rule": {except(rules.ClassSecret, "github-pat", file), false},
	} {
		p.Exceptions = []rules.Exception{c.exception}
		_, manifests := p.EvaluateManifests("scan", "", "gitops", in.Findings, now)
		_, terraform := p.EvaluateCode("check", digest, code, now)
		if !c.passes {
			assert.Equal(t, []string{"secret: Private key in apps/hello/testdata/key.pem:1 (private-key)"}, refusal(t, p, in).Details, name)
			require.ErrorContains(t, manifests, "1 finding at or above HIGH", name)
			require.ErrorContains(t, terraform, "has misconfigurations at or above HIGH: 1", name)
			continue
		}
		v, err := p.Evaluate(in)
		require.NoError(t, err, name)
		assert.Equal(t, p.Exceptions, v.Excepted)
		require.NoError(t, manifests)
		require.NoError(t, terraform)
	}
	p.Exceptions = []rules.Exception{except(rules.ClassSecret, "private-key", file)}
	_, err := p.EvaluateCode("check", digest, code, now.AddDate(0, 2, 0))
	require.ErrorContains(t, err, "expired on 2026-12-31")
}

// A comment makes the scanner skip any check: that a check is excepted excepts no comment.
func TestAnExceptionForAnIgnoreNamesItsFile(t *testing.T) {
	in := clean()
	in.Findings.Misconfigurations = []scan.Misconfiguration{{ID: scan.InlineIgnore, File: "infra/local/main.tf", Line: 3, Severity: scan.High, Title: "A comment"}}
	p := strict()
	for path, passes := range map[string]bool{"infra/local/main.tf": true, "infra/local/*": true, "infra/azure/main.tf": false} {
		p.Exceptions = []rules.Exception{except("", scan.InlineIgnore, path)}
		_, code := p.EvaluateCode("check", digest, scan.Checked{Misconfigurations: in.Findings.Misconfigurations}, now)
		if !passes {
			assert.Equal(t, []string{"HIGH: SLIPWAY-INLINE-IGNORE in infra/local/main.tf:3: A comment"}, refusal(t, p, in).Details)
			require.Error(t, code)
			continue
		}
		_, err := p.Evaluate(in)
		require.NoError(t, err, path)
		require.NoError(t, code, path)
	}
}

func TestAnExceptionForAPackage(t *testing.T) {
	in := clean()
	found := vulnerability("CVE-1", scan.High, "1")
	found.PURLs = []string{liba}
	in.Findings.Vulnerabilities = []scan.Vulnerability{found}
	p, e := strict(), except("", "CVE-1", "")
	for purl, passes := range map[string]bool{
		liba: true, "pkg:golang/example.com/liba": true, libb: false, "pkg:golang/example.com/liba@v1.0.1": false, "pkg:npm/example.com/liba@v1.0.0": false, "pkg:golang/example.org/liba": false,
	} {
		e.Package = purl
		p.Exceptions = []rules.Exception{e}
		if !passes {
			assert.Equal(t, "1 finding at or above HIGH", refusal(t, p, in).Reason)
			continue
		}
		v, err := p.Evaluate(in)
		require.NoError(t, err)
		assert.Equal(t, p.Exceptions, v.Excepted)
	}
}

// A file of before keeps its meaning where the id can be of one class only; of another id
// nobody knows what it lets pass.
func TestTheClassOfAnExceptionIsKnown(t *testing.T) {
	for _, e := range []rules.Exception{
		except("", "CVE-2026-1", ""), except("", "GHSA-2qrg-x229-3v8q", ""), except("", "GO-2022-1059", ""), except("", "TEMP-0841856-B18BAF", ""), except("", "openSUSE-SU-2020:0051-1", ""),
		except("", "KSV-0044", ""), except("", "KSV017", "gitops/a.yaml"), except("", "AVD-AZU-0011", "infra/*/main.tf"), except("", "DS-0002", ""),
		except("", rules.EndOfLife, ""), except("", rules.UnknownExecutable, "usr/bin/x"), except("", scan.InlineIgnore, "infra/local/main.tf"),
		except(rules.ClassMisconfiguration, "KSV-0044", ""), except(rules.ClassVulnerability, "BIT-1", ""), except(rules.ClassSecret, "private-key", "a.pem"),
		except(rules.ClassMisconfiguration, "USR-1", "a.yaml"), except(rules.ClassEndOfLife, rules.EndOfLife, ""),
		except(rules.ClassExecutable, rules.UnknownExecutable, "usr/bin/x"), except(rules.ClassIgnore, scan.InlineIgnore, "infra/*/main.tf"),
	} {
		p := strict()
		p.Exceptions = []rules.Exception{e}
		require.NoError(t, p.Validate("p"), "%+v", e)
	}
	purl := func(e rules.Exception, purl string) rules.Exception { e.Package = purl; return e }
	sum := func(e rules.Exception) rules.Exception { e.SHA256 = strings.Repeat("1", 64); return e }
	const all = "vulnerability, misconfiguration, ignore, secret, executable or endOfLife"
	for name, c := range map[string]struct {
		exception           rules.Exception
		input, reason, mend string
	}{
		"a secret's rule":        {except("", "private-key", "a.pem"), ".class", `is missing, and the id "private-key" can be of more than one`, "say what the exception is for: class: " + all},
		"an unknown id":          {except("", "BIT-1", ""), ".class", `is missing, and the id "BIT-1" can be of more than one`, "say what the exception is for: class: " + all},
		"no class":               {except("vulnerabilities", "CVE-1", ""), `.class "vulnerabilities"`, "is not a class of findings", "use " + all},
		"another class":          {except(rules.ClassMisconfiguration, "CVE-1", ""), `.class "misconfiguration"`, `has no finding "CVE-1"`, "give the class and the id that the refusal names, or leave the class out"},
		"another id":             {except(rules.ClassIgnore, "X-1", "a.tf"), `.class "ignore"`, `has no finding "X-1"`, "give the class and the id that the refusal names, or leave the class out"},
		"another executable":     {except(rules.ClassExecutable, "X-1", "a"), `.class "executable"`, `has no finding "X-1"`, "give the class and the id that the refusal names, or leave the class out"},
		"another end of life":    {except(rules.ClassEndOfLife, "X-1", ""), `.class "endOfLife"`, `has no finding "X-1"`, "give the class and the id that the refusal names, or leave the class out"},
		"an executable anywhere": {except("", rules.UnknownExecutable, ""), `.path ""`, "is not a path in the image", "name the one file, like usr/local/bin/tool; there is no exception for several"},
		"an executable's root":   {except("", rules.UnknownExecutable, "/usr/bin/x"), `.path "/usr/bin/x"`, "is not a path in the image", "name the one file, like usr/local/bin/tool; there is no exception for several"},
		"a secret that climbs":   {except(rules.ClassSecret, "private-key", "a/../b"), `.path "a/../b"`, "is not a file of the repository", "name the one file, like apps/hello/testdata/key.pem; there is no exception for several"},
		"an ignore's pattern":    {except("", scan.InlineIgnore, "infra/["), `.path "infra/["`, "is not a path in the repository", "write it like gitops/platform/argocd/base/rbac.yaml; * stands for any part of one name"},
		"a check's climb":        {except("", "KSV-0044", "./a"), `.path "./a"`, "is not a path in the repository", "write it like gitops/platform/argocd/base/rbac.yaml; * stands for any part of one name"},
		"an ignore anywhere": {except("", scan.InlineIgnore, ""), `.path ""`, "is not a path in the repository",
			"write it like gitops/platform/argocd/base/rbac.yaml; * stands for any part of one name"},
		"a secret anywhere": {except(rules.ClassSecret, "private-key", ""), `.path ""`, "is not a file of the repository",
			"name the one file, like apps/hello/testdata/key.pem; there is no exception for several"},
		"a vulnerability in a file": {except("", "CVE-1", "*"), `.path "*"`, "limits nothing for CVE-1, of class vulnerability",
			"leave it out; it is for class misconfiguration, ignore, secret or executable"},
		"an end of life in a file": {except("", rules.EndOfLife, "a"), `.path "a"`, "limits nothing for end-of-life, of class endOfLife",
			"leave it out; it is for class misconfiguration, ignore, secret or executable"},
		"a check's content":   {sum(except("", "KSV-0044", "a.yaml")), `.sha256 "` + strings.Repeat("1", 64) + `"`, "limits nothing for KSV-0044, of class misconfiguration", "leave it out; it is for class executable"},
		"a check's package":   {purl(except("", "KSV-0044", ""), liba), `.package "` + liba + `"`, "limits nothing for KSV-0044, of class misconfiguration", "leave it out; it is for class vulnerability"},
		"no package URL":      {purl(except("", "CVE-1", ""), "liba"), `.package "liba"`, "is not a package URL", "write it as the bill of materials has it, such as pkg:golang/golang.org/x/text@v0.3.7"},
		"a part of a package": {purl(except("", "CVE-1", ""), liba+"#x"), `.package "` + liba + `#x"`, "names a part of a package, which no finding does", "leave out what follows the #"},
	} {
		t.Run(name, func(t *testing.T) {
			p := strict()
			p.Exceptions = []rules.Exception{c.exception}
			f, ok := step.AsFault(p.Validate("p"))
			require.True(t, ok)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, "p.exceptions[0]"+c.input, f.Input)
			assert.Equal(t, c.reason, f.Reason)
			assert.Equal(t, c.mend, f.Mend)
		})
	}
}

func TestAnExceptionForMalformedPackagesIsForNone(t *testing.T) {
	p, in := strict(), clean()
	in.Findings.Vulnerabilities = []scan.Vulnerability{vulnerability("CVE-1", scan.High, "1")}
	for _, purl := range []string{"liba", "pkg:golang/liba"} {
		in.Findings.Vulnerabilities[0].PURLs = []string{purl}
		for _, meant := range []string{"liba", "pkg:golang/liba"} {
			e := except("", "CVE-1", "")
			e.Package = meant
			p.Exceptions = []rules.Exception{e}
			fell, _ := p.Rescan(image, in, nil, run) // which takes the policy as it is
			assert.Equal(t, purl == meant && purl != "liba", len(fell.Refused) == 0, "%s for %s", meant, purl)
		}
	}
}

// Of several exceptions for a finding the first that holds is the one that was needed.
func TestOneExceptionIsNeeded(t *testing.T) {
	in := clean()
	found := scan.Misconfiguration{ID: "KSV-0044", File: "gitops/a.yaml", Line: 1, Severity: scan.High, Title: "m"}
	in.Findings.Misconfigurations = []scan.Misconfiguration{found}
	of := func(path, expires string) rules.Exception {
		e := except("", "KSV-0044", path)
		e.Expires = expires
		return e
	}
	const over, later = "2026-11-23", "2026-12-31"
	for name, tc := range map[string]struct {
		exceptions []rules.Exception
		needed     int
		expired    string
	}{
		"both hold":        {[]rules.Exception{of("gitops/*", later), of("gitops/a.yaml", later)}, 0, ""},
		"the second holds": {[]rules.Exception{of("gitops/*", over), of("gitops/a.yaml", later)}, 1, ""},
		"the first holds":  {[]rules.Exception{of("gitops/*", later), of("gitops/a.yaml", over)}, 0, ""},
		"the third holds":  {[]rules.Exception{of("gitops/*", over), of("gitops/?.yaml", "2026-11-22"), of("gitops/a.yaml", later)}, 2, ""},
		"none holds":       {[]rules.Exception{of("gitops/*", over), of("gitops/a.yaml", "2026-11-22")}, 0, over},
	} {
		p := strict()
		p.Exceptions = tc.exceptions
		v, err := p.Evaluate(in)
		if tc.expired != "" {
			require.ErrorContains(t, err, "expired on "+tc.expired, name)
			continue
		}
		require.NoError(t, err, name)
		assert.Equal(t, tc.exceptions[tc.needed:tc.needed+1], v.Excepted, name)
	}
	// Of two findings whose exceptions are over, the first is named.
	p := strict()
	p.Exceptions = []rules.Exception{of("gitops/a.yaml", over), of("gitops/b.yaml", "2026-11-22")}
	second := found
	second.File = "gitops/b.yaml"
	in.Findings.Misconfigurations = append(in.Findings.Misconfigurations, second)
	_, err := p.Evaluate(in)
	require.ErrorContains(t, err, "expired on "+over)
}
