package main

import "slipway/ci/render"

// Text is the receipt for people.
//
// Example: dagger call deliver --app hello --env dev text
//
// +cache="168h"
func (r *Receipt) Text() (string, error) {
	var rows [][]string
	line := func(name, value, note string) {
		if note != "" {
			note = " (" + note + ")"
		}
		if value != "" {
			rows = append(rows, []string{name, value + note})
		}
	}
	either := func(yes bool, done, already string) string {
		if yes {
			return done
		}
		return already
	}
	line("source commit", r.SourceRevision, "")
	label := "uncommitted"
	for _, difference := range r.Uncommitted {
		line(label, difference, "")
		label = ""
	}
	line("source tree", r.SourceTree, "")
	line("image", r.Image, either(r.ImagePushed, "pushed", "was in the registry"))
	line("scan", r.verdict(), "")
	line("infrastructure plan", r.Plan, r.PlanChanges)
	line("made by", r.PlanProgram, "")
	line("GitOps commit", r.GitopsCommit, either(r.ReleaseCreated, "new", "was in the repository"))
	line("GitOps file", r.GitopsPath, "")
	line("synced revision", r.SyncedRevision, either(r.SyncedRevision == r.GitopsCommit, "the release's own commit", "a later commit with the same release"))
	line("health", r.Health, r.HealthyAt)
	return render.Lines("", r.App+" is released to "+r.Environment) + render.Table(rows...), nil
}
