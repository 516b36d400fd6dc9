package testsummary_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"slipway/ci/testsummary"
	"slipway/step/result/build"
)

func TestSummariesAreCounted(t *testing.T) {
	for name, tc := range map[string]struct {
		stdout, stderr string
		counts         build.Counts
	}{
		"unittest":                {"", "test_a (t.T.test_a) ... ok\n\n----------------------------------------------------------------------\nRan 3 tests in 0.001s\n\nOK\n", build.Counts{Passed: 3}},
		"unittest, one":           {"", "Ran 1 test in 12.3s\n\nOK", build.Counts{Passed: 1}},
		"unittest that skips":     {"", "Ran 5 tests in 0.001s\n\nOK (skipped=2, expected failures=1)\n", build.Counts{Passed: 3, Skipped: 2}},
		"unittest that fails":     {"", "Ran 5 tests in 0.001s\n\nFAILED (failures=1, errors=2, skipped=1, unexpected successes=1)\n", build.Counts{Failed: 4, Skipped: 1}},
		"unittest without a test": {"", "Ran 0 tests in 0.000s\n\nNO TESTS RAN\n", build.Counts{}},
		"unittest, all skipped":   {"", "Ran 2 tests in 0.000s\n\nOK (skipped=2)\n", build.Counts{Skipped: 2}},
		"pytest":                  {"collected 4 items\n\n=================== 3 passed, 1 skipped in 0.02s ===================\n", "", build.Counts{Passed: 3, Skipped: 1}},
		"pytest -q":               {"...\n3 passed in 0.02s\n", "", build.Counts{Passed: 3}},
		"pytest that takes time":  {"= 3 passed, 2 warnings in 83.02s (0:01:23) =\n", "", build.Counts{Passed: 3}},
		"pytest that fails":       {"== 2 failed, 1 passed, 1 xfailed, 1 xpassed, 3 deselected, 1 error in 1.00s ==\n", "", build.Counts{Passed: 1, Failed: 4, Skipped: 1}},
		"pytest without a test":   {"== no tests ran in 0.00s ==\n", "", build.Counts{}},
		"node":                    {"TAP version 13\n1..2\n# tests 4\n# suites 0\n# pass 2\n# fail 0\n# cancelled 0\n# skipped 1\n# todo 1\n# duration_ms 3\n", "", build.Counts{Passed: 2, Skipped: 2}},
		"node for people":         {"ℹ tests 4\nℹ pass 2\nℹ fail 1\nℹ cancelled 1\nℹ skipped 0\nℹ todo 0\nℹ duration_ms 3\n", "", build.Counts{Passed: 2, Failed: 2}},
		"Maven":                   {"[INFO] Tests run: 1, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.1 s - in A\n[INFO] Results:\n[INFO] \n[WARNING] Tests run: 7, Failures: 1, Errors: 1, Skipped: 2\n", "", build.Counts{Passed: 3, Failed: 2, Skipped: 2}},
		"Surefire":                {"Results :\n\nTests run: 1, Failures: 0, Errors: 0, Skipped: 0\n", "", build.Counts{Passed: 1}},
		"the last of several":     {"9 passed in 0.02s\n# pass 1\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n9 passed in 0.02s\n2 passed in 0.02s\nbye\n", "", build.Counts{Passed: 2}},
		"stdout before stderr":    {"2 passed in 0.02s\n", "Ran 3 tests in 0.001s\n\nOK\n", build.Counts{Passed: 2}},
		"more than there can be":  {"99999999999999999999 passed, 99999999 skipped in 0.02s\n", "", build.Counts{}},
		"fewer than were skipped": {"", "Ran 1 test in 0.1s\n\nOK (skipped=3)\n", build.Counts{Skipped: 3}},
	} {
		counts, known := testsummary.Counts(tc.stdout, tc.stderr)
		assert.True(t, known, name)
		assert.Equal(t, tc.counts, counts, name)
	}
	for _, output := range []string{"", "ok\n", "| 3 passed in 0.02s\n", "3 passed in 0.02s, and more", "Ran 3 tests in 0.001s\nOK", "# pass 3\n", "Tests run: 1, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.1 s"} {
		_, known := testsummary.Counts(output, output)
		assert.False(t, known, output)
	}
}

func FuzzCounts(f *testing.F) {
	f.Add("3 passed, 1 skipped in 0.02s\n", "Ran 3 tests in 0.001s\n\nOK (skipped=1)\n")
	f.Add("Tests run: 1, Failures: 0, Errors: 0, Skipped: 0", "# pass 1\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0")
	f.Fuzz(func(t *testing.T, stdout, stderr string) {
		counts, known := testsummary.Counts(stdout, stderr)
		for _, n := range []int{counts.Passed, counts.Failed, counts.Skipped} {
			assert.GreaterOrEqual(t, n, 0)
			assert.True(t, known || n == 0)
		}
	})
}
