package config_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"slipway/ci/config"
	"slipway/step"
)

const shippedState = "state: http://localhost:5000/state"

func TestWhereTheStateIs(t *testing.T) {
	for name, c := range map[string]struct {
		state     string
		inCluster bool
		want      string
	}{
		"http": {shippedState, false, `{"address":"http://localhost:5000/state/builtin/dev","lock_address":"http://localhost:5000/state/builtin/dev",
			"unlock_address":"http://localhost:5000/state/builtin/dev","lock_method":"LOCK","unlock_method":"UNLOCK","username":"ci"}`},
		"kubernetes": {"state: {type: kubernetes, namespace: slipway-system}", true, `{"type":"kubernetes","namespace":"slipway-system","secret_suffix":"builtin-dev"}`},
		"azurerm": {"state:\n    type: azurerm\n    resourceGroup: platform\n    storageAccount: acme\n    container: states", false,
			`{"type":"azurerm","resource_group_name":"platform","storage_account_name":"acme","container_name":"states","key":"builtin/dev.tfstate"}`},
	} {
		t.Run(name, func(t *testing.T) {
			text := shipped(t)
			require.Contains(t, text, shippedState)
			parsed, err := config.Parse([]byte(strings.Replace(text, shippedState, c.state, 1)))
			require.NoError(t, err)
			// The pipeline hands its settings on as JSON.
			data, err := json.Marshal(parsed)
			require.NoError(t, err)
			again := &config.Config{}
			require.NoError(t, json.Unmarshal(data, again))
			assert.Equal(t, c.inCluster, again.Infra.InCluster())
			got, err := again.Infra.StateConfig("dev", "ci")
			require.NoError(t, err)
			assert.JSONEq(t, c.want, got)
			assert.Equal(t, "builtin", again.Infra.Code)

			again.Infra.State = "https://state.example.test"
			require.NoError(t, again.Validate())
			got, err = again.Infra.StateConfig("dev", "")
			require.NoError(t, err)
			assert.Contains(t, got, "https://state.example.test/builtin/dev", "an argument's URL wins")
			assert.False(t, again.Infra.InCluster())
		})
	}
}

func TestStateFaultsNameThePlace(t *testing.T) {
	before, _, ok := strings.Cut(shipped(t), shippedState)
	require.True(t, ok)
	// @N in a reason is the line of state and N more.
	line := 1 + strings.Count(before, "\n")
	for name, c := range map[string]struct{ state, input, reason string }{
		"no URL":            {"state: localhost", `slipway.yaml: infra.state "localhost"`, "is not an http(s) URL"},
		"nothing":           {"", `slipway.yaml: infra.state ""`, "is not an http(s) URL"},
		"a list":            {"state: [a]", "slipway.yaml", "line @0: infra.state is not a string"},
		"a number":          {"state: 5", "slipway.yaml", "line @0: infra.state is not a string"},
		"another key":       {shippedState + "\n  states: x", "slipway.yaml", `line @1: infra has no key "states"`},
		"a key twice":       {shippedState + "\n  state: x", "slipway.yaml", ""},
		"no type":           {"state: {namespace: a}", "slipway.yaml", `line @0: infra.state.type "" is neither kubernetes nor azurerm`},
		"another type":      {"state: {type: s3}", "slipway.yaml", `infra.state.type "s3" is neither`},
		"a typo":            {"state:\n    type: kubernetes\n    namspace: a", "slipway.yaml", `line @2: infra.state of type kubernetes has no key "namspace", only namespace`},
		"a key of another":  {"state: {type: kubernetes, namespace: a, container: b}", "slipway.yaml", `has no key "container"`},
		"a secret":          {"state: {type: azurerm, accessKey: a}", "slipway.yaml", `has no key "accessKey"`},
		"twice in state":    {"state: {type: kubernetes, namespace: a, namespace: b}", "slipway.yaml", ""},
		"no namespace":      {"state: {type: kubernetes}", `slipway.yaml: infra.state.namespace ""`, "is not a valid name"},
		"hostile namespace": {"state: {type: kubernetes, namespace: ../a}", `slipway.yaml: infra.state.namespace "../a"`, "is not a valid name"},
		"username":          {"username: ci\n  state: {type: kubernetes, namespace: a}", `slipway.yaml: infra.username "ci"`, "is for an http state only"},
		"account":           {"state: {type: azurerm, resourceGroup: a, storageAccount: A-b, container: states}", `slipway.yaml: infra.state.storageAccount "A-b"`, "is not a valid name"},
		"group":             {"state: {type: azurerm, storageAccount: acme, container: states}", `slipway.yaml: infra.state.resourceGroup ""`, "is not a valid name"},
		"container":         {"state: {type: azurerm, resourceGroup: a, storageAccount: acme, container: a}", `slipway.yaml: infra.state.container "a"`, "is not a valid name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Parse([]byte(strings.Replace(shipped(t), shippedState, c.state, 1)))
			f, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, c.input, f.Input)
			reason := c.reason
			for n := range 3 {
				reason = strings.Replace(reason, fmt.Sprintf("@%d", n), strconv.Itoa(line+n), 1)
			}
			assert.Contains(t, f.Reason, reason)
			assert.NotEmpty(t, f.Mend)
		})
	}
	text := strings.Replace(shipped(t), shippedState, "state: {type: kubernetes, namespace: a}", 1)
	_, err := config.Parse([]byte(strings.Replace(text, "  staging: {}", "  2: {}", 1)))
	f, ok := step.AsFault(err)
	require.True(t, ok, "want a fault, got %v", err)
	assert.Equal(t, `slipway.yaml: infra.state of 2: secret suffix "builtin-2"`, f.Input)
	assert.Equal(t, "ends in a dash and a number", f.Reason)
}

func TestInfraIsRequiredUnlessSaid(t *testing.T) {
	for text, want := range map[string]bool{"{}": true, "{infra: require}": true, "{infra: ignore}": false} {
		c, err := config.Parse([]byte(strings.Replace(shipped(t), "  production: {}", "  production: "+text, 1)))
		require.NoError(t, err)
		assert.Equal(t, want, c.Environments["production"].RequiresInfra(), text)
		assert.True(t, c.Environments["staging"].RequiresInfra())
	}
	_, err := config.Parse([]byte(strings.Replace(shipped(t), "  production: {}", "  production: {infra: never}", 1)))
	f, ok := step.AsFault(err)
	require.True(t, ok, "want a fault, got %v", err)
	assert.Equal(t, `slipway.yaml: environments.production.infra "never"`, f.Input)
	assert.Equal(t, "is neither require nor ignore", f.Reason)
}

func TestInfraOfTheClusterIsReadAsStrictly(t *testing.T) {
	const shippedCluster = "    state: {type: kubernetes, namespace: slipway-system}"
	text := shipped(t)
	require.Contains(t, text, shippedCluster)
	c, err := config.Parse([]byte(text))
	require.NoError(t, err)
	require.NotNil(t, c.Infra.Cluster)
	assert.Equal(t, "local", c.Infra.Cluster.Code)
	assert.True(t, c.Infra.Cluster.InCluster())
	assert.False(t, c.Infra.InCluster())
	for name, c := range map[string]struct{ state, input, reason string }{
		"another key": {shippedCluster + "\n    cluster: {}", "slipway.yaml", `infra.cluster has no key "cluster"`},
		"no state":    {"", `slipway.yaml: infra.cluster.state ""`, "is not an http(s) URL"},
		"a type":      {"    state: {type: s3}", "slipway.yaml", `infra.cluster.state.type "s3" is neither`},
		"namespace":   {"    state: {type: kubernetes}", `slipway.yaml: infra.cluster.state.namespace ""`, "is not a valid name"},
		"code":        {shippedCluster + "\n    code: ../x", "slipway.yaml", "infra.cluster has code twice"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Parse([]byte(strings.Replace(text, shippedCluster, c.state, 1)))
			f, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %v", err)
			assert.Equal(t, c.input, f.Input)
			assert.Contains(t, f.Reason, c.reason)
		})
	}
}

func TestWhatTerraformCodeMayUse(t *testing.T) {
	const azurerm = "registry.terraform.io/hashicorp/azurerm"
	parse := func(allow string) (*config.Config, error) {
		return config.Parse([]byte(strings.Replace(shipped(t), shippedState, shippedState+allow, 1)))
	}
	allowed := func(i config.Infra) string {
		text, err := i.Allowed()
		require.NoError(t, err)
		return text
	}
	c, err := parse("")
	require.NoError(t, err)
	standard := `{"providers": {"registry.terraform.io/gavinbunney/kubectl": [], "` + azurerm + `": ["features", "resource_provider_registrations", "storage_use_azuread"]}, "data": [], "provisioners": []}`
	assert.JSONEq(t, standard, allowed(c.Infra))
	assert.JSONEq(t, standard, allowed(*c.Infra.Cluster))

	c, err = parse("\n  allow: {providers: {" + azurerm + ": [features]}, data: [azurerm_client_config], provisioners: [file]}")
	require.NoError(t, err)
	own := `{"providers": {"` + azurerm + `": ["features"]}, "data": ["azurerm_client_config"], "provisioners": ["file"]}`
	assert.JSONEq(t, own, allowed(c.Infra), "and nothing of what is allowed by default")
	assert.JSONEq(t, own, allowed(*c.Infra.Cluster), "for the code of the cluster, too")
	c, err = parse("\n  allow: {}")
	require.NoError(t, err)
	assert.JSONEq(t, `{"providers": null, "data": null, "provisioners": null}`, allowed(c.Infra), "nothing")

	for text, reason := range map[string]string{
		"[]":                                   "infra.allow is not a mapping",
		"":                                     "infra.allow is not a mapping",
		"{modules: []}":                        `infra.allow has no key "modules", only providers, data and provisioners`,
		"{data: [], data: []}":                 "infra.allow has data twice",
		"{data: external}":                     "infra.allow.data is not a list",
		"{data: ['azurerm_*']}":                `infra.allow.data "azurerm_*" is not a name; each is written out`,
		"{data: [5]}":                          "infra.allow.data is not a string",
		"{data: [a, terraform_remote_state]}":  "infra.allow.data can't have terraform_remote_state: no environment reads another one's state",
		"{provisioners: [a b]}":                `infra.allow.provisioners "a b" is not a name`,
		"{providers: [a]}":                     "infra.allow.providers is not a mapping",
		"{providers: {hashicorp/azurerm: []}}": `infra.allow.providers "hashicorp/azurerm" is not a provider's full address`,
		"{providers: {'x.example/*/*': []}}":   `infra.allow.providers "x.example/*/*" is not a provider's full address`,
		"{providers: {" + azurerm + ": features}}": "infra.allow.providers." + azurerm + " is not a list",
		"{providers: {" + azurerm + ": ['*']}}":    "infra.allow.providers." + azurerm + ` "*" is not a name`,
	} {
		_, err := parse("\n  allow: " + text)
		f, ok := step.AsFault(err)
		require.True(t, ok, "%s: %v", text, err)
		assert.Equal(t, step.KindInput, f.Kind)
		assert.Contains(t, f.Reason, reason, text)
	}
	_, err = config.Parse([]byte(strings.Replace(shipped(t), "    code: local", "    code: local\n    allow: {}", 1)))
	assert.ErrorContains(t, err, `infra.cluster has no key "allow"`)
}

func TestHowLongALockIsWaitedFor(t *testing.T) {
	const line = "lockTimeout: 30s"
	text := shipped(t)
	require.Contains(t, text, line)
	for value, want := range map[string]time.Duration{"10m": 10 * time.Minute, "1h": time.Hour, "1s": time.Second} {
		c, err := config.Parse([]byte(strings.Replace(text, line, "lockTimeout: "+value, 1)))
		require.NoError(t, err)
		assert.Equal(t, want, c.Infra.LockTimeout)
	}
	c, err := config.Parse([]byte(strings.Replace(text, line, "", 1)))
	require.NoError(t, err)
	assert.Zero(t, c.Infra.LockTimeout)
	for _, value := range []string{"0s", "-1m", "61m", "1.5s", "30", "soon", `""`, "[1s]", "5"} {
		_, err := config.Parse([]byte(strings.Replace(text, line, "lockTimeout: "+value, 1)))
		f, ok := step.AsFault(err)
		require.True(t, ok, "%s: %v", value, err)
		assert.Equal(t, step.KindInput, f.Kind)
		assert.Contains(t, f.Reason, "infra.lockTimeout")
	}
}
