package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/scan"
)

const vex = `{
  "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1", "author": "team-a", "role": "maintainer", "timestamp": "2026-11-01T10:00:00Z",
  "last_updated": "2026-11-21T10:00:00Z", "version": 1, "tooling": "by hand",
  "statements": [
    {"@id": "https://example.org/vex/1#1", "vulnerability": {"@id": "https://example.org/7", "name": "CVE-2026-7", "aliases": ["GHSA-1"], "description": "d"},
     "products": [{"@id": "pkg:oci/hello@` + digestInURL + `?repository_url=ghcr.io/acme"}],
     "status": "not_affected", "justification": "vulnerable_code_not_in_execute_path", "impact_statement": "the parser is never called", "status_notes": "n"},
    {"vulnerability": {"name": "CVE-2026-8"}, "products": [{"@id": "pkg:oci/hello", "identifiers": {"purl": "pkg:oci/hello"}, "subcomponents": []}], "status": "not_affected",
     "impact_statement": "no input reaches it", "timestamp": "2026-11-20T10:00:00Z", "supplier": "team-b"},
    {"vulnerability": {"name": "CVE-2026-9"}, "products": [{"@id": "pkg:oci/other"}], "status": "under_investigation"}
  ]
}`

const digestInURL = "sha256%3Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

var hello = rules.About{App: "hello", Repository: "ghcr.io/acme/hello", Digest: digest}

// said are statements in a document of the day, newest last.
func said(t *testing.T, about rules.About, statements ...string) rules.VEX {
	t.Helper()
	text := `{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1", "author": "team-a", "timestamp": "2026-11-10T10:00:00Z", "version": 1, "statements": [` +
		strings.Join(statements, ",") + `]}`
	got, err := rules.ParseVEX("apps/hello/openvex.json", about, []byte(text), 90*24*time.Hour, now)
	require.NoError(t, err)
	return got
}

// about is a statement: on a day of November, about a vulnerability in a product.
func about(day int, id, product, status string) string {
	more := ""
	if status == "not_affected" {
		more = `, "justification": "vulnerable_code_not_in_execute_path"`
	}
	return fmt.Sprintf(`{"vulnerability": {"name": %q}, "products": [%s], "timestamp": "2026-11-%02dT10:00:00Z", "status": %q%s}`, id, product, day, status, more)
}

const (
	whole = `{"@id": "pkg:oci/hello"}`
	liba  = "pkg:golang/example.com/liba@v1.0.0"
	libb  = "pkg:golang/example.com/libb@v1.0.0"
	deb   = "pkg:deb/debian/zlib1g@1.2.13?arch=%s&distro=debian-12.5"
)

func in(packages ...string) string {
	return `{"@id": "pkg:oci/hello", "subcomponents": [{"@id": "` + strings.Join(packages, `"}, {"@id": "`) + `"}]}`
}

func TestOpenVEXMakesExceptionsThatExpire(t *testing.T) {
	got, err := rules.ParseVEX("apps/hello/openvex.json", hello, []byte(vex), 30*24*time.Hour, now)
	require.NoError(t, err)
	of := func(id string) rules.Exception {
		return rules.Exception{Class: rules.ClassVulnerability, ID: id, App: "hello", Reason: "vulnerable_code_not_in_execute_path: the parser is never called", Owner: "team-a", Expires: "2026-12-01"}
	}
	p, in := strict(), clean()
	in.Findings.Vulnerabilities = []scan.Vulnerability{
		vulnerability("CVE-2026-7", scan.Critical, "0.3.8"), vulnerability("GHSA-1", scan.High, "0.3.8"), vulnerability("CVE-2026-8", scan.High, "0.3.8"),
	}
	assert.Equal(t, "3 findings at or above HIGH", refusal(t, p, in).Reason)
	in.VEX = got
	v, err := p.Evaluate(in)
	require.NoError(t, err)
	assert.Equal(t, []rules.Exception{of("CVE-2026-7"), of("GHSA-1"),
		{Class: rules.ClassVulnerability, ID: "CVE-2026-8", App: "hello", Reason: "no input reaches it", Owner: "team-b", Expires: "2026-12-20"}}, v.Excepted)
	assert.Equal(t, p.Digest(), v.PolicyDigest, "what an app says of itself is no part of the platform's policy")
	in.Now, in.Findings.Database.UpdatedAt = now.AddDate(0, 0, 10), now.AddDate(0, 0, 10)
	assert.Equal(t, "expired on 2026-12-01", refusal(t, p, in).Reason)
	in.Findings.Vulnerabilities = in.Findings.Vulnerabilities[2:]
	_, err = p.Evaluate(in)
	require.NoError(t, err, "what nothing needs any more may stay in the document")
}

// Each narrows what an older or a wider statement says; the finding's control is the
// statement that excepts it.
func TestOpenVEXStatementsNarrow(t *testing.T) {
	const id, no, yes = "CVE-2026-7", "not_affected", "affected"
	alias := func(statement string) string {
		return strings.Replace(statement, `"name": "GHSA-1"`, `"name": "GHSA-1", "aliases": ["CVE-2026-7"]`, 1)
	}
	for name, c := range map[string]struct {
		statements []string
		purls      []string
		excepted   []string // packages of the exceptions; nil means refused
	}{
		"the whole image":                      {[]string{about(1, id, whole, no)}, []string{liba}, []string{""}},
		"nothing known of the package":         {[]string{about(1, id, whole, no)}, nil, []string{""}},
		"another vulnerability":                {[]string{about(1, "CVE-2026-77", whole, no)}, []string{liba}, nil},
		"the subcomponent":                     {[]string{about(1, id, in(liba), no)}, []string{liba}, []string{liba}},
		"its version without the v":            {[]string{about(1, id, in("pkg:golang/example.com/liba@1.0.0"), no)}, []string{liba}, []string{"pkg:golang/example.com/liba@1.0.0"}},
		"any version of it":                    {[]string{about(1, id, in("pkg:golang/example.com/liba"), no)}, []string{liba}, []string{"pkg:golang/example.com/liba"}},
		"by its identifier":                    {[]string{about(1, id, `{"@id": "pkg:oci/hello", "subcomponents": [{"identifiers": {"purl": "`+liba+`"}}]}`, no)}, []string{liba}, []string{liba}},
		"another subcomponent":                 {[]string{about(1, id, in(libb), no)}, []string{liba}, nil},
		"another version":                      {[]string{about(1, id, in("pkg:golang/example.com/liba@v1.0.1"), no)}, []string{liba}, nil},
		"another namespace":                    {[]string{about(1, id, in("pkg:golang/example.org/liba@v1.0.0"), no)}, []string{liba}, nil},
		"another version of npm's":             {[]string{about(1, id, in("pkg:npm/liba@1.0.0"), no)}, []string{"pkg:npm/liba@v1.0.0"}, nil},
		"another type":                         {[]string{about(1, id, in("pkg:npm/example.com/liba@v1.0.0"), no)}, []string{liba}, nil},
		"a subcomponent, and no known package": {[]string{about(1, id, in(liba), no)}, nil, nil},
		"one of two subcomponents":             {[]string{about(1, id, in(libb, liba), no)}, []string{liba}, []string{liba}},
		"one platform of two":                  {[]string{about(1, id, in(fmt.Sprintf(deb, "amd64")), no)}, []string{fmt.Sprintf(deb, "amd64"), fmt.Sprintf(deb, "arm64")}, nil},
		"both platforms": {[]string{about(1, id, in(fmt.Sprintf(deb, "arm64"), fmt.Sprintf(deb, "amd64")), no)},
			[]string{fmt.Sprintf(deb, "amd64"), fmt.Sprintf(deb, "arm64")}, []string{fmt.Sprintf(deb, "amd64"), fmt.Sprintf(deb, "arm64")}},
		"whatever the platform": {[]string{about(1, id, in("pkg:deb/debian/zlib1g@1.2.13?distro=debian-12.5"), no)},
			[]string{fmt.Sprintf(deb, "amd64"), fmt.Sprintf(deb, "arm64")}, []string{"pkg:deb/debian/zlib1g@1.2.13?distro=debian-12.5"}},
		"affected, later":                        {[]string{about(1, id, whole, no), about(2, id, whole, yes)}, []string{liba}, nil},
		"affected, later, in front":              {[]string{about(2, id, whole, yes), about(1, id, whole, no)}, []string{liba}, nil},
		"under investigation, later":             {[]string{about(1, id, whole, no), about(2, id, whole, "under_investigation")}, []string{liba}, nil},
		"fixed, later":                           {[]string{about(1, id, whole, no), about(2, id, whole, "fixed")}, []string{liba}, nil},
		"affected at the same time":              {[]string{about(1, id, whole, yes), about(1, id, whole, no)}, []string{liba}, nil},
		"affected, earlier":                      {[]string{about(2, id, whole, no), about(1, id, whole, yes)}, []string{liba}, []string{""}},
		"affected, and not any more":             {[]string{about(1, id, whole, no), about(2, id, whole, yes), about(3, id, whole, no)}, []string{liba}, []string{""}},
		"affected in this package, later":        {[]string{about(1, id, whole, no), about(2, id, in(liba), yes)}, []string{liba}, nil},
		"affected in another package, later":     {[]string{about(1, id, whole, no), about(2, id, in(libb), yes)}, []string{liba}, []string{""}},
		"affected in a package, and which is it": {[]string{about(1, id, whole, no), about(2, id, in(libb), yes)}, nil, nil},
		"affected on one platform, later": {[]string{about(1, id, whole, no), about(2, id, in(fmt.Sprintf(deb, "arm64")), yes)},
			[]string{fmt.Sprintf(deb, "amd64"), fmt.Sprintf(deb, "arm64")}, nil},
		"affected by an alias, later": {[]string{alias(about(1, "GHSA-1", whole, no)), about(2, "GHSA-1", whole, yes)}, []string{liba}, nil},
		"affected by an alias's alias, later": {[]string{
			about(3, "GHSA-2", whole, yes), strings.Replace(about(1, "GHSA-1", whole, "fixed"), `"name": "GHSA-1"`, `"name": "GHSA-1", "aliases": ["GHSA-2"]`, 1),
			alias(about(2, "GHSA-1", whole, no)),
		}, []string{liba}, nil},
		"affected by an alias's alias, between": {[]string{
			strings.Replace(about(2, "GHSA-1", in(libb), "fixed"), `"name": "GHSA-1"`, `"name": "GHSA-1", "aliases": ["GHSA-2"]`, 1),
			alias(about(1, "GHSA-1", whole, no)), about(3, "GHSA-2", whole, yes),
		}, []string{liba}, nil},
		"affected in small letters, later":   {[]string{about(1, id, whole, no), about(2, "cve-2026-7", whole, yes)}, []string{liba}, nil},
		"affected by another one's alias":    {[]string{about(1, id, whole, no), about(2, "GHSA-2", whole, yes)}, []string{liba}, []string{""}},
		"not affected by an alias of others": {[]string{alias(about(1, "GHSA-1", whole, yes)), about(2, "GHSA-1", whole, no)}, []string{liba}, nil},
		"this digest":                        {[]string{about(1, id, `{"@id": "pkg:oci/hello@`+digestInURL+`"}`, no)}, []string{liba}, []string{""}},
		"another digest":                     {[]string{about(1, id, `{"@id": "pkg:oci/hello@`+strings.Replace(digestInURL, "Aa", "Ab", 1)+`"}`, no)}, []string{liba}, nil},
		"affected in another digest, later":  {[]string{about(1, id, whole, no), about(2, id, `{"@id": "pkg:oci/hello@`+strings.Replace(digestInURL, "Aa", "Ab", 1)+`"}`, yes)}, []string{liba}, []string{""}},
		"this repository":                    {[]string{about(1, id, `{"@id": "pkg:oci/hello?repository_url=ghcr.io/acme/hello"}`, no)}, []string{liba}, []string{""}},
		"another repository":                 {[]string{about(1, id, `{"@id": "pkg:oci/hello?repository_url=docker.io/acme/hello"}`, no)}, []string{liba}, nil},
		"another app of the name's end":      {[]string{about(1, id, `{"@id": "pkg:oci/hello?repository_url=ghcr.io/acme/hello/hello"}`, no)}, []string{liba}, nil},
		"a package of the image, too":        {[]string{about(1, id, `{"@id": "pkg:golang/example.com/hello"}`, yes), about(1, id, whole, no)}, []string{liba}, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			p, in := strict(), clean()
			found := vulnerability(id, scan.Critical, "0.3.8")
			found.PURLs = c.purls
			in.Findings.Vulnerabilities = []scan.Vulnerability{found}
			in.VEX = said(t, hello, c.statements...)
			again, _ := p.Rescan("ghcr.io/acme/hello@"+digest, in, nil, run)
			if c.excepted == nil {
				assert.Equal(t, []string{"CRITICAL: CVE-2026-7 in golang.org/x/text v0.3.7, fixed in 0.3.8: denial of service"}, refusal(t, p, in).Details)
				assert.Len(t, again.Refused, 1)
				return
			}
			v, err := p.Evaluate(in)
			require.NoError(t, err)
			var packages []string
			for _, e := range v.Excepted {
				packages = append(packages, e.Package)
			}
			assert.Equal(t, c.excepted, packages)
			assert.True(t, again.Passed)
			assert.Empty(t, again.Refused)
		})
	}
}

// An app's document is about vulnerabilities, also where another finding has the id of one.
func TestOpenVEXIsAboutVulnerabilitiesOnly(t *testing.T) {
	in := clean()
	const id = "GHSA-1"
	in.VEX = said(t, hello, about(1, id, whole, "not_affected"))
	in.Findings.Vulnerabilities = []scan.Vulnerability{vulnerability(id, scan.High, "1")}
	_, err := strict().Evaluate(in)
	require.NoError(t, err)
	in.Findings.Misconfigurations = []scan.Misconfiguration{{ID: id, File: "a.yaml", Severity: scan.High, Title: "m"}}
	in.Findings.Secrets = []scan.Secret{{Rule: id, File: "a.pem", Title: "s"}}
	assert.Equal(t, []string{"secret: s in a.pem:0 (GHSA-1)", "HIGH: GHSA-1 in a.yaml:0: m"}, refusal(t, strict(), in).Details)
}

func TestOpenVEXThatIsNotUnderstoodIsRefused(t *testing.T) {
	const at = "apps/hello/openvex.json"
	second := func(more string) string { return `{"@id": "pkg:oci/hello", ` + more + `}` }
	const was = `{"@id": "pkg:oci/hello", "identifiers": {"purl": "pkg:oci/hello"}, "subcomponents": []}`
	for name, tc := range map[string]struct{ old, new, input, reason string }{
		"no JSON":                     {`{`, ``, at, "can't be read: "},
		"another format":              {"openvex.dev/ns/v0.2.0", "openvex.dev/ns", at + `: @context "https://openvex.dev/ns"`, "is not OpenVEX 0.2"},
		"a version that begins":       {"ns/v0.2.0", "ns/v0.2.0/../v1", at + `: @context "https://openvex.dev/ns/v0.2.0/../v1"`, "is not OpenVEX 0.2"},
		"no author":                   {`"author": "team-a", `, ``, at + ": author", "is missing"},
		"no vulnerability":            {`"name": "CVE-2026-7", `, ``, at + `: statements[0].vulnerability.name ""`, "is missing, or is no name"},
		"a name with a space":         {`"CVE-2026-7"`, `"CVE-2026-7 "`, at + `: statements[0].vulnerability.name "CVE-2026-7 "`, "is missing, or is no name"},
		"a misconfiguration":          {`"CVE-2026-8"`, `"KSV-0017"`, at + `: statements[1].vulnerability.name "KSV-0017"`, "is of class misconfiguration, and OpenVEX speaks of vulnerabilities only"},
		"an inline ignore":            {`"GHSA-1"`, `"SLIPWAY-INLINE-IGNORE"`, at + `: statements[0].vulnerability.name "SLIPWAY-INLINE-IGNORE"`, "is of class ignore, and OpenVEX speaks of vulnerabilities only"},
		"an executable":               {`"GHSA-1"`, `"unknown-executable"`, at + `: statements[0].vulnerability.name "unknown-executable"`, "is of class executable, and OpenVEX speaks of vulnerabilities only"},
		"a status":                    {"under_investigation", "harmless", at + `: statements[2].status "harmless"`, "is not OpenVEX's"},
		"no product":                  {`[` + was + `]`, `[]`, at + ": statements[1].products", "is empty"},
		"no product of others":        {`[{"@id": "pkg:oci/other"}]`, `[]`, at + ": statements[2].products", "is empty"},
		"another product":             {was, `{"@id": "pkg:oci/hello2"}`, at + ": statements[1].products[0] \"pkg:oci/hello2\"", "is not this app's image"},
		"a namespace":                 {was, `{"@id": "pkg:oci/acme/hello"}`, at + ": statements[1].products[0] \"pkg:oci/acme/hello\"", "is not this app's image"},
		"no package URL":              {was, `{"@id": "hello"}`, at + ": statements[1].products[0] \"hello\"", "is not named by a package URL"},
		"affected, of what":           {`"pkg:oci/other"`, `"https://example.org/hello"`, at + ": statements[2].products[0] \"https://example.org/hello\"", "is not named by a package URL"},
		"a product of no name":        {was, `{}`, at + ": statements[1].products[0] \"\"", "is not named by a package URL"},
		"a tag":                       {was, `{"@id": "pkg:oci/hello?tag=v1"}`, at + `: statements[1].products[0] "pkg:oci/hello?tag=v1"`, "is limited by tag, which can't be told of what is scanned"},
		"a platform":                  {was, `{"@id": "pkg:oci/hello?arch=amd64"}`, at + `: statements[1].products[0] "pkg:oci/hello?arch=amd64"`, "is limited by arch, which can't be told of what is scanned"},
		"a control character":         {`"CVE-2026-7"`, `"CVE\u00072"`, at + `: statements[0].vulnerability.name "CVE\a2"`, "is missing, or is no name"},
		"another type":                {was, `{"@id": "pkg:docker/hello"}`, at + `: statements[1].products[0] "pkg:docker/hello"`, "is not this app's image"},
		"a digest of no kind":         {was, `{"@id": "pkg:oci/hello@` + digest[7:] + `"}`, at + `: statements[1].products[0] "pkg:oci/hello@` + digest[7:] + `"`, `has the version "` + digest[7:] + `", which is no digest`},
		"a short digest":              {was, `{"@id": "pkg:oci/hello@sha256%3Aaa"}`, at + `: statements[1].products[0] "pkg:oci/hello@sha256:aa"`, `has the version "sha256:aa", which is no digest`},
		"a second product":            {was, was + `, {"@id": "pkg:oci/other"}`, at + `: statements[1].products[1] "pkg:oci/other"`, "is not this app's image"},
		"a version":                   {was, `{"@id": "pkg:oci/hello@1.0"}`, at + `: statements[1].products[0] "pkg:oci/hello@1.0"`, `has the version "1.0", which is no digest`},
		"a path":                      {was, `{"@id": "pkg:oci/hello#usr/bin"}`, at + `: statements[1].products[0] "pkg:oci/hello#usr/bin"`, "names a part of the image by its path"},
		"hashes":                      {was, second(`"hashes": {"sha-256": "aa"}`), at + ": statements[1].products[0].hashes", "can't be told of what is scanned"},
		"another identifier":          {was, second(`"identifiers": {"purl": "pkg:oci/other"}`), at + ": statements[1].products[0].identifiers", "are not just the package URL of the @id"},
		"a CPE":                       {was, second(`"identifiers": {"cpe23": "cpe:2.3:a:x"}`), at + ": statements[1].products[0].identifiers", "are not just the package URL of the @id"},
		"a nameless part":             {was, second(`"subcomponents": [{}]`), at + `: statements[1].products[0].subcomponents[0] ""`, "is not named by a package URL"},
		"a part by its hash":          {was, second(`"subcomponents": [{"@id": "` + liba + `", "hashes": {"md5": "1"}}]`), at + ": statements[1].products[0].subcomponents[0].hashes", "can't be told of what is scanned"},
		"a part's part":               {was, second(`"subcomponents": [{"@id": "` + liba + `#x"}]`), at + `: statements[1].products[0].subcomponents[0] "` + liba + `#x"`, "names a part of a package, which no finding does"},
		"a part of a part":            {was, second(`"subcomponents": [{"@id": "` + liba + `", "subcomponents": []}]`), at, `can't be read: json: unknown field "subcomponents"`},
		"a key of a product":          {was, second(`"subcomponent": [{"@id": "` + liba + `"}]`), at, `can't be read: json: unknown field "subcomponent"`},
		"a key of a statement":        {`"supplier"`, `"expires"`, at, `can't be read: json: unknown field "expires"`},
		"a key of the document":       {`"role"`, `"scope"`, at, `can't be read: json: unknown field "scope"`},
		"a key twice":                 {`"supplier"`, `"Status": "affected", "supplier"`, at, `can't be read: the key "Status" is there twice`},
		"a key twice, in any letters": {`"author"`, `"AUTHOR": "team-b", "author"`, at, `can't be read: the key "author" is there twice`},
		"a CPE beside it":             {was, second(`"identifiers": {"purl": "pkg:oci/hello", "cpe23": "cpe:2.3:a:x"}`), at + ": statements[1].products[0].identifiers", "are not just the package URL of the @id"},
		"no reason":                   {`"impact_statement": "no input reaches it", `, ``, at + `: statements[1].justification ""`, "is not OpenVEX's, or there is none"},
		"a justification":             {"vulnerable_code_not_in_execute_path", "because", at + `: statements[0].justification "because"`, "is not OpenVEX's, or there is none"},
		"a time":                      {"2026-11-20T10:00:00Z", "lately", at + `: statements[1].timestamp "lately"`, "is not a time"},
		"a time to come":              {"2026-11-20T10:00:00Z", "2026-11-24T12:06:00Z", at + `: statements[1].timestamp "2026-11-24T12:06:00Z"`, "lies in the future"},
		"a document to come":          {"2026-11-01T10:00:00Z", "2099-01-01T00:00:00Z", at + `: statements[0].timestamp "2099-01-01T00:00:00Z"`, "lies in the future"},
		"a document and another":      {`"by hand",`, `"by hand", "statements": [],`, at, `can't be read: the key "statements" is there twice`},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, vex, tc.old)
			_, err := rules.ParseVEX(at, hello, []byte(strings.Replace(vex, tc.old, tc.new, 1)), time.Hour, now)
			f, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, tc.input, f.Input)
			if strings.HasSuffix(tc.reason, ": ") {
				assert.Contains(t, f.Reason, tc.reason)
			} else {
				assert.Equal(t, tc.reason, f.Reason)
			}
			assert.NotEmpty(t, f.Mend)
		})
	}
	_, err := rules.ParseVEX(at, hello, []byte(vex+" {}"), time.Hour, now)
	require.ErrorContains(t, err, "can't be read: something follows the document")
	_, err = rules.ParseVEX(at, hello, []byte(strings.Replace(vex, "2026-11-20T10:00:00Z", "2026-11-24T12:05:00Z", 1)), time.Hour, now)
	require.NoError(t, err, "clocks differ a little")
	_, err = rules.ParseVEX(at, hello, []byte(vex), 0, now)
	require.ErrorContains(t, err, "scan.policy.vexMaxAge is not set")
}

func TestOpenVEXKnowsItsJustifications(t *testing.T) {
	for _, justification := range []string{
		"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
		"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
	} {
		got := said(t, hello, strings.Replace(about(1, "CVE-2026-7", whole, "not_affected"), "vulnerable_code_not_in_execute_path", justification, 1))
		in := clean()
		in.Findings.Vulnerabilities, in.VEX = []scan.Vulnerability{vulnerability("CVE-2026-7", scan.High, "1")}, got
		v, err := strict().Evaluate(in)
		require.NoError(t, err)
		require.Len(t, v.Excepted, 1)
		assert.Equal(t, justification, v.Excepted[0].Reason)
	}
}

// A product is this image where everything that it says is; each product is read.
func TestOpenVEXIsAboutTheImagesThatItNames(t *testing.T) {
	const there, elsewhere = "?repository_url=ghcr.io/acme", "?repository_url=ghcr.io/other"
	const other = "sha256%3Abbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	for product, ours := range map[string]bool{
		"pkg:oci/hello": true, "pkg:oci/hello" + there: true, "pkg:oci/hello" + there + "/hello": true, "pkg:oci/hello@" + digestInURL: true, "pkg:oci/hello@" + digestInURL + there: true,
		"pkg:oci/hello" + elsewhere: false, "pkg:oci/hello@" + other: false, "pkg:oci/hello@" + digestInURL + elsewhere: false, "pkg:oci/hello@" + other + there: false,
	} {
		for _, products := range []string{`{"@id": "` + product + `"}`, `{"@id": "pkg:oci/hello@` + other + `"}, {"@id": "` + product + `"}`} {
			in := clean()
			in.Findings.Vulnerabilities = []scan.Vulnerability{vulnerability("CVE-2026-7", scan.High, "1")}
			in.VEX = said(t, hello, about(1, "CVE-2026-7", products, "not_affected"))
			_, err := strict().Evaluate(in)
			assert.Equal(t, ours, err == nil, products)
		}
	}
}

// Of two statements of one moment the one that excepts nothing counts, whichever is first.
func TestOpenVEXOfOneMoment(t *testing.T) {
	fine, bad := about(1, "CVE-2026-7", whole, "not_affected"), about(1, "CVE-2026-7", whole, "affected")
	newer := about(2, "CVE-2026-7", whole, "not_affected")
	for name, tc := range map[string]struct {
		statements []string
		excepted   bool
	}{
		"alone": {[]string{fine}, true}, "affected first": {[]string{bad, fine}, false}, "affected last": {[]string{fine, bad}, false}, "between": {[]string{fine, bad, fine}, false},
		"newer": {[]string{bad, newer}, true}, "newer first": {[]string{newer, bad, fine}, true},
	} {
		in := clean()
		in.Findings.Vulnerabilities, in.VEX = []scan.Vulnerability{vulnerability("CVE-2026-7", scan.High, "1")}, said(t, hello, tc.statements...)
		_, err := strict().Evaluate(in)
		assert.Equal(t, tc.excepted, err == nil, name)
	}
}
