package receipt_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/evidence"
	"slipway/ci/receipt"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/scan"
	"slipway/step/steptest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	digest = "sha256:ae954d59d5f5bc64408c5f43e2da5dbb59c33e948c9203ef51c08019d823ef5c"
	commit = "1a1e244504201384495c93f6751ba2f983998976"
)

func sampleJSON(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "sample.json"))
	require.NoError(t, err)
	return data
}

func sample(t testing.TB) *receipt.Document {
	t.Helper()
	d, err := receipt.Parse(sampleJSON(t))
	require.NoError(t, err)
	return d
}

// least is the smallest receipt there can be.
func least() *receipt.Document {
	return &receipt.Document{App: "hello", Environment: "dev", Kind: receipt.KindRollback, Image: receipt.Image{Reference: "localhost:5000/hello@" + digest}}
}

// unbound takes out what binds the decision's parts, so that they can be changed.
func unbound(d *receipt.Document) *receipt.Document {
	d.GitOps.Evidence = ""
	if d.Decision != nil {
		d.Decision.Digest = ""
	}
	return d
}

// bind puts in what is bound by the commit of this very delivery.
func bind(d *receipt.Document) {
	var statements []rules.DecidedBy
	for _, a := range d.Evidence {
		statements = append(statements, rules.DecidedBy{Digest: a.Digest, PredicateType: a.PredicateType})
	}
	d.Decision.Digest = rules.NewDecision(d.Image.Reference.String(), d.Environment, d.Decision.Basis, d.Decision.PolicyDigest, d.Decision.Outcomes, statements).Digest()
	d.GitOps.Evidence = d.Decision.Digest
}

// long has names as long as they may be, and findings without a space.
func long(t testing.TB) *receipt.Document {
	d := sample(t)
	d.App, d.Environment = strings.Repeat("a", step.MaxName), strings.Repeat("w", step.MaxName)
	d.Image.Reference = step.Refer("registry.example.org:5000/"+strings.Repeat("long/", 40)+"hello", digest)
	d.GitOps.Path = strings.Repeat("folder/", 40) + "kustomization.yaml"
	d.Plan.Changes = "12 to add, 3 to change, 4 to destroy"
	d.Scan.Reported = append(d.Scan.Reported, strings.Repeat("x", 500))
	d.Decision.Outcomes[0].Reason = strings.Repeat("y", 500)
	d.Decision.Outcomes[0].Rule = rules.Kind(strings.Repeat("z", 80))
	for n := range d.Stages {
		d.Stages[n].Name = strings.Repeat("s", step.MaxName)
	}
	bind(d)
	require.NoError(t, d.Validate())
	return d
}

const attack = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{.}}&lt;\x1b[31m\x00\u202e\nhealth Healthy"

// hostile has an attack in every string.
func hostile() *receipt.Document {
	d := &receipt.Document{}
	spoil(reflect.ValueOf(d).Elem(), attack)
	return d
}

func spoil(v reflect.Value, attack string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(attack)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		spoil(v.Elem(), attack)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for n := range v.Len() {
			spoil(v.Index(n), attack)
		}
	case reflect.Struct:
		for n := range v.NumField() {
			spoil(v.Field(n), attack)
		}
	}
}

var hashPattern = regexp.MustCompile(`sha256:[0-9a-f]{64}|\b[0-9a-f]{40}\b`)

// hashes are all that a document names, and the image's reference.
func hashes(t testing.TB, d *receipt.Document) []string {
	t.Helper()
	data, err := json.Marshal(d)
	require.NoError(t, err)
	all := []string{d.Image.Reference.String()}
	for _, hash := range hashPattern.FindAllString(string(data), -1) {
		if !strings.HasSuffix(d.Image.Reference.String(), hash) {
			all = append(all, hash)
		}
	}
	return all
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func encode(t *testing.T, d *receipt.Document) string {
	t.Helper()
	data, err := json.MarshalIndent(d, "", "  ")
	require.NoError(t, err)
	return string(data) + "\n"
}

func TestTheSampleIsWhatIsWritten(t *testing.T) {
	d := sample(t)
	require.NoError(t, d.Validate())
	golden(t, "sample.json", encode(t, d))
	require.NoError(t, least().Validate())
	golden(t, "least.json", encode(t, least()))
}

func TestTextIsGolden(t *testing.T) {
	golden(t, "sample.txt", sample(t).Text())
	golden(t, "least.txt", least().Text())
	for line := range strings.Lines(sample(t).Text()) {
		assert.LessOrEqual(t, utf8.RuneCountInString(line), 101, line)
	}
	_, imageDigest, _ := strings.Cut(sample(t).Image.Reference.String(), "@")
	for _, hash := range append(hashes(t, sample(t))[1:], imageDigest) {
		assert.Contains(t, sample(t).Text(), " "+hash+"\n", "whole, on one line")
	}
}

func TestAReceiptTakesWhatIsAttested(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	exception := rules.Exception{ID: "CVE-1", Reason: "not reachable", Owner: "team-a", Expires: "2026-11-30"}
	verdict := rules.Verdict{
		Digest: digest, DatabaseDigest: digest, DatabaseUpdatedAt: at, PolicyDigest: rules.Policy{}.Digest(), TrivyVersion: "0.74.0", Scanned: 7,
		Reported: []string{"LOW: CVE-2"}, Excepted: []rules.Exception{exception},
	}
	assert.Equal(t, &receipt.Scan{
		Scanner: "pkg:golang/github.com/aquasecurity/trivy@v0.74.0", ScannerDigest: digest, Database: digest, DatabaseUpdatedAt: "2026-11-24T12:00:00Z",
		PolicyDigest: rules.Policy{}.Digest(), Targets: 7, Reported: []string{"LOW: CVE-2"}, Excepted: []rules.Exception{exception},
	}, receipt.FromScan(rules.Attest("r@"+digest, verdict, scan.Findings{}, rules.Run{TrivyDigest: digest})))

	outcomes := []rules.Outcome{{Rule: rules.RequireScan, Verdict: rules.Pass, Reason: "passed"}}
	basis := rules.Basis{Manifests: digest, Platform: &rules.Platform{Commit: strings.Repeat("c", 40)}}
	decision, statements := receipt.FromJudgement(rules.Judgement{
		Basis: basis, PolicyDigest: digest, Outcomes: outcomes, At: at, Until: at.Add(time.Hour),
		Inputs: []evidence.Descriptor{{URI: evidence.ProvenanceType, Digest: map[string]string{"sha256": strings.TrimPrefix(digest, "sha256:")}}},
	})
	assert.Equal(t, &receipt.Decision{
		PolicyDigest: digest, Basis: basis, Digest: rules.NewDecision("", "", basis, digest, outcomes, []rules.DecidedBy{{Digest: digest, PredicateType: evidence.ProvenanceType}}).Digest(),
		Outcomes: outcomes, DecidedAt: "2026-11-24T12:00:00Z", Until: "2026-11-24T13:00:00Z",
	}, decision)
	assert.Equal(t, []receipt.Attestation{{PredicateType: evidence.ProvenanceType, Digest: digest}}, statements)
}

func TestParseIsStrict(t *testing.T) {
	for name, tc := range map[string]struct{ data, reason string }{
		"an unknown field":        {`{"app":"hello","sudo":true}`, `unknown field "sudo"`},
		"a nested unknown field":  {`{"image":{"reference":"r","tag":"latest"}}`, `unknown field "tag"`},
		"an unknown outcome":      {`{"decision":{"outcomes":[{"rule":"scan","by":"me"}]}}`, `unknown field "by"`},
		"another case":            {`{"App":"hello"}`, `unknown field "App"`},
		"a nested case":           {`{"decision":{"outcomes":[{"Verdict":"pass"}]}}`, `unknown field "Verdict"`},
		"a field twice":           {`{"app":"hello","app":"other"}`, `the field "app" twice`},
		"a nested field twice":    {`{"stages":[{"name":"a","name":"b"}]}`, `the field "name" twice`},
		"something behind":        {`{"app":"hello"} {}`, "behind the document"},
		"garbage behind":          {`{"app":"hello"} x`, "behind the document"},
		"nothing":                 {``, "can't be read"},
		"null":                    {` null `, "is null"},
		"a list":                  {`[]`, "can't be read"},
		"half a document":         {`{"app":`, "can't be read"},
		"seconds as a string":     {`{"stages":[{"seconds":"1"}]}`, "can't be read"},
		"seconds beyond a number": {`{"stages":[{"seconds":1e999}]}`, "can't be read"},
		"bytes that are no text":  {"{\"app\":\"\xff\"}", "is not UTF-8"},
		"too much":                {strings.Repeat(" ", receipt.MaxSize) + "{}", "has more than 1048576 bytes"},
		"too deep":                {strings.Repeat("[", 100000), "can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := receipt.Parse([]byte(tc.data))
			assert.Nil(t, d)
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, "receipt", f.Stage)
			assert.Contains(t, f.Reason, tc.reason)
			assert.NotEmpty(t, f.Mend)
		})
	}
}

func TestValidateNamesTheFirstInconsistency(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil         func(*receipt.Document)
		kind          step.Kind
		input, reason string
	}{
		"no app":                {func(d *receipt.Document) { d.App = "" }, step.KindInput, "app", "is missing"},
		"an app that is a path": {func(d *receipt.Document) { d.App = "../x" }, step.KindInput, `app "../x"`, "is not a valid name"},
		"no environment":        {func(d *receipt.Document) { d.Environment = "" }, step.KindInput, "environment", "is missing"},
		"a bad environment":     {func(d *receipt.Document) { d.Environment = "Dev" }, step.KindInput, `environment "Dev"`, "is not a valid name"},
		"no kind":               {func(d *receipt.Document) { d.Kind = "" }, step.KindInput, "kind", "is not a kind"},
		"another kind":          {func(d *receipt.Document) { d.Kind = "gift" }, step.KindInput, `kind "gift"`, "is not a kind"},
		"another runner":        {func(d *receipt.Document) { d.Runner = "jenkins" }, step.KindInput, `runner "jenkins"`, "is not a runner"},
		"a short commit":        {func(d *receipt.Document) { d.Source.Commit = "a011b63" }, step.KindInput, `source.commit "a011b63"`, "is not a Git object id"},
		"no commit":             {func(d *receipt.Document) { d.Source.Commit = "" }, step.KindInput, "source.commit", "is not a Git object id"},
		"a malformed tree":      {func(d *receipt.Document) { d.Source.Tree = strings.ToUpper(commit) }, step.KindInput, "source.tree", "is not a Git object id"},
		"no image":              {func(d *receipt.Document) { d.Image = receipt.Image{} }, step.KindInput, "image.reference", "is missing"},
		"a tag":                 {func(d *receipt.Document) { d.Image.Reference = "localhost:5000/hello:latest" }, step.KindInput, "image.reference", "is not a sha256 digest"},
		"a tag and a digest":    {func(d *receipt.Document) { d.Image.Reference = "localhost:5000/hello:1@" + digest }, step.KindInput, "image.reference", "is not a repository"},
		"a digest alone":        {func(d *receipt.Document) { d.Image.Reference = "@" + digest }, step.KindInput, "image.reference", "is not a repository"},
		"two digests":           {func(d *receipt.Document) { d.Image.Reference = "hello@" + digest + "@" + digest }, step.KindInput, "image.reference", "is not a sha256 digest"},
		"a sha512 digest":       {func(d *receipt.Document) { d.Image.Reference = step.Refer("hello", "sha512:"+strings.Repeat("a", 128)) }, step.KindInput, "image.reference", "is not a sha256 digest"},
		"no scanner":            {func(d *receipt.Document) { d.Scan.Scanner = "" }, step.KindInput, "scan.scanner", "is missing"},
		"a malformed scanner":   {func(d *receipt.Document) { d.Scan.ScannerDigest = "sha256:00" }, step.KindInput, "scan.scannerDigest", "is not a sha256 digest"},
		"a malformed database":  {func(d *receipt.Document) { d.Scan.Database = "latest" }, step.KindInput, "scan.database", "is not a sha256 digest"},
		"no scan policy":        {func(d *receipt.Document) { d.Scan.PolicyDigest = "" }, step.KindInput, "scan.policyDigest", "is not a sha256 digest"},
		"a database's day":      {func(d *receipt.Document) { d.Scan.DatabaseUpdatedAt = "2026-11-24" }, step.KindInput, "scan.databaseUpdatedAt", "is not a time of RFC 3339"},
		"nothing scanned":       {func(d *receipt.Document) { d.Scan.Targets = 0 }, step.KindInput, "scan.targets 0", "nothing was scanned"},
		"a nameless exception":  {func(d *receipt.Document) { d.Scan.Excepted[0].ID = "" }, step.KindInput, "scan.excepted[0].id", "is missing"},
		"no rules' digest":      {func(d *receipt.Document) { d.Decision.PolicyDigest = digest[:70] }, step.KindInput, "decision.policyDigest", "is not a sha256 digest"},
		"malformed platform":    {func(d *receipt.Document) { d.Decision.Platform = &rules.Platform{Commit: "main"} }, step.KindInput, `decision.platform.commit "main"`, "is not a commit's id"},
		"malformed manifests":   {func(d *receipt.Document) { d.Decision.Manifests = digest[:70] }, step.KindInput, "decision.manifests", "is not a sha256 digest"},
		"no outcomes":           {func(d *receipt.Document) { d.Decision.Outcomes = nil }, step.KindInput, "decision.outcomes", "is missing"},
		"a nameless rule":       {func(d *receipt.Document) { d.Decision.Outcomes[1].Rule = "" }, step.KindInput, "decision.outcomes[1].rule", "is missing"},
		"a refusal": {func(d *receipt.Document) {
			d.Decision.Outcomes[2].Verdict, d.Decision.Outcomes[2].Reason = rules.Refuse, "no source"
		}, step.KindPolicy, `decision.outcomes[2]: rule "provenance"`, `refuses: "no source"`},
		"another verdict":       {func(d *receipt.Document) { d.Decision.Outcomes[0].Verdict = "maybe" }, step.KindInput, `decision.outcomes[0].verdict "maybe"`, "is not a verdict"},
		"no verdict":            {func(d *receipt.Document) { d.Decision.Outcomes[0].Verdict = "" }, step.KindInput, "decision.outcomes[0].verdict", "is not a verdict"},
		"decided never":         {func(d *receipt.Document) { d.Decision.DecidedAt = "" }, step.KindInput, "decision.decidedAt", "is not a time of RFC 3339"},
		"until nonsense":        {func(d *receipt.Document) { d.Decision.Until = "tomorrow" }, step.KindInput, `decision.until "tomorrow"`, "is not a time of RFC 3339"},
		"over before decided":   {func(d *receipt.Document) { d.Decision.Until = "2026-11-24T12:01:51Z" }, step.KindInput, "decision.until", "is before it was decided"},
		"a malformed plan":      {func(d *receipt.Document) { d.Plan.SHA256 = digest[7:] }, step.KindInput, "plan.sha256", "is not a sha256 digest"},
		"no remote":             {func(d *receipt.Document) { d.GitOps.Remote = "" }, step.KindInput, "gitops.remote", "is missing"},
		"another scheme":        {func(d *receipt.Document) { d.GitOps.Remote = "file:///etc" }, step.KindInput, "gitops.remote", "is not an http(s) URL"},
		"a token in the query":  {func(d *receipt.Document) { d.GitOps.Remote += "?token=hunter2" }, step.KindInput, "gitops.remote", "has credentials"},
		"a short GitOps commit": {func(d *receipt.Document) { d.GitOps.Commit = commit[:39] }, step.KindInput, "gitops.commit", "is not a Git object id"},
		"no path":               {func(d *receipt.Document) { d.GitOps.Path = "" }, step.KindInput, "gitops.path", "is missing"},
		"an absolute path":      {func(d *receipt.Document) { d.GitOps.Path = "/etc/passwd" }, step.KindInput, "gitops.path", "is not a path in the repository"},
		"a path that leaves":    {func(d *receipt.Document) { d.GitOps.Path = "../x" }, step.KindInput, "gitops.path", "is not a path in the repository"},
		"health of no revision": {func(d *receipt.Document) { d.Live.SyncedRevision = "" }, step.KindInput, "live.syncedRevision", "health without a revision"},
		"a malformed revision":  {func(d *receipt.Document) { d.Live.SyncedRevision = "HEAD" }, step.KindInput, "live.syncedRevision", "is not a Git object id"},
		"degraded":              {func(d *receipt.Document) { d.Live.Health = "Degraded" }, step.KindPolicy, `live.health "Degraded"`, "is not Healthy"},
		"no health":             {func(d *receipt.Document) { d.Live.Health = "" }, step.KindPolicy, "live.health", "is not Healthy"},
		"live but not released": {func(d *receipt.Document) { d.GitOps = nil }, step.KindInput, "gitops", "is missing"},
		"healthy never":         {func(d *receipt.Document) { d.Live.HealthyAt = "" }, step.KindInput, "live.healthyAt", "is not a time of RFC 3339"},
		"healthy too early":     {func(d *receipt.Document) { d.Live.HealthyAt = "2026-11-24T12:00:02Z" }, step.KindInput, "live.healthyAt", "is before the first stage, at 2026-11-24T12:00:03Z"},
		"early in another zone": {func(d *receipt.Document) { d.Live.HealthyAt = "2026-11-24T13:00:02+01:00" }, step.KindInput, "live.healthyAt", "is before the first stage"},
		"changes, not dirty": {func(d *receipt.Document) {
			d.Source.Dirty, d.Source.Uncommitted = false, []string{"added apps/hello/x.go"}
		}, step.KindInput, `source.uncommitted "added apps/hello/x.go"`, "dirty is not true"},
		"a nameless stage":      {func(d *receipt.Document) { d.Stages[1].Name = "" }, step.KindInput, "stages[1].name", "is missing"},
		"a stage's bad name":    {func(d *receipt.Document) { d.Stages[1].Name = "<b>" }, step.KindInput, "stages[1].name", "is not a valid name"},
		"a stage's bad time":    {func(d *receipt.Document) { d.Stages[1].StartedAt = "12:00" }, step.KindInput, `stages[1].startedAt "12:00"`, "is not a time of RFC 3339"},
		"a time without a zone": {func(d *receipt.Document) { d.Stages[0].StartedAt = "2026-11-24T12:00:03" }, step.KindInput, "stages[0].startedAt", "is not a time of RFC 3339"},
		"negative seconds":      {func(d *receipt.Document) { d.Stages[3].Seconds = -0.1 }, step.KindInput, "stages[3].seconds -0.1", "is not between 0 and"},
		"endless seconds":       {func(d *receipt.Document) { d.Stages[3].Seconds = 1e300 }, step.KindInput, "stages[3].seconds 1e+300", "is not between 0 and"},
		"seconds of no number":  {func(d *receipt.Document) { d.Stages[3].Seconds = math.NaN() }, step.KindInput, "stages[3].seconds NaN", "is not between 0 and"},
		"a late predecessor":    {func(d *receipt.Document) { d.Stages[4].StartedAt = "2026-11-24T12:00:40Z" }, step.KindInput, `stages[4].startedAt "2026-11-24T12:00:40Z"`, "is too early: scan comes after build, which ended at 2026-11-24T12:00:42Z"},
		"scanned after pushing": {func(d *receipt.Document) {
			d.Stages[4].StartedAt, d.Stages[5].StartedAt = d.Stages[5].StartedAt, d.Stages[4].StartedAt
		}, step.KindInput, "stages[5].startedAt", "is too early: publish comes after scan"},
		"pushed before a check": {func(d *receipt.Document) { d.Stages[3].Seconds = 72 }, step.KindInput, "stages[5].startedAt", "is too early: publish comes after check"},
		"admitted unsigned": {func(d *receipt.Document) {
			d.Stages = append(d.Stages, receipt.Stage{Name: "admit", StartedAt: d.Stages[0].StartedAt, Seconds: 1})
		}, step.KindInput, fmt.Sprintf("stages[%d].startedAt", len(sample(t).Stages)), "is too early: admit comes after sign"},
		"pushed before a test":  {func(d *receipt.Document) { d.Stages[0].Seconds = 95 }, step.KindInput, "stages[5].startedAt", "is too early: publish comes after test"},
		"a stage after the end": {func(d *receipt.Document) { d.Stages[0].Name, d.Stages[0].Seconds = "lint", 180 }, step.KindInput, "stages[0].startedAt", "is too late: lint ends after the whole, which ended at 2026-11-24T12:02:41Z"},
		"decided too late":      {func(d *receipt.Document) { d.Decision.DecidedAt = "2026-11-24T12:01:54Z" }, step.KindInput, "decision.decidedAt", "is after the release was committed"},
		"healthy, not released": {func(d *receipt.Document) { d.Live.HealthyAt = "2026-11-24T12:00:52Z" }, step.KindInput, "live.healthyAt", "is before the release was committed"},
		"healthy after it all":  {func(d *receipt.Document) { d.Live.HealthyAt = "2026-11-24T12:03:42Z" }, step.KindInput, "live.healthyAt", "is after the wait for it had ended"},
		"another decision":      {func(d *receipt.Document) { d.Decision.Digest, d.GitOps.Evidence = digest, digest }, step.KindInput, "decision.digest", "its parts give sha256:e8ece815"},
		"another platform":      {func(d *receipt.Document) { d.Decision.Platform = &rules.Platform{Commit: strings.Repeat("c", 40)} }, step.KindInput, "decision.digest", "is not that of the decision"},
		"other manifests":       {func(d *receipt.Document) { d.Decision.Manifests = digest }, step.KindInput, "decision.digest", "is not that of the decision"},
		"a changed verdict":     {func(d *receipt.Document) { d.Decision.Outcomes[4].Verdict = rules.Pass }, step.KindInput, "decision.digest", "is not that of the decision"},
		"a changed statement":   {func(d *receipt.Document) { d.Evidence[0].Digest = digest }, step.KindInput, "decision.digest", "is not that of the decision"},
		"another image":         {func(d *receipt.Document) { d.Image.Reference = "localhost:5000/other@" + digest }, step.KindInput, "decision.digest", "is not that of the decision"},
		"a malformed decision":  {func(d *receipt.Document) { d.Decision.Digest = "sha256:00" }, step.KindInput, "decision.digest", "is not a sha256 digest"},
		"another trailer":       {func(d *receipt.Document) { d.GitOps.Evidence = digest }, step.KindInput, "gitops.evidence", "is not the digest of the decision that made the commit: sha256:e8ece815"},
		"no trailer":            {func(d *receipt.Document) { d.GitOps.Evidence = "" }, step.KindInput, "gitops.evidence", "is not a sha256 digest"},
		"a trailer of nothing":  {func(d *receipt.Document) { d.Decision = nil }, step.KindInput, "gitops.evidence", "there is none"},
		"a malformed trailer":   {func(d *receipt.Document) { d.GitOps.Created, d.GitOps.Evidence = false, "1a1e" }, step.KindInput, "gitops.evidence", "is not a sha256 digest"},
		"no predicate type":     {func(d *receipt.Document) { d.Evidence[0].PredicateType = "" }, step.KindInput, "evidence[0].predicateType", "is not a URI"},
		"malformed evidence":    {func(d *receipt.Document) { d.Evidence[1].Digest = "" }, step.KindInput, "evidence[1].digest", "is not a sha256 digest"},
	} {
		t.Run(name, func(t *testing.T) {
			d := sample(t)
			tc.spoil(d)
			f, ok := step.AsFault(d.Validate())
			require.True(t, ok, "it is valid")
			assert.Equal(t, tc.kind, f.Kind)
			assert.Equal(t, "receipt", f.Stage)
			assert.True(t, strings.HasPrefix(f.Input, tc.input), f.Input)
			assert.Contains(t, f.Reason, tc.reason)
			assert.NotEmpty(t, f.Mend)

			assert.Contains(t, d.Text(), "INCONSISTENT")
			page := open(t, d)
			assert.Contains(t, page.text(), "Inconsistent")
			assert.Contains(t, page.text(), "contradicts itself")
		})
	}
}

func TestCredentialsAreNeverRepeated(t *testing.T) {
	for _, remote := range []string{"https://bot:hunter2@example.org/x.git", "https://hunter2@example.org/x.git", "https://example.org/x.git?t=hunter2", "https://bot:hunter2@example.org:bad/x.git"} {
		d := sample(t)
		d.GitOps.Remote = remote
		err := d.Validate()
		require.Error(t, err)
		page, renders := d.HTML()
		require.NoError(t, renders)
		for _, shown := range []string{err.Error(), d.Text(), string(page)} {
			assert.NotContains(t, shown, "hunter2")
		}
	}
}

// parsed is a page as XML, which it is as well: nothing is left open, and no
// value has become an element.
type parsed struct {
	elements []element
}

type element struct {
	name, within string
	attributes   map[string]string
	text         string
}

func open(t testing.TB, d *receipt.Document) *parsed {
	t.Helper()
	data, err := d.HTML()
	require.NoError(t, err)
	decoder := xml.NewDecoder(strings.NewReader(string(data)))
	p := &parsed{}
	var stack []int
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			require.Empty(t, stack)
			return p
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.StartElement:
			e := element{name: token.Name.Local, attributes: map[string]string{}}
			for _, a := range token.Attr {
				e.attributes[a.Name.Local] = a.Value
			}
			if len(stack) > 0 {
				e.within = p.elements[stack[len(stack)-1]].name
			}
			p.elements = append(p.elements, e)
			stack = append(stack, len(p.elements)-1)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			for _, n := range stack {
				p.elements[n].text += string(token)
			}
		}
	}
}

func (p *parsed) all(name, class string) []element {
	var found []element
	for _, e := range p.elements {
		if e.name == name && (class == "" || strings.Contains(" "+e.attributes["class"]+" ", " "+class+" ")) {
			found = append(found, e)
		}
	}
	return found
}

func (p *parsed) texts(name, class string) []string {
	var texts []string
	for _, e := range p.all(name, class) {
		texts = append(texts, strings.Join(strings.Fields(e.text), " "))
	}
	return texts
}

func (p *parsed) text() string { return strings.Join(p.texts("body", ""), "") }

func TestThePageShowsEverything(t *testing.T) {
	d := sample(t)
	page := open(t, d)
	assert.Equal(t, []string{"hello is healthy in dev"}, page.texts("h1", ""))
	assert.ElementsMatch(t, hashes(t, d), page.texts("code", "hash"))
	assert.Equal(t, []string{"Healthy", "pass", "pass", "pass", "pass", "warn"}, page.texts("span", "pill"))
	var rows []string
	for _, lane := range page.all("div", "lane") {
		assert.Equal(t, "true", lane.attributes["aria-hidden"])
	}
	for _, row := range page.all("tr", "") {
		rows = append(rows, strings.Join(strings.Fields(row.text), " "))
	}
	assert.Contains(t, rows, "sbomwarn1 CycloneDX and 0 SPDX documents are attested, which is refused from 2027-01-15To mend it: build, scan, publish and sign the image again with this pipeline")
	assert.Contains(t, rows, "scan12:00:4351.9 s")
	assert.Len(t, page.all("div", "lane"), len(d.Stages))
	for _, free := range append(append([]string{d.GitOps.Remote, d.GitOps.Path, d.Scan.Scanner, "the SSH server is never started"}, d.Scan.Reported...), "GitHub Actions", "2 min 39 s") {
		assert.Contains(t, page.text(), free)
	}
}

func TestTheJourneyHasAStopForEachStageThatHappened(t *testing.T) {
	titles := func(d *receipt.Document) []string { return open(t, d).texts("text", "title") }
	twice := func(all ...string) []string { return append(all, all...) }
	d := sample(t)
	assert.Equal(t, twice("Source commit", "Image", "Scan", "Signed, decided", "Plan", "GitOps commit", "Synced", "Healthy"), titles(d))
	assert.Equal(t, twice("a011b6316ed3", "ae954d59d5f5", "1497cbe66457", "0b6f8c1d2e3a", "7c985d1acd76", "1a1e24450420", "1a1e24450420", "dev"), open(t, d).texts("text", "code"))
	assert.Equal(t, twice("12:00:03", "12:00:04", "12:00:43", "12:01:52", "12:00:04", "12:01:53", "12:01:58", "12:02:41"), open(t, d).texts("text", "at"))
	d.Decision = nil
	assert.Equal(t, twice("Source commit", "Image", "Scan", "Signature", "Plan", "GitOps commit", "Synced", "Healthy"), titles(d))
	d.Evidence, d.Live, d.Plan, d.Scan = nil, nil, nil, nil
	assert.Equal(t, twice("Source commit", "Image", "GitOps commit"), titles(d))
	assert.Equal(t, twice("Image"), titles(least()))
	assert.Empty(t, open(t, least()).all("line", ""))
}

func TestThePageSaysNoMoreThanItKnows(t *testing.T) {
	headline := func(change func(*receipt.Document)) string {
		d := sample(t)
		change(d)
		require.NoError(t, d.Validate())
		page := open(t, d)
		assert.Equal(t, page.texts("h1", ""), []string{strings.SplitN(d.Text(), "\n", 2)[0]})
		return page.texts("h1", "")[0] + " / " + page.texts("p", "lead")[0]
	}
	assert.Equal(t, "hello is healthy in dev / Synced and found healthy. 1 rule warns today and will refuse later.", headline(func(*receipt.Document) {}))
	assert.Equal(t, "hello is healthy in dev / The release is synced and was found healthy.", headline(func(d *receipt.Document) { d.Decision = nil; unbound(d) }))
	assert.Equal(t, "hello is healthy in dev / Every rule passes. The release is synced and was found healthy.", headline(func(d *receipt.Document) { d.Decision.Outcomes = d.Decision.Outcomes[:4]; bind(d) }))
	assert.Equal(t, "hello is released to dev / The release is in the GitOps repository. Nothing has waited for the cluster.", headline(func(d *receipt.Document) { d.Live = nil }))
	assert.Contains(t, headline(func(d *receipt.Document) { d.Live, d.Kind = nil, receipt.KindPromotion }), "hello is promoted to dev / ")
	assert.Contains(t, headline(func(d *receipt.Document) { d.Live, d.Kind = nil, receipt.KindRollback }), "hello is rolled back in dev / ")
	assert.Contains(t, headline(func(d *receipt.Document) { d.Live, d.GitOps = nil, nil }), "hello is prepared for dev / ")
}

func TestThePageStandsAlone(t *testing.T) {
	page := open(t, sample(t))
	policies := 0
	ids := map[string]bool{}
	for _, e := range page.elements {
		assert.NotContains(t, []string{"script", "link", "iframe", "object", "embed", "img", "base", "form", "a", "use", "image"}, e.name)
		for name, value := range e.attributes {
			assert.False(t, strings.HasPrefix(strings.ToLower(name), "on") || name == "src" || name == "href", "%s=%s", name, value)
		}
		if id := e.attributes["id"]; id != "" {
			assert.False(t, ids[id], "id %s twice", id)
			ids[id] = true
		}
		if e.attributes["http-equiv"] == "Content-Security-Policy" {
			policies++
			assert.Equal(t, "default-src 'none'; style-src 'unsafe-inline'", e.attributes["content"])
			assert.Equal(t, "head", e.within)
		}
	}
	assert.Equal(t, 1, policies)
	style := page.texts("style", "")[0]
	for _, outside := range []string{"url(", "@import", "@font-face", "http"} {
		assert.NotContains(t, style, outside)
	}
}

func TestThePageIsAccessible(t *testing.T) {
	page := open(t, sample(t))
	ids := map[string]element{}
	for _, e := range page.elements {
		ids[e.attributes["id"]] = e
	}
	assert.Equal(t, "en", page.all("html", "")[0].attributes["lang"])
	for _, picture := range page.all("svg", "journey") {
		assert.Equal(t, "img", picture.attributes["role"])
		named := strings.Fields(picture.attributes["aria-labelledby"])
		require.Len(t, named, 2)
		assert.Equal(t, "title", ids[named[0]].name)
		assert.Equal(t, "The journey of this delivery", ids[named[0]].text)
		assert.Equal(t, "desc", ids[named[1]].name)
		assert.True(t, strings.HasPrefix(ids[named[1]].text, "Source commit, a011b6316ed3, tree 7683800c8bdf, at 24 Nov 2026, 12:00:03 UTC; Image, ae954d59d5f5, pushed, "), ids[named[1]].text)
		assert.True(t, strings.HasSuffix(ids[named[1]].text, "Healthy, dev, at 24 Nov 2026, 12:02:41 UTC."), ids[named[1]].text)
	}
	for _, section := range page.all("section", "") {
		assert.Equal(t, "h2", ids[section.attributes["aria-labelledby"]].name)
	}
	require.Len(t, page.all("table", ""), 3)
	for _, th := range page.all("th", "") {
		assert.Contains(t, []string{"columnheader col", "rowheader row"}, th.attributes["role"]+" "+th.attributes["scope"])
		assert.NotEmpty(t, th.text)
	}
}

// Every colour of text has a contrast of AA, 4.5, on what it stands on; lines of
// the picture and bars have 3.
func TestColoursHaveContrast(t *testing.T) {
	style := open(t, sample(t)).all("style", "")[0].text
	light, dark, ok := strings.Cut(style, "prefers-color-scheme: dark")
	require.True(t, ok)
	for scheme, css := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6})`).FindAllStringSubmatch(css, -1) {
			colours[m[1]] = luminance(t, m[2])
		}
		require.Len(t, colours, 14, scheme)
		for _, pair := range []struct {
			front, back string
			least       float64
		}{
			{"ink", "page", 7}, {"ink", "card", 7}, {"soft", "page", 4.5}, {"soft", "card", 4.5},
			{"accent", "wash", 4.5}, {"good", "good-wash", 4.5}, {"fair", "fair-wash", 4.5}, {"bad", "bad-wash", 4.5},
			{"fair", "card", 4.5}, {"bad", "card", 4.5}, {"card", "good", 4.5}, {"accent", "sunk", 3}, {"good", "card", 3},
		} {
			a, b := colours[pair.front], colours[pair.back]
			contrast := (max(a, b) + .05) / (min(a, b) + .05)
			assert.GreaterOrEqual(t, contrast, pair.least, "%s: %s on %s", scheme, pair.front, pair.back)
		}
	}
}

// luminance is a colour's relative luminance, as WCAG 2 has it.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	sum := 0.0
	for n, weight := range []float64{.2126, .7152, .0722} {
		value, err := strconv.ParseUint(colour[1+2*n:3+2*n], 16, 8)
		require.NoError(t, err)
		c := float64(value) / 255
		if c <= .04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func TestHostileValuesAreOnlyShown(t *testing.T) {
	d := hostile()
	page := open(t, d)
	clean := sample(t)
	clean.Source.Dirty = true
	known := map[string]bool{"strong": true}
	for _, e := range open(t, clean).elements {
		known[e.name] = true
	}
	for _, e := range page.elements {
		assert.True(t, known[e.name], "an element %s", e.name)
		for name := range e.attributes {
			assert.False(t, strings.HasPrefix(name, "on"), "%s of %s", name, e.name)
		}
	}
	data, err := d.HTML()
	require.NoError(t, err)
	for _, shown := range []string{string(data), d.Text()} {
		assert.NotContains(t, shown, "\x1b")
		assert.NotContains(t, shown, "\x00")
		assert.NotContains(t, shown, "\u202e")
	}
	assert.NotContains(t, string(data), "<script")
	assert.NotContains(t, string(data), "<img")
	assert.Contains(t, page.text(), "<script>alert(1)</script>", "as text")
	assert.Contains(t, page.text(), "{{.}}&lt;")
	for line := range strings.Lines(d.Text()) {
		assert.False(t, strings.HasPrefix(line, "health"), "a value begins no line: %q", line)
	}

	// In the places that are free text, it is no reason to refuse.
	free := sample(t)
	free.Scan.Scanner, free.Plan.Changes, free.Decision.Outcomes[0].Reason, free.Scan.Reported[0], free.Decision.Outcomes[4].Mend = attack, attack, attack, attack, attack
	free.Decision.Outcomes[1].Rule = attack
	free.Scan.Excepted[0] = rules.Exception{ID: attack, Path: attack, Reason: attack, Owner: attack, Expires: attack}
	bind(free)
	require.NoError(t, free.Validate())
	assert.NotContains(t, free.Text(), "\x1b")
	open(t, free)
}

// TestReceiptIsSafeToShow: also a receipt that is not valid is shown, with whatever
// it holds.
func TestReceiptIsSafeToShow(t *testing.T) {
	for _, text := range steptest.Hostile() {
		if len(text) > 20_000 {
			continue // a page of it takes seconds
		}
		d := &receipt.Document{}
		spoil(reflect.ValueOf(d).Elem(), text)
		steptest.Printable(t, d.Text())
		page, err := d.HTML()
		require.NoError(t, err)
		steptest.Printable(t, string(page))
		assert.NotContains(t, strings.ToLower(string(page)), "<script")
		assert.NotContains(t, strings.ToLower(string(page)), "<img")
		assert.Equal(t, 1, strings.Count(string(page), "</title>\n<style>"))
	}
}

func TestTimesAreForPeople(t *testing.T) {
	d := least()
	for n, seconds := range []float64{0, .04, 59.94, 59.96, 61, 3599.4, 3599.6, 7325} {
		d.Stages = append(d.Stages, receipt.Stage{Name: fmt.Sprintf("s%d", n), StartedAt: fmt.Sprintf("2026-11-24T23:59:5%d+00:00", n), Seconds: seconds})
	}
	d.Stages = append(d.Stages, receipt.Stage{Name: "late", StartedAt: "2026-11-25T02:30:00+01:00", Seconds: 1})
	require.NoError(t, d.Validate())
	_, stages, _ := strings.Cut(d.Text(), "\nstages\n")
	var took []string
	for line := range strings.Lines(stages) {
		took = append(took, strings.Join(strings.Fields(line), " "))
	}
	assert.Equal(t, []string{
		"s0 23:59:50 0.0 s", "s1 23:59:51 0.0 s", "s2 23:59:52 59.9 s", "s3 23:59:53 1 min 00 s", "s4 23:59:54 1 min 01 s",
		"s5 23:59:55 59 min 59 s", "s6 23:59:56 1 h 00 min", "s7 23:59:57 2 h 02 min", "late 25 Nov 01:30 1.0 s",
	}, took)
}

// What can be read is shown: without an error, without a script, and the same
// again after it was written.
func FuzzParse(f *testing.F) {
	f.Add(sampleJSON(f))
	for _, d := range []*receipt.Document{least(), hostile(), long(f)} {
		data, err := json.Marshal(d)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := receipt.Parse(data)
		if err != nil {
			_, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			return
		}
		page, err := d.HTML()
		require.NoError(t, err)
		require.NotContains(t, strings.ToLower(string(page)), "<script")
		require.True(t, utf8.Valid(page))
		text := d.Text()
		require.NotContains(t, text, "\x1b")
		if d.Validate() != nil {
			return
		}
		open(t, d)
		for _, hash := range hashes(t, d)[1:] {
			require.Contains(t, text, hash)
		}
		again, err := json.Marshal(d)
		require.NoError(t, err)
		same, err := receipt.Parse(again)
		require.NoError(t, err)
		require.NoError(t, same.Validate())
		require.Equal(t, text, same.Text())
	})
}

// Verification and admission are asked side by side.
func TestVerifyAndAdmitOverlap(t *testing.T) {
	d := sample(t)
	for _, name := range []string{"verify", "admit"} {
		d.Stages = append(d.Stages, receipt.Stage{Name: name, StartedAt: "2026-11-24T12:01:50Z", Seconds: 2})
	}
	require.NoError(t, d.Validate())
}

// The sample is from before there were any.
func TestReceiptShowsWhichManifestsWereJudgedAndByWhoseRules(t *testing.T) {
	d := sample(t)
	require.NoError(t, d.Validate())
	assert.NotContains(t, d.Text(), "manifests")
	assert.NotContains(t, d.Text(), "\n  platform ")
	d.Decision.Manifests = "sha256:" + strings.Repeat("5e", 32)
	d.Decision.Platform = &rules.Platform{Commit: strings.Repeat("c0", 20), Branch: "https://git.example/acme/platform#main"}
	bind(d)
	require.NoError(t, d.Validate())
	page, err := d.HTML()
	require.NoError(t, err)
	for _, said := range []string{d.Decision.Manifests, d.Decision.Platform.Commit, d.Decision.Platform.Branch} {
		assert.Contains(t, d.Text(), said)
		assert.Contains(t, string(page), said)
	}
}
