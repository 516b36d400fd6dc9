// Package testsummary reads how many tests a command has run: what test runners print
// at their end.
package testsummary

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"slipway/step/result/build"
)

// runner is a test runner, by the lines of its summary.
type runner struct {
	// summary matches a summary's line; its groups are for count.
	summary *regexp.Regexp
	count   func(groups []string) build.Counts
}

var runners = []runner{
	// Python's unittest: the line before says how many there were.
	{regexp.MustCompile(`(?m)^Ran (\d+) tests? in [0-9.]+s\n\n(OK|FAILED|NO TESTS RAN)(?: \((.+)\))?$`), func(g []string) build.Counts {
		words := map[string]int{}
		for part := range strings.SplitSeq(g[3], ", ") {
			name, value, _ := strings.Cut(part, "=")
			words[name] = number(value)
		}
		c := build.Counts{Failed: words["failures"] + words["errors"] + words["unexpected successes"], Skipped: words["skipped"]}
		c.Passed = max(0, number(g[1])-c.Failed-c.Skipped)
		return c
	}},
	// pytest, also with -q.
	{regexp.MustCompile(`(?m)^(?:=+ )?((?:\d+ [a-z]+, )*\d+ [a-z]+|no tests ran) in [0-9.]+s(?: \([0-9:]+\))?(?: =+)?$`), func(g []string) build.Counts {
		words := map[string]int{}
		for part := range strings.SplitSeq(g[1], ", ") {
			value, name, _ := strings.Cut(part, " ")
			words[strings.TrimSuffix(name, "s")] = number(value)
		}
		// One that is expected to fail proves nothing.
		return build.Counts{Passed: words["passed"], Failed: words["failed"] + words["error"] + words["xpassed"], Skipped: words["skipped"] + words["xfailed"]}
	}},
	// Node's own runner, as TAP or for people.
	{regexp.MustCompile(`(?m)^(?:#|ℹ) pass (\d+)\n(?:#|ℹ) fail (\d+)\n(?:#|ℹ) cancelled (\d+)\n(?:#|ℹ) skipped (\d+)\n(?:#|ℹ) todo (\d+)$`), func(g []string) build.Counts {
		return build.Counts{Passed: number(g[1]), Failed: number(g[2]) + number(g[3]), Skipped: number(g[4]) + number(g[5])}
	}},
	// Maven's Surefire.
	{regexp.MustCompile(`(?m)^(?:\[[A-Z]+\] )?Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)$`), func(g []string) build.Counts {
		c := build.Counts{Failed: number(g[2]) + number(g[3]), Skipped: number(g[4])}
		c.Passed = max(0, number(g[1])-c.Failed-c.Skipped)
		return c
	}},
}

// Counts are those of the last summary in what a command has printed: of Python's
// unittest, pytest, Node's runner or Maven's Surefire. Without one, known is false. What
// it says is the app's own word, as its tests are.
func Counts(stdout, stderr string) (counts build.Counts, known bool) {
	for _, output := range []string{stdout, stderr} {
		last := -1
		for _, r := range runners {
			found := r.summary.FindAllStringSubmatchIndex(output, -1)
			if len(found) == 0 || found[len(found)-1][0] < last {
				continue
			}
			at := found[len(found)-1]
			var groups []string
			for pair := range slices.Chunk(at, 2) {
				group := ""
				if pair[0] >= 0 {
					group = output[pair[0]:pair[1]]
				}
				groups = append(groups, group)
			}
			last, counts, known = at[0], r.count(groups), true
		}
		if known {
			return counts, true
		}
	}
	return build.Counts{}, false
}

// most is how many tests a summary may speak of.
const most = 10_000_000

// number is a count, 0 for none.
func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > most {
		return 0
	}
	return n
}
