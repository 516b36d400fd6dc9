package slipway_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Who may be spoken to in plain HTTP, what is dialled for an address, and what a
// registry's answer means are decided once: two that decide it come to disagree.
func TestAddressesAndRegistriesAreReachedInOneWay(t *testing.T) {
	const reach, registry = "modules/step/reach/", "modules/toolbox/registry/"
	rules := map[string]struct {
		pattern *regexp.Regexp
		// in are the places that may hold it.
		in []string
	}{
		"what is this machine": {regexp.MustCompile(`\bIsLoopback\(\)`), []string{
			reach,
			"modules/build/step/packages/client.go", // what is near, and not to be asked by redirect
			"engine/network.go",                     // what a container can't reach
		}},
		"LOGICAL=ACTUAL": {regexp.MustCompile(`(?m)^[^/\n]*"[^"\n]*LOGICAL=ACTUAL`), []string{
			reach,
			"modules/infra/step/flags.go", // a flag.Value of reach's
		}},
		"a registry's client": {regexp.MustCompile(`go-containerregistry/pkg/(v1/remote|authn|crane)\b`), []string{
			registry,
			"modules/drill/hostile/", // the drill's attacker
		}},
	}
	held := map[string]bool{}
	for _, file := range find(t, ".go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text := readFile(t, file)
		for name, rule := range rules {
			if !rule.pattern.MatchString(text) {
				continue
			}
			place := slices.IndexFunc(rule.in, func(in string) bool { return strings.HasPrefix(filepath.ToSlash(file), in) })
			if assert.GreaterOrEqual(t, place, 0, "%s has its own %s: take slipway/step/reach or slipway/registry", file, name) {
				held[rule.in[place]+" "+name] = true
			}
		}
	}
	for name, rule := range rules {
		for _, in := range rule.in {
			assert.True(t, held[in+" "+name], "%s does not need its exception for %s any more", in, name)
		}
	}
}
