package render

import (
	"fmt"
	"strings"

	"slipway/step/printable"
	"slipway/step/result/infra"
)

// Drift is what a look for drift has seen, for people.
func Drift(seen infra.DriftReport) string {
	verdict := seen.Environment + " has not drifted"
	switch {
	case !seen.Applied:
		verdict = seen.Environment + " is not applied"
	case seen.Drifted:
		verdict = fmt.Sprintf("%s has drifted: %d", seen.Environment, len(seen.Resources))
	}
	text := Lines("", verdict)
	for _, r := range seen.Resources {
		text += Lines("  ", r.Address+" ("+r.Action+")")
		for _, a := range r.Attributes {
			text += Lines("    ", a.Path+": "+printable.JSON(string(a.Before))+" -> "+printable.JSON(string(a.After)))
		}
	}
	if len(seen.Pending) > 0 {
		text += Lines("", fmt.Sprintf("not applied: %d", len(seen.Pending)))
	}
	return text + Lines("  ", seen.Pending...)
}

// Drifted is each resource that has drifted, with the attributes that differ.
func Drifted(seen infra.DriftReport) []string {
	list := make([]string, len(seen.Resources))
	for i, r := range seen.Resources {
		var paths []string
		for _, a := range r.Attributes {
			paths = append(paths, printable.Line(a.Path))
		}
		list[i] = printable.Line(r.Address) + " (" + printable.Line(r.Action) + ")"
		if len(paths) > 0 {
			list[i] += ": " + strings.Join(paths, ", ")
		}
	}
	return list
}
