package config_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/config"
	"slipway/step"
)

const registered = `
apps:
  shop:
    repository: https://git.example/acme/shop
    folder: services/shop
    environments: [dev]
    packaging: helm
`

func TestRegisteredApp(t *testing.T) {
	c, err := config.Parse([]byte(shipped(t) + registered))
	require.NoError(t, err)
	assert.Equal(t, "services/shop", c.Folder("shop"))
	assert.Equal(t, "apps/hello", c.Folder("hello"))
	assert.Equal(t, "https://git.example/acme/shop", c.Origin(c.Image("shop")))
	for _, image := range []string{c.Image("hello"), c.Image("shop2"), "elsewhere.example/shop", ""} {
		assert.Empty(t, c.Origin(image), image)
	}
	whole, err := config.Parse([]byte(shipped(t) + strings.Replace(registered, "    folder: services/shop\n", "", 1)))
	require.NoError(t, err)
	assert.Equal(t, ".", whole.Folder("shop"))

	t.Run("goes to its environments alone", func(t *testing.T) {
		_, err := c.Goes("release", "shop", "dev")
		require.NoError(t, err)
		_, err = c.Goes("release", "shop", "production")
		require.EqualError(t, err, "release: refused by policy: app shop in environment production: is not registered for it\n  mend: release it to dev, or add the environment to apps.shop.environments in slipway.yaml")
		f, _ := step.AsFault(err)
		assert.Equal(t, step.KindPolicy, f.Kind)
		_, err = c.Goes("release", "shop", "moon")
		require.ErrorContains(t, err, `environment "moon": is not configured`)
		_, err = c.Goes("release", "hello", "production")
		require.NoError(t, err, "an app of the platform's own is bound by none")
	})
	t.Run("its packaging is the platform's to say", func(t *testing.T) {
		const text = "name: shop\nbuild: {kind: go, package: .}\nport: 80\n"
		a, err := c.App("shop", []byte(text))
		require.NoError(t, err)
		assert.Equal(t, config.PackagingHelm, a.Packaging)
		_, err = c.App("shop", []byte(text+"packaging: kustomize\n"))
		require.ErrorContains(t, err, `services/shop/app.yaml: packaging "kustomize": is not what the platform registers, helm`)
		_, err = c.App("shop", []byte(strings.Replace(text, "80", "0", 1)))
		require.ErrorContains(t, err, "services/shop/app.yaml: port 0")
	})
}

func TestRegistrationIsChecked(t *testing.T) {
	for name, tc := range map[string]struct{ old, new, want string }{
		"its repository has a password": {"https://", "https://me:secret@", `slipway.yaml: apps.shop.repository`},
		"its repository is a path":      {"https://git.example/acme/shop", "../shop", `apps.shop.repository "../shop": is not an http(s) URL without credentials`},
		"there is none":                 {"repository: https://git.example/acme/shop", "repository: ''", `apps.shop.repository "": is not`},
		"its folder climbs":             {"services/shop", "../shop", `apps.shop.folder "../shop": is not a folder inside the repository`},
		"its folder is absolute":        {"services/shop", "/shop", `apps.shop.folder "/shop": is not a folder`},
		"it goes nowhere":               {"[dev]", "[]", "apps.shop.environments: is empty"},
		"it goes to what is unknown":    {"[dev]", "[dev, moon]", `apps.shop.environments "moon": is not configured`},
		"its packaging is unknown":      {"helm", "jsonnet", `apps.shop.packaging "jsonnet": is not a kind of packaging`},
		"its name is none":              {"  shop:", "  Shop_1:", "slipway.yaml: apps"},
		"a key is unknown":              {"folder:", "path:", "field path not found"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Parse([]byte(shipped(t) + strings.Replace(registered, tc.old, tc.new, 1)))
			require.ErrorContains(t, err, tc.want)
			assert.NotContains(t, err.Error(), "secret")
		})
	}
}
