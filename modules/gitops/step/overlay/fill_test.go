package overlay

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

func TestPlaceholdersAreRefusedByName(t *testing.T) {
	const filled = `kind: Deployment
metadata: {name: hello, annotations: {note: "fill-in, refill-in-time, fill-in-: none of them is a placeholder"}}
spec: {host: hello.acme.example, key: "a\nb"}
---
kind: Service
metadata: {name: hello}
`
	require.NoError(t, Filled("apps/hello/overlays/dev", []byte(filled)))
	for name, c := range map[string]struct{ old, new, place, missing string }{
		"a host":                {"hello.acme.example", "https://hello.fill-in-domain.example/x", "Deployment hello spec.host: fill-in-domain", "fill-in-domain"},
		"a whole value":         {"hello.acme.example", "fill-in-client-id", "Deployment hello spec.host: fill-in-client-id", "fill-in-client-id"},
		"a key":                 {"host:", "fill-in-host:", "Deployment hello spec: fill-in-host", "fill-in-host"},
		"an item of a list":     {"hello.acme.example", "[a, {b: fill-in-b}]", "Deployment hello spec.host.1.b: fill-in-b", "fill-in-b"},
		"in a text of lines":    {`"a\nb"`, `"-----BEGIN PUBLIC KEY-----\nfill-in-signing-key\n-----END PUBLIC KEY-----"`, "Deployment hello spec.key: fill-in-signing-key", "fill-in-signing-key"},
		"another object's name": {"kind: Service\nmetadata: {name: hello}", "kind: Service\nmetadata: {name: fill-in-name}", "Service fill-in-name metadata.name: fill-in-name", "fill-in-name"},
		"beside a number":       {"hello.acme.example", "{1: a, b: fill-in-b}", "Deployment hello spec.host.b: fill-in-b", "fill-in-b"},
		"a part of a reference": {"hello.acme.example", "fill-in-registry.example/apps/hello@sha256:abc", "Deployment hello spec.host: fill-in-registry", "fill-in-registry"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, filled, c.old)
			fault := faultOf(t, Filled("apps/hello/overlays/dev", []byte(strings.Replace(filled, c.old, c.new, 1))))
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Equal(t, "apps/hello/overlays/dev", fault.Input)
			assert.Equal(t, "is not filled in: "+c.missing, fault.Reason)
			assert.Equal(t, []string{c.place}, fault.Details)
			assert.Contains(t, fault.Mend, "your own value")
		})
	}
	fault := faultOf(t, Filled("x", []byte("kind: A\nb: fill-in-b fill-in-a fill-in-b\n")))
	assert.Equal(t, "is not filled in: fill-in-a, fill-in-b", fault.Reason)
	assert.Equal(t, []string{"A <nil> b: fill-in-a", "A <nil> b: fill-in-b"}, fault.Details)
	fault = faultOf(t, Filled("x", []byte("a: [")))
	assert.Contains(t, fault.Reason, "is not YAML", "what can't be read is not said to be filled in")
}
