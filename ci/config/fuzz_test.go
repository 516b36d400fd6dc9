package config_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
	"slipway/ci/config"
	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/scan"
	"slipway/step/steptest"
)

// plain fails for text that could be an option, leave its folder or be more than
// one word of a command.
func plain(t *testing.T, what, text string) {
	t.Helper()
	if text == "" || strings.HasPrefix(text, "-") || path.IsAbs(text) || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		t.Fatalf("%s %q is accepted", what, text)
	}
	for part := range strings.SplitSeq(text, "/") {
		if part == ".." || part == ".git" && what == "branch" {
			t.Fatalf("%s %q is accepted", what, text)
		}
	}
}

// FuzzApp: what is accepted can only mean the app's own folder, and means
// the same when it is written and read again.
func FuzzApp(f *testing.F) {
	for _, app := range []string{"hello", "legacy", "pages"} {
		data, err := os.ReadFile("../../apps/" + app + "/" + config.AppFile)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(app, data)
	}
	for _, data := range []string{
		goodApp, goodApp + "packaging: helm\n", goodApp + "annotations: {a.b: \"=c\"}\n", goodApp + "annotations: {\"a b\": c}\n",
		goodApp + "---\n" + goodApp, "", "- a\n", "name: hello\nname: hello\n", "a: &a [*a]\n",
		"name: hello\ndescription: \"a\\nb\"\nbuild: {kind: go, package: ./cmd/hello}\nport: 8080\n",
		"name: hello\nbuild: {kind: dockerfile, file: --help/../Dockerfile}\nport: 1\n",
		"name: hello\nbuild: {kind: dockerfile, file: \"a/\\n/../Dockerfile\"}\nport: 1\n",
		"name: hello\nbuild: {kind: go, package: ./cmd/../../other}\nport: 1\n",
		"name: hello\nbuild: {kind: go, package: \"./-x/../cmd\"}\nport: 1\n",
		"name: hello\nbuild: {kind: dockerfile, file: a/b/, package: ./cmd/x/}\nport: 65535\n",
		"base: &b {kind: go, package: ./x}\n", "name: hello\nbuild: {<<: {kind: go, package: ./x}}\nport: 0x50\n",
	} {
		f.Add("hello", []byte(data))
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if step.Name("app", "app", name) != nil {
			return // refused before its descriptor is read
		}
		app, err := new(config.Config).App(name, data)
		if err != nil {
			if fault := steptest.Refused(t, err); app != nil || fault.Kind != step.KindInput || !strings.HasPrefix(fault.Input, "apps/"+name+"/app.yaml") {
				t.Fatalf("%v", err)
			}
			return
		}
		if app.Name != name || app.Port < 1 || app.Port > 65535 {
			t.Fatalf("%+v", app)
		}
		if app.Build.Kind == config.KindGo || app.Build.Package != "" {
			for _, main := range app.Build.Mains() {
				if main != "." && !strings.HasPrefix(main, "./") {
					t.Fatalf("package %q", main)
				}
				plain(t, "package", main)
			}
		}
		if app.Build.Kind == config.KindDockerfile {
			plain(t, "file", app.Build.File)
		}
		for _, label := range app.Labels() {
			key, _, ok := strings.Cut(label, "=")
			if !ok || key == "" || strings.ContainsFunc(key, unicode.IsSpace) || strings.ContainsFunc(label, unicode.IsControl) {
				t.Fatalf("label %q", label)
			}
		}
		written, err := yaml.Marshal(app)
		if err != nil {
			t.Fatal(err)
		}
		again, err := new(config.Config).App(name, written)
		if err != nil {
			t.Fatalf("%v\n%s", err, written)
		}
		if len(app.Annotations)+len(again.Annotations) == 0 {
			app.Annotations, again.Annotations = nil, nil
		}
		if len(app.Build.Args)+len(again.Build.Args) == 0 {
			app.Build.Args, again.Build.Args = nil, nil
		}
		if len(app.Build.Secrets)+len(again.Build.Secrets) == 0 {
			app.Build.Secrets, again.Build.Secrets = nil, nil
		}
		if !reflect.DeepEqual(app, again) {
			t.Fatalf("%+v became %+v", app, again)
		}
	})
}

// FuzzParse: what is accepted can be used as it is: addresses have a host, names
// are names, each environment has a state of its own, and no exception is for
// ever.
func FuzzParse(f *testing.F) {
	shipped, err := os.ReadFile("../../" + config.File)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shipped)
	for _, change := range [][2]string{
		{"", "- "}, {"registry:", "registry: &r"}, {"state: http://localhost:5000/state", "state: {type: azurerm, resourceGroup: acme, storageAccount: acme, container: states}"},
		{"http://localhost:5000/state", "http://localhost:5000/state?"}, {"http://localhost:5000/state", `"http://localhost:5000/state#"`},
		{"http://localhost:5000/gitops.git", "http://:80/x"}, {"http://localhost:5000/gitops.git", "http://[::1]/%2e%2e"},
		{"branch: main", "branch: a/.b"}, {"branch: main", "branch: a.lock/b"}, {"branch: main", "branch: a/-b"}, {"name: Slipway", "name: \" a\\tb\""},
		{"slipway@localhost", "\"é@localhost\""}, {"staging: {}", "a-1: {}"}, {"staging: {}", "staging: {infra: ignore}"}, {"maxAge: 48h", "maxAge: 1e9"},
		{"path: gitops/platform/argocd/base/rbac.yaml", "path: \"[a\""}, {"path: gitops/platform/argocd/base/rbac.yaml", "path: \"*/[^a]?\\\\*\""},
		{`expires: "2027-05-31"`, "expires: 2027-05-31"}, {"cluster:\n    code: local", "cluster:\n    cluster: {code: local}\n    code: local"},
		{"threshold: HIGH", "threshold: !!binary SElHSA=="}, {"port: 1", "port: 1"}, {"server: https://localhost:6443", "server: https://localhost:6443/#"},
	} {
		f.Add([]byte(strings.Replace(string(shipped), change[0], change[1], 1)))
	}
	for _, signing := range []string{
		byIdentity, "  identities: [{}]\n", strings.Replace(byIdentity, ".*@example[.]org", "\"(\\n\"", 1), strings.Replace(byIdentity, "[dev]", "[prod]", 1),
		strings.Replace(byIdentity, "infra/", "infra/../", 1), byIdentity + "  logs: -1\n", byIdentity + "  publicKey: a.pub\n", strings.Replace(byIdentity, "https://issuer.example.org", "\"https://a\\u00a0b\"", 1),
	} {
		f.Add([]byte(strings.Replace(strings.Replace(string(shipped), "  publicKey: \"\"\n", signing, 1), "degraded: refuse", "degraded: 24h", 1)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse(data)
		if err != nil {
			if fault := steptest.Refused(t, err); c != nil || fault.Kind != step.KindInput || !strings.HasPrefix(fault.Input, config.File) {
				t.Fatalf("%v", err)
			}
			return
		}
		for what, address := range map[string]string{"remote": c.GitOps.Remote, "registry": "//" + c.Image("hello"), "database": "//" + c.Scan.Database.Repository} {
			if _, err := config.HostPort(address); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		plain(t, "branch", c.GitOps.Branch)
		plain(t, "root", c.GitOps.Root)
		for part := range strings.SplitSeq(c.GitOps.Branch, "/") {
			if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") || strings.HasSuffix(part, ".") {
				t.Fatalf("branch %q", c.GitOps.Branch)
			}
		}
		if author := c.GitOps.Author; strings.ContainsFunc(author.Name+author.Email, unicode.IsControl) || strings.TrimSpace(author.Name) != author.Name {
			t.Fatalf("author %q", author)
		}
		for _, infra := range []*config.Infra{&c.Infra, c.Infra.Cluster} {
			if infra != nil {
				states(t, *infra, c.EnvironmentNames())
			}
		}
		for _, name := range append(c.EnvironmentNames(), "") {
			signers(t, c.Signing, name)
			if accepts := c.Environments[name].Signing.Degraded.Accepts(); accepts != 0 && (accepts < time.Minute || accepts > 720*time.Hour) {
				t.Fatalf("degraded signatures count for %s", accepts)
			}
		}
		for _, name := range c.EnvironmentNames() {
			if _, err := c.Environment("release", name); err != nil || step.Name("release", "environment", name) != nil {
				t.Fatalf("environment %q: %v", name, err)
			}
		}
		late := scan.Misconfiguration{ID: "KSV-0001", File: "a.yaml", Severity: scan.Critical}
		for _, e := range c.Scan.Policy.Exceptions {
			late.ID, late.File = e.ID, e.Path
			found := scan.Checked{Misconfigurations: []scan.Misconfiguration{late}}
			if _, err := c.Scan.Policy.EvaluateCode("infra", "", found, time.Date(10000, 1, 2, 0, 0, 0, 0, time.UTC)); err == nil {
				t.Fatalf("an exception never ends: %+v", e)
			}
		}
		if d := c.Scan.Database; d.Digest != "" && d.Trust != "" || d.Signing.Named() && d.Digest+d.Trust != "" {
			t.Fatalf("a database is believed for two reasons: %+v", d)
		}
		signers(t, c.Scan.Database.Signing, "")
		if c.Scan.Database.MaxAge <= 0 || c.Scan.Policy.Validate("policy") != nil {
			t.Fatalf("%+v", c.Scan)
		}
	})
}

// signers fails unless whoever may sign is named whole, with an issuer and a root.
func signers(t *testing.T, signing config.Signing, environment string) {
	t.Helper()
	text, err := signing.Identities.Allowed(environment)
	if err != nil {
		t.Fatal(err)
	}
	if text == "" {
		return
	}
	plain(t, "trusted root", signing.TrustedRoot)
	var allowed []map[string]string
	if err := json.Unmarshal([]byte(text), &allowed); err != nil || signing.PublicKey != "" || signing.Logs < 0 || signing.CertificateLogs < 0 {
		t.Fatalf("%v: %+v", err, signing)
	}
	for _, identity := range allowed {
		_, exact := identity["subject"]
		_, pattern := identity["subjectPattern"]
		if exact == pattern || len(identity) != 2 || !strings.HasPrefix(identity["issuer"], "https://") {
			t.Fatalf("%s may sign", text)
		}
		plain(t, "issuer", identity["issuer"])
		if exact && strings.ContainsFunc(identity["subject"], unicode.IsSpace) {
			t.Fatalf("subject %q", identity["subject"])
		}
	}
}

// states fails unless each environment's state is at a place of its own, which a
// server tells apart.
func states(t *testing.T, infra config.Infra, environments []string) {
	t.Helper()
	seen := map[string]bool{}
	for _, environment := range environments {
		text, err := infra.StateConfig(environment, "me")
		if err != nil {
			t.Fatal(err)
		}
		var settings map[string]string
		if err := yaml.Unmarshal([]byte(text), &settings); err != nil {
			t.Fatal(err)
		}
		where := settings["secret_suffix"] + settings["key"]
		if address := settings["address"]; address != "" {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			where = u.Path
		}
		if where == "" || seen[where] || !strings.HasSuffix(strings.TrimSuffix(where, ".tfstate"), environment) {
			t.Fatalf("%s shares its state with another environment: %s", environment, text)
		}
		seen[where] = true
	}
}

// FuzzRevoke: what is accepted reads back as it was, with the new entry behind it.
func FuzzRevoke(f *testing.F) {
	environments := []string{"dev", "production"}
	for _, data := range []string{
		goodRevocations, "", "{}\n", "revocations: []\n", "revocations: null # none\n", "a: &a []\nrevocations: *a\n", "? revocations\n: []\n",
		"revocations: &all [{app: a, digest: \"" + revokedDigest + "\", reason: x, by: y, at: 2026-11-29}]\n", "--- {}\n", "!!map {}\n",
		goodRevocations + "  - <<: {app: a}\n", "revocations: [{app: a, digest: \"" + revokedDigest + "\", reason: x, by: y, at: 2026-11-29T12:00:00+02:00, environments: [dev]}]",
	} {
		f.Add([]byte(data), "leaks: yes", "Jane")
	}
	f.Fuzz(func(t *testing.T, data []byte, reason, by string) {
		before, err := config.Revocations(data, environments)
		if err != nil {
			steptest.Refused(t, err)
		}
		e := rules.Revocation{App: "hello", Digest: "sha256:" + strings.Repeat("cd", 32), Reason: reason, By: by, At: time.Unix(1, 0).UTC()}
		out, refused := config.Revoke(data, environments, e)
		if refused != nil {
			steptest.Refused(t, refused)
			return
		}
		if err != nil {
			t.Fatalf("%q is refused, and added to", data)
		}
		after, err := config.Revocations(out, environments)
		if err != nil {
			t.Fatal(err)
		}
		if rules.Revoked(after, e.Digest, "dev") == nil || len(after) < len(before) || !reflect.DeepEqual(encoded(t, before), encoded(t, after[:len(before)])) {
			t.Fatalf("%q became %q", data, out)
		}
	})
}

func encoded(t *testing.T, all []rules.Revocation) []string {
	t.Helper()
	lines := []string{}
	for _, r := range all {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(data))
	}
	return lines
}
