package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Text is the receipt for people.
//
// Example: dagger call deliver --app hello --env dev text
//
// +cache="168h"
func (r *Receipt) Text() (string, error) {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, value, note string) {
		if note != "" {
			note = " (" + note + ")"
		}
		if value != "" {
			fmt.Fprintf(w, "%s\t%s%s\n", name, value, note)
		}
	}
	either := func(yes bool, done, already string) string {
		if yes {
			return done
		}
		return already
	}
	fmt.Fprintf(&b, "%s is released to %s\n", r.App, r.Environment)
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
	line("GitOps commit", r.GitopsCommit, either(r.ReleaseCreated, "new", "was in the repository"))
	line("GitOps file", r.GitopsPath, "")
	line("synced revision", r.SyncedRevision, either(r.SyncedRevision == r.GitopsCommit, "the release's own commit", "a later commit with the same release"))
	line("health", r.Health, r.HealthyAt)
	if err := w.Flush(); err != nil {
		return "", err
	}
	return b.String(), nil
}
