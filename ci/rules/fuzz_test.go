package rules_test

import (
	"encoding/json"
	"path"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/scan"
	"slipway/step/steptest"
)

// FuzzNewest: an attested predicate that is accepted says so in every reading
// of it, and is accepted for nothing else: no other image, no other policy, no
// day after one of its exceptions.
func FuzzNewest(f *testing.F) {
	const reference = "localhost:5000/hello@" + digest
	p, in := strict(), clean()
	p.Exceptions = []rules.Exception{{ID: "CVE-2022-32149", Reason: "not reachable", Owner: "team-a", Expires: "2026-12-24"}}
	in.Findings.Vulnerabilities = []scan.Vulnerability{vulnerability("CVE-2022-32149", scan.High, "0.3.8")}
	v, err := p.Evaluate(in)
	if err != nil {
		f.Fatal(err)
	}
	good, err := json.Marshal(rules.Attest(reference, *v, in.Findings, run))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, change := range [][2]string{
		{"PASSED", "FAILED"}, {"PASSED", "passed"}, {`"PASSED"`, `null`}, {"urn:slipway:scan", "urn:slipway:scan\\u0000"}, {digest, digest[:70]},
		{"2026-12-24", "2026-11-01"}, {"2026-12-24", "9999-99-99"}, {`"sha256":`, `"sha512":`}, {`{"by"`, `{"result":"FAILED","by"`},
		{`"result":"`, `"RESULT":"`}, {"urn:slipway:scan", "urn:slipway:rescan"}, {`"excepted":[`, `"excepted":null,"x":[`},
	} {
		f.Add([]byte(strings.Replace(string(good), change[0], change[1], 1)))
	}
	for _, text := range []string{"", "null", "[]", "{}", `"PASSED"`, string(good) + string(good), string(good[:len(good)/2])} {
		f.Add([]byte(text))
	}
	another := p
	another.Threshold = scan.Critical
	f.Fuzz(func(t *testing.T, data []byte) {
		predicates := []json.RawMessage{data}
		accept := func(p rules.Policy, reference string, predicates []json.RawMessage, at time.Time) error {
			_, err := p.Newest("release", reference, predicates, at)
			return err
		}
		if err := accept(p, reference, predicates, now); err != nil {
			if fault := steptest.Refused(t, err); fault.Kind != step.KindPolicy || fault.Stage != "release" {
				t.Fatal(err)
			}
			return
		}
		var s rules.Scan
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		if s.Decision.By != "urn:slipway:scan" || s.Decision.Result != "PASSED" || s.Decision.Resource != reference || "sha256:"+s.Decision.Policy.Digest["sha256"] != p.Digest() {
			t.Fatalf("accepted: %+v", s)
		}
		for what, err := range map[string]error{
			"another image":  accept(p, reference[:len(reference)-1]+"b", predicates, now),
			"another policy": accept(another, reference, predicates, now),
		} {
			if err == nil {
				t.Fatalf("accepted for %s", what)
			}
		}
		late := time.Date(10000, 1, 2, 0, 0, 0, 0, time.UTC)
		if err := accept(p, reference, predicates, late); len(s.Decision.Excepted) > 0 && err == nil {
			t.Fatal("accepted after its exceptions have ended")
		}
		written, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := accept(p, reference, []json.RawMessage{[]byte("{}"), written}, now); err != nil {
			t.Fatalf("the same, written again: %v", err)
		}
	})
}

// FuzzParseVEX: a document that is accepted makes exceptions that are whole, for
// vulnerabilities of this app only, and with an end within the age.
func FuzzParseVEX(f *testing.F) {
	f.Add([]byte(vex), int64(time.Hour))
	for _, text := range []string{"", "null", "[]", "{}", vex[:len(vex)/2], strings.Replace(vex, "hello", "hello@x", 1), strings.ReplaceAll(vex, "2026", "99999")} {
		f.Add([]byte(text), int64(24*time.Hour))
	}
	f.Fuzz(func(t *testing.T, data []byte, age int64) {
		got, err := rules.ParseVEX("openvex.json", hello, data, time.Duration(age), now)
		if err != nil {
			_ = steptest.Refused(t, err)
			return
		}
		p, in := strict(), clean()
		in.VEX = got
		in.Findings.Vulnerabilities = []scan.Vulnerability{vulnerability("CVE-2026-7", scan.Critical, "1"), vulnerability("CVE-2026-8", scan.Critical, "1")}
		in.Findings.Vulnerabilities[1].PURLs = []string{liba, libb}
		v, err := p.Evaluate(in)
		if err != nil {
			_ = steptest.Refused(t, err)
			return
		}
		for _, e := range v.Excepted {
			ends, err := time.Parse(time.DateOnly, e.Expires)
			if e.Class != rules.ClassVulnerability || e.App != "hello" || e.ID == "" || e.Reason == "" || e.Owner == "" || err != nil || ends.After(now.Add(time.Duration(age)).Add(time.Hour)) {
				t.Fatalf("%+v: %v", e, err)
			}
		}
	})
}

// FuzzEvaluate: whatever a policy says, one finding passes it only below the
// threshold, as the actions let it, or by an exception that is for it and holds.
func FuzzEvaluate(f *testing.F) {
	exception := "exceptions: [{id: CVE-1, reason: r, owner: o, expires: 2026-11-24}]\n"
	for _, text := range []string{
		"threshold: HIGH\nunfixed: report\nunknown: refuse\n", "threshold: LOW\nunfixed: refuse\nunknown: report\n",
		"threshold: HIGH\nunfixed: report\nunknown: refuse\n" + exception,
		"threshold: HIGH\nunfixed: report\nunknown: refuse\n" + strings.Replace(exception, "id:", "app: other, id:", 1),
		"threshold: HIGH\nunfixed: report\nunknown: refuse\n" + strings.Replace(exception, "id:", "path: gitops/*/x.yaml, id:", 1),
		"threshold: HIGH\nunfixed: report\nunknown: refuse\n" + strings.Replace(exception, "11-24", "11-23", 1),
		"threshold: UNKNOWN\nunfixed: report\nunknown: report\n", "threshold: high\n", "", "[]", "exceptions: [{}]\n",
	} {
		f.Add([]byte(text), "CVE-1", "HIGH", "0.3.8", "gitops/a/x.yaml", 0)
		f.Add([]byte(text), "CVE-1", "", "", "", 1)
	}
	f.Fuzz(func(t *testing.T, text []byte, id, severity, fixed, file string, days int) {
		var p rules.Policy
		if yaml.Unmarshal(text, &p) != nil {
			return
		}
		in := clean()
		in.Now = now.AddDate(0, 0, days%1000)
		in.Findings.Database.UpdatedAt = in.Now.Add(-time.Hour)
		found := vulnerability(id, scan.Severity(severity), fixed)
		in.Findings.Vulnerabilities = []scan.Vulnerability{found}
		setting := scan.Misconfiguration{ID: id, File: file, Severity: scan.Severity(severity)}
		in.Findings.Misconfigurations = []scan.Misconfiguration{setting}
		v, err := p.Evaluate(in)
		if err != nil {
			// A title or reason may come from a finding; its lines are details.
			_ = steptest.Refused(t, err)
			return
		}
		if v.PolicyDigest != p.Digest() || len(v.Reported)+2*len(v.Excepted) == 0 {
			t.Fatalf("%+v", v)
		}
		if !allowed(p, found.Severity, fixed == "") && !excepted(p, in.App, id, "", in.Now) {
			t.Fatalf("%s of severity %q passes %+v", id, severity, p)
		}
		if !allowed(p, setting.Severity, false) && !excepted(p, in.App, id, file, in.Now) {
			t.Fatalf("%s in %q of severity %q passes %+v", id, file, severity, p)
		}
	})
}

// allowed is what a policy lets pass without an exception.
func allowed(p rules.Policy, s scan.Severity, unfixed bool) bool {
	order := "LOW MEDIUM HIGH CRITICAL"
	switch at := strings.Index(order, string(s)); {
	case s == scan.Unknown:
		return p.Unknown == rules.ActionReport
	case s == "" || strings.Contains(string(s), " ") || at < 0 || at > 0 && order[at-1] != ' ' || !strings.HasPrefix(order[at:]+" ", string(s)+" "):
		return false
	default:
		return at < strings.Index(order, string(p.Threshold)) || unfixed && p.Unfixed == rules.ActionReport
	}
}

// excepted says whether a policy has an exception for a finding that holds.
func excepted(p rules.Policy, app, id, file string, now time.Time) bool {
	for _, e := range p.Exceptions {
		day, err := time.Parse(time.DateOnly, e.Expires)
		matches := e.Path == ""
		if !matches && file != "" {
			matches, _ = path.Match(e.Path, file)
		}
		if err == nil && e.ID == id && (e.App == "" || e.App == app) && matches && now.Before(day.Add(24*time.Hour)) {
			return true
		}
	}
	return false
}
