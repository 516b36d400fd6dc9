package render

import (
	"cmp"

	"slipway/step/printable"
)

// Preview is what a release would change.
type Preview struct {
	App         string `json:"app"`
	Environment string `json:"environment"`
	Repository  string `json:"repository"`
	Head        string `json:"head"`
	Before      string `json:"before"`
	After       string `json:"after"`
	Changes     bool   `json:"changes"`
	Refusal     string `json:"refusal"`
	Uncompared  string `json:"uncompared"`
	Delta       *Delta `json:"delta,omitempty"`
	Diff        string `json:"diff"`
}

// Text is the preview for people.
func (p Preview) Text() string {
	would, gates := "would change it", "pass"
	switch {
	case p.Refusal != "":
		would, gates = "would be refused", "refuse"
	case !p.Changes:
		would = "would change nothing"
	case p.Before == "":
		would = "would be the first"
	}
	image := cmp.Or(p.Before, "never released") + " → " + p.After
	if p.Before == p.After {
		image = p.After + " (as it is)"
	}
	text := Lines("", p.App+" in "+p.Environment+": a release of the present source "+would) + Table(
		[]string{"repository", p.Repository}, []string{"image", image}, []string{"gates", gates}, []string{"GitOps commit", p.Head})
	if p.Refusal != "" {
		text += "\n" + p.Refusal + "\n"
	}
	if p.Uncompared != "" {
		text += "\nnot compared: " + p.Uncompared + "\n"
	} else {
		text += "\n" + p.Delta.Text()
	}
	if p.Diff != "" {
		text += "\n" + p.Diff
	}
	return printable.Whole(text)
}
