package npm

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step/steptest"
)

// FuzzParse asserts that whatever a lock file says, nothing but the registry is asked,
// for plain paths below its own, and that each package is pinned.
func FuzzParse(f *testing.F) {
	registry, err := url.Parse("https://registry.example/npm/")
	require.NoError(f, err)
	for _, entry := range []string{
		`"":{},"node_modules/a":{"version":"1.0.0","resolved":"https://elsewhere.invalid/a/-/a-1.0.0.tgz","integrity":"` + integrity("a") + `"}`,
		`"node_modules/@s/a":{"version":"1.0.0","integrity":"` + integrity("a") + `"}`,
		`"node_modules/a":{"version":"1.0.0","resolved":"https://registry.example/npm/%61","integrity":"` + integrity("a") + `"}`,
		`"node_modules/a":{"version":"1.0.0","resolved":"https://registry.example/npm/../x","integrity":"` + integrity("a") + `"}`,
		`"node_modules/../a":{"version":"1.0.0","optional":true,"os":"linux","cpu":["x64"],"link":true,"inBundle":false}`,
		`"node_modules/a":{"resolved":"file:../a"}`,
	} {
		f.Add(`{"lockfileVersion":3,"packages":{` + entry + `}}`)
	}
	f.Fuzz(func(t *testing.T, content string) {
		pinned, err := parse("package-lock.json", []byte(content), registry, 100)
		if err != nil {
			steptest.Refused(t, err)
			return
		}
		for _, p := range pinned {
			u, err := url.Parse(p.URL)
			require.NoError(t, err)
			assert.Equal(t, "https://registry.example", u.Scheme+"://"+u.Host)
			assert.True(t, strings.HasPrefix(u.Path, "/npm/"), u.Path)
			assert.False(t, slices.Contains(strings.Split(u.Path, "/"), ".."), u.Path)
			assert.Regexp(t, packageName, p.Name)
			assert.NotEmpty(t, p.Sums)
		}
	})
}
