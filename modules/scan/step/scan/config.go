package scan

import (
	"context"

	"slipway/scan/step/findings"
	"slipway/scan/step/trivy"
	"slipway/step/result/scan"
)

// Config scans trees of manifests or Terraform code for misconfigurations and
// secrets; it needs no vulnerability database. work is an empty folder for
// temporary files.
func Config(ctx context.Context, runner *trivy.Runner, trees []Tree, cache, work, out string, say func(string, ...any)) (*scan.Checked, error) {
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
	document, err := findings.Merge("", runner.Version(), scan.Database{}, s.parts, suppressions)
	if err != nil {
		return nil, err
	}
	return &scan.Checked{
		TrivyVersion: runner.Version(),
		Secrets:      document.Secrets, Misconfigurations: document.Misconfigurations, Scanned: document.Scanned,
	}, s.write(FindingsFile, document)
}
