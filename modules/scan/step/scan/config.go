package scan

import (
	"context"

	"slipway/scan/step/findings"
	"slipway/scan/step/trivy"
)

// Checked is the result of Config.
type Checked struct {
	TrivyVersion      string                      `json:"trivyVersion"`
	Secrets           []findings.Secret           `json:"secrets"`
	Misconfigurations []findings.Misconfiguration `json:"misconfigurations"`
	Scanned           []findings.Scanned          `json:"scanned"`
}

// Config scans trees of manifests or Terraform code for misconfigurations and
// secrets; it needs no vulnerability database. work is an empty folder for
// temporary files.
func Config(ctx context.Context, runner *trivy.Runner, trees []Tree, cache, work, out string, say func(string, ...any)) (*Checked, error) {
	in := Input{Source: trees[0], Manifests: trees[1:]}
	if err := in.check(); err != nil {
		return nil, err
	}
	s := &scanner{ctx: ctx, runner: runner, cache: cache, work: work, out: out, say: say}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	suppressions, err := s.manifests(trees)
	if err != nil {
		return nil, err
	}
	document, err := findings.Merge("", runner.Version(), findings.Database{}, s.parts, suppressions)
	if err != nil {
		return nil, err
	}
	return &Checked{
		TrivyVersion: runner.Version(),
		Secrets:      document.Secrets, Misconfigurations: document.Misconfigurations, Scanned: document.Scanned,
	}, s.write(FindingsFile, document)
}
