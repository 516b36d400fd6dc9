package plan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	tfjson "github.com/hashicorp/terraform-json"

	"slipway/infra/step/redact"
	"slipway/step"
	"slipway/step/steptest"
)

// FuzzRedact: whatever plan Terraform shows, none of what it marks is left in
// what is kept of it, and a plan that can't be judged is refused.
func FuzzRedact(f *testing.F) {
	f.Add([]byte(document))
	const change = `{"format_version":"1.2","resource_changes":[{"address":"a.b","change":`
	for _, text := range []string{
		change + `{"actions":["create"],"after":{"a":["secret-1",{"b":"secret-2"}]},"after_sensitive":{"a":[true,{"b":true}]}}}]}`,
		change + `{"actions":["create"],"after":{"a":["secret-1"]},"after_sensitive":{"a":[true,true]}}}]}`,
		change + `{"actions":["create"],"after":"secret-1","after_sensitive":"yes"}}]}`,
		change + `{"actions":["update"],"before":{"x":"secret-1"},"after":{"x":"see secret-1"},"before_sensitive":{"x":true}}}]}`,
		change + `null}]}`, change + `{"actions":null}}]}`, change + `{"actions":["delete","create","delete"]}}]}`,
		`{"format_version":"1.2","resource_changes":[null]}`, `{"format_version":"1.2","resource_drift":[null]}`, `{"format_version":"1.2","deferred_changes":[null]}`,
		`{"format_version":"1.2","action_invocations":[null]}`, `{"format_version":"1.2","output_changes":{"a":null}}`, `{"format_version":"1.2","variables":{"a":null}}`,
		`{"format_version":"1.2","configuration":{"root_module":{"resources":[null],"module_calls":{"a":null}}}}`,
		`{"format_version":"1.2","prior_state":{"format_version":"1.0","values":{"root_module":{"resources":[null],"child_modules":[null]}}}}`,
		`{"format_version":"1.2","configuration":{"root_module":{"variables":{"a":null,"b":{"sensitive":true,"default":["secret-1"]}}}},"output_changes":{"b":{"actions":["create"],"after":"secret-1"}}}`,
		`{"format_version":"9.9"}`, `{}`, `null`, `[]`, ``,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var p tfjson.Plan
		p.UseJSONNumber(true)
		if json.Unmarshal(data, &p) != nil {
			return
		}
		secrets := map[string]bool{}
		redacted := Redact(&p, &redact.Secrets{})
		for _, c := range changes(&p) {
			marked(c.Before, c.BeforeSensitive, secrets)
			marked(c.After, c.AfterSensitive, secrets)
		}
		for _, c := range changes(redacted) {
			clean(t, c.Before, secrets)
			clean(t, c.After, secrets)
		}
		s, err := Summarize("check", redacted)
		if err != nil {
			_ = steptest.Refused(t, err)
		} else if count := s.Create + s.Update + s.Delete + s.Replace + s.Read + s.Forget + s.NoOp; count != len(p.ResourceChanges) || len(s.Destroys()) < s.Delete+s.Replace+s.Forget {
			t.Fatalf("%d changes: %+v", len(p.ResourceChanges), s)
		}
		for _, d := range Drifted(&p, &redact.Secrets{}) {
			for _, a := range d.Attributes {
				clean(t, a.Before, secrets)
				clean(t, a.After, secrets)
			}
		}
		Applied(&p)
		if err := CheckVariable("check", &p, "dev"); err != nil {
			_ = steptest.Refused(t, err)
		}
	})
}

func changes(p *tfjson.Plan) []*tfjson.Change {
	var list []*tfjson.Change
	for _, rc := range append(append([]*tfjson.ResourceChange{}, p.ResourceChanges...), p.ResourceDrift...) {
		if rc != nil && rc.Change != nil {
			list = append(list, rc.Change)
		}
	}
	for _, c := range p.OutputChanges {
		if c != nil {
			list = append(list, c)
		}
	}
	return list
}

// marked collects the texts below a place that is marked with true.
func marked(value, marks any, found map[string]bool) {
	switch m := marks.(type) {
	case bool:
		if m {
			texts(value, found)
		}
	case map[string]any:
		if v, ok := value.(map[string]any); ok {
			for key, below := range m {
				marked(v[key], below, found)
			}
		}
	case []any:
		if v, ok := value.([]any); ok && len(v) == len(m) {
			for i, below := range m {
				marked(v[i], below, found)
			}
		}
	}
}

func texts(value any, found map[string]bool) {
	switch v := value.(type) {
	case string:
		found[v] = v != ""
	case map[string]any:
		for _, item := range v {
			texts(item, found)
		}
	case []any:
		for _, item := range v {
			texts(item, found)
		}
	}
}

// clean fails when a secret is, or is in, one of the texts.
func clean(t *testing.T, value any, secrets map[string]bool) {
	t.Helper()
	left := map[string]bool{}
	texts(value, left)
	for text := range left {
		if text == redact.Value {
			continue
		}
		for secret, is := range secrets {
			if is && (text == secret || len(secret) >= 6 && strings.Contains(text, secret)) {
				t.Fatalf("%q is left in %q", secret, text)
			}
		}
	}
}

// FuzzRead: a binding or a verdict is read strictly: what is taken reads the same
// when it is written again.
func FuzzRead(f *testing.F) {
	good, err := json.Marshal(binding())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, text := range []string{"", "[]", "null", `{"planSha256":"x","more":1}`, `{}{}`, `{"serial":-1}`, `{"serial":18446744073709551616}`, `{"PLANSHA256":"x"}`, `{"destroys":null,"allowDestroy":true}`, "{} x"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), BindingFile)
		for _, value := range []func() any{func() any { return &Binding{} }, func() any { return &Checked{} }, func() any { return &Judged{} }} {
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			first, second := value(), value()
			if err := Read("apply", "binding", file, first); err != nil {
				if fault := steptest.Refused(t, err); fault.Kind != step.KindInput {
					t.Fatal(err)
				}
				continue
			}
			written, err := json.Marshal(first)
			if err != nil || os.WriteFile(file, written, 0o600) != nil {
				t.Fatal(err)
			}
			if err := Read("apply", "binding", file, second); err != nil || !reflect.DeepEqual(first, second) {
				t.Fatalf("%+v became %+v, %v", first, second, err)
			}
			if b, ok := first.(*Binding); ok {
				if _, err := b.ReadPlan("apply", file); err == nil {
					t.Fatal("a binding holds its own digest")
				}
				if err := (Checked{}).Check("apply", *b); err == nil && *b != (Binding{Program: b.Program, Lineage: b.Lineage, Serial: b.Serial}) {
					t.Fatal("an empty verdict is about something")
				}
			}
		}
	})
}
