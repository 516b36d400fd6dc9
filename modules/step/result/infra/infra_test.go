package infra_test

import (
	"encoding/json"
	"regexp"
	"testing"

	"slipway/step/result/infra"
)

func planned() infra.Planned {
	return infra.Planned{
		Binding: infra.Binding{PlanSHA256: "sha256:plan", CodeSHA256: "sha256:code", Environment: "dev", StateAddress: "https://state.example/dev", Lineage: "l", Serial: 3,
			Program: infra.Program{Name: "OpenTofu", Version: "1.11.0", SHA256: "sha256:program"}},
		Summary: infra.Summary{Changes: true, Create: 1, Warnings: []string{"deprecated"}, Resources: []infra.Resource{
			{Address: "a.b", Type: "a", Actions: []string{"create"}, After: map[string]any{"x": 1.0, "y": "z"}},
		}},
	}
}

func TestAPlanIsKnownByWhatItWouldDo(t *testing.T) {
	want := planned().Effect()
	if !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(want) {
		t.Error(want)
	}
	for name, change := range map[string]func(*infra.Planned){
		"made again":         func(p *infra.Planned) { p.Binding.PlanSHA256 = "sha256:another" },
		"by another program": func(p *infra.Planned) { p.Binding.Program.Version = "1.12.0" },
		"warned otherwise":   func(p *infra.Planned) { p.Summary.Warnings = nil },
		"read again": func(p *infra.Planned) {
			data, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			*p = infra.Planned{}
			if err := json.Unmarshal(data, p); err != nil {
				t.Fatal(err)
			}
		},
	} {
		p := planned()
		change(&p)
		if got := p.Effect(); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, change := range map[string]func(*infra.Planned){
		"other code":          func(p *infra.Planned) { p.Binding.CodeSHA256 = "sha256:other" },
		"another environment": func(p *infra.Planned) { p.Binding.Environment = "production" },
		"another state":       func(p *infra.Planned) { p.Binding.StateAddress = "https://state.example/production" },
		"another lineage":     func(p *infra.Planned) { p.Binding.Lineage = "m" },
		"a state that moved":  func(p *infra.Planned) { p.Binding.Serial++ },
		"another action":      func(p *infra.Planned) { p.Summary.Resources[0].Actions = []string{"delete", "create"} },
		"another value":       func(p *infra.Planned) { p.Summary.Resources[0].After = map[string]any{"x": 1.0, "y": "w"} },
		"another resource": func(p *infra.Planned) {
			p.Summary.Resources = append(p.Summary.Resources, infra.Resource{Address: "c.d"})
		},
		"an output": func(p *infra.Planned) { p.Summary.Outputs = []infra.OutputChange{{Name: "o"}} },
		"drift":     func(p *infra.Planned) { p.Summary.Drift = []string{"a.b"} },
	} {
		p := planned()
		change(&p)
		if p.Effect() == want {
			t.Errorf("%s is the same", name)
		}
	}
}
