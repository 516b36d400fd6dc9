package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/config"
	"slipway/step"
)

const asking = "name: shop\nbuild: {kind: dockerfile, network: [HOSTS]}\ntest: {target: test, network: [HOSTS]}\nport: 80\n"

func TestAnAppAsksForHosts(t *testing.T) {
	app, err := new(config.Config).App("shop", []byte(strings.ReplaceAll(asking, "HOSTS", `packages.example.org:443, "192.0.2.1:8080", "[2001:db8::1]:80"`)))
	require.NoError(t, err)
	assert.Equal(t, config.Hosts{"packages.example.org:443", "192.0.2.1:8080", "[2001:db8::1]:80"}, app.Build.Network)
	assert.Equal(t, app.Build.Network, app.Test.Network)
}

func TestWhatIsNoHost(t *testing.T) {
	for _, host := range []string{
		"", "example.org", "example.org:", ":443", "example.org:0", "example.org:65536", "example.org:0443", "example.org:+443", "example.org:https",
		"*.example.org:443", "*:443", "example.org:*", "Example.org:443", "example.org.:443", ".example.org:443", "a..b:443", "-a.org:443", "a_b.org:443",
		"https://example.org:443", "example.org:443/x", "user@example.org:443", "10.0.0.0/8:443", "127.1:80", "2130706433:80", "0x7f.1:80", "0177.0.0.1:80",
		"[::ffff:10.0.0.1]:80", "[fe80::1%eth0]:80", "[2001:DB8::1]:80", "[2001:db8:0::1]:80", "2001:db8::1:80", "localhost:80", "a.localhost:80",
		"exämple.org:443", "example.org:443\\n", "exam ple.org:443", strings.Repeat("a", 64) + ".org:443", strings.Repeat("a.", 130) + "org:443",
	} {
		for at, text := range map[string]string{
			"build.network": strings.Replace(strings.Replace(asking, "HOSTS", `"`+host+`"`, 1), "HOSTS", "", 1),
			"test.network":  strings.Replace(strings.Replace(asking, "HOSTS", "", 1), "HOSTS", `"`+host+`"`, 1),
		} {
			_, err := new(config.Config).App("shop", []byte(text))
			fault, ok := step.AsFault(err)
			require.True(t, ok, "%q: %v", host, err)
			assert.Equal(t, step.KindInput, fault.Kind)
			assert.Contains(t, fault.Input, "apps/shop/app.yaml: "+at)
			assert.NotEmpty(t, fault.Mend)
		}
	}
	_, err := new(config.Config).App("shop", []byte(strings.ReplaceAll(asking, "HOSTS", "a.org:1, a.org:1")))
	assert.ErrorContains(t, err, "is named twice")
}

func TestANetworkForNothing(t *testing.T) {
	_, err := new(config.Config).App("shop", []byte("name: shop\nbuild: {kind: go, package: ., network: [a.org:1]}\nport: 80\n"))
	assert.ErrorContains(t, err, "compiling Go has no use for a network")
	_, err = new(config.Config).App("shop", []byte("name: shop\nbuild: {kind: dockerfile}\ntest: {network: [a.org:1]}\nport: 80\n"))
	assert.ErrorContains(t, err, "is for tests, and the app has none")
	_, err = new(config.Config).App("shop", []byte("name: shop\nbuild: {kind: go, package: .}\ntest: {network: [a.org:1]}\nport: 80\n"))
	assert.NoError(t, err)
}

func TestHeld(t *testing.T) {
	limits, err := config.Limits{}.Lowered("x", config.Limits{})
	require.NoError(t, err)
	for kind, user := range map[config.Kind]string{config.KindGo: "65532", config.KindDockerfile: "as the Dockerfile says"} {
		app := config.App{Build: config.Build{Kind: kind}}
		for _, hosts := range []config.Hosts{nil, {"a.org:443"}} {
			held := app.Held(hosts, limits)
			assert.Empty(t, held.Incomplete())
			assert.Equal(t, user, held.User)
			assert.Len(t, held.Network, len(hosts))
			assert.Equal(t, map[string]string{"time": "20m0s", "memory": "4GiB", "processes": "1024", "output": "64MiB", "disk": "10GiB"}, held.Limits)
		}
	}
}
