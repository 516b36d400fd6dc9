// Package drill judges what became of attacks on the gates of the pipeline, and
// holds what the attacks are made of.
package drill

import (
	"cmp"
	"fmt"
	"strings"

	"slipway/ci/render"
	"slipway/step"
)

// Verdict is what an attack says about its gate.
type Verdict string

const (
	// Stopped is for an attack that the gate refused, as it is meant to, after its
	// control has passed.
	Stopped Verdict = "stopped"
	// LetThrough is for an attack that nothing refused.
	LetThrough Verdict = "let through"
	// Elsewhere is for an attack that something else than its gate refused: then
	// nothing is known about the gate.
	Elsewhere Verdict = "stopped elsewhere"
	// ControlRefused is for an attack that was not made, because its control, which
	// has nothing wrong, was refused.
	ControlRefused Verdict = "control refused"
	// NotTried is for an attack that the call was not given the means for.
	NotTried Verdict = "not tried"
)

// Expected is how a gate refuses.
type Expected struct {
	Stage string    `json:"stage"`
	Kind  step.Kind `json:"kind"`
	// Says is a part of what the refusal tells.
	Says string `json:"says"`
}

func (e Expected) String() string { return fmt.Sprintf("%s refuses: %s", e.Stage, e.Says) }

// Attack is one attempt to get around a gate.
type Attack struct {
	// Gate is what has to stop it, Name what is done.
	Gate, Name string
	Expected   Expected
}

// Result is what became of an attack.
type Result struct {
	Gate     string   `json:"gate"`
	Attack   string   `json:"attack"`
	Expected Expected `json:"expected"`
	// Control is what became of the same thing without the attack: passed, or its
	// refusal.
	Control string `json:"control"`
	// Observed is what became of the attack, in a line.
	Observed string `json:"observed"`
	// StoppedAt is the stage that refused it; empty when none did.
	StoppedAt string  `json:"stoppedAt"`
	Verdict   Verdict `json:"verdict"`
}

const passed = "passed"

// Judge is the row of an attack whose control ended with control, and the attack
// itself, made only after a control that passed, with attempt.
func (a Attack) Judge(control error, attempt func() error) Result {
	row := Result{Gate: a.Gate, Attack: a.Name, Expected: a.Expected, Control: passed}
	if control != nil {
		row.Control, row.Verdict, row.Observed = line(control), ControlRefused, "not tried: the control was refused"
		return row
	}
	err := attempt()
	if err == nil {
		row.Verdict, row.Observed = LetThrough, passed
		return row
	}
	row.Verdict, row.Observed = Elsewhere, line(err)
	f, ok := step.AsFault(err)
	if !ok {
		return row
	}
	row.StoppedAt = f.Stage
	told := strings.Join(append([]string{f.Input, f.Reason}, f.Details...), "\n")
	if f.Stage == a.Expected.Stage && f.Kind == a.Expected.Kind && strings.Contains(told, a.Expected.Says) {
		row.Verdict = Stopped
	}
	return row
}

// Skip is the row of an attack that can't be made, and why.
func (a Attack) Skip(why string) Result {
	return Result{Gate: a.Gate, Attack: a.Name, Expected: a.Expected, Control: "not tried", Observed: why, Verdict: NotTried}
}

// line is an error in a line.
func line(err error) string {
	text := err.Error()
	if f, ok := step.AsFault(err); ok {
		text = fmt.Sprintf("%s %s", f.Input, f.Reason)
	}
	return strings.Join(strings.Fields(text), " ")
}

// Table is what became of every attack of a drill.
type Table []Result

// Failed are the rows whose gate is not proven to close, and only against the
// attack. Those that were not tried are no failure: Untried tells of them.
func (t Table) Failed() Table {
	var failed Table
	for _, row := range t {
		if row.Verdict != Stopped && row.Verdict != NotTried {
			failed = append(failed, row)
		}
	}
	return failed
}

// Untried are the rows of attacks that were not made.
func (t Table) Untried() Table {
	var untried Table
	for _, row := range t {
		if row.Verdict == NotTried {
			untried = append(untried, row)
		}
	}
	return untried
}

// Text is the table for people, and a line that says how the drill ended.
func (t Table) Text() string {
	rows := [][]string{{"GATE", "ATTACK", "VERDICT", "STOPPED AT", "EXPECTED", "OBSERVED"}}
	for _, row := range t {
		observed := row.Observed
		if row.Verdict == ControlRefused {
			observed = "control: " + row.Control
		}
		rows = append(rows, []string{row.Gate, row.Attack, string(row.Verdict), cmp.Or(row.StoppedAt, "-"), row.Expected.String(), short(observed)})
	}
	return render.Table(rows...) + t.Summary() + "\n"
}

// Summary is how the drill ended, in a line.
func (t Table) Summary() string {
	failed, untried := t.Failed(), t.Untried()
	text := fmt.Sprintf("%d attacks, %d stopped by their gates after a control that passed", len(t)-len(untried), len(t)-len(untried)-len(failed))
	if len(untried) > 0 {
		text += fmt.Sprintf("; %d not tried", len(untried))
	}
	return text
}

// Refusal is the fault of a drill in which a gate has failed, or in which nothing
// was tried; nil for another.
func (t Table) Refusal() error {
	const mend = "mend the gate or the configuration that opens it"
	failed := t.Failed()
	switch {
	case len(t) == len(t.Untried()):
		return step.Policy("drill", "gates", "were not tried", "give what the rows name", strings.Split(strings.TrimSpace(t.Text()), "\n")...)
	case len(failed) == 0:
		return nil
	}
	var names []string
	for _, row := range failed {
		names = append(names, fmt.Sprintf("%s (%s: %s)", row.Gate, row.Attack, row.Verdict))
	}
	return step.Policy("drill", "gates", "do not hold: "+strings.Join(names, "; "), mend, strings.Split(strings.TrimSpace(t.Text()), "\n")...)
}

func short(text string) string {
	const most = 160
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}
