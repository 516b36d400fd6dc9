package rules_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"slipway/ci/rules"
	"slipway/step"
	"slipway/step/result/gitops"
)

func TestEveryImageOfAnOverlayIsVouchedFor(t *testing.T) {
	const registry, released = "registry.example.org/apps", step.Reference("registry.example.org/apps/hello@" + digest)
	other := "sha256:" + strings.Repeat("0f", 32)
	used := func(image string) gitops.Used {
		return gitops.Used{Object: "Deployment hello", Place: "spec.template.spec.containers[sidecar].image", Image: image}
	}
	const at = "Deployment hello: spec.template.spec.containers[sidecar].image: "
	for name, c := range map[string]struct {
		image   string
		verify  bool
		refused string
	}{
		"the released one":            {image: released.String()},
		"the released one, tagged":    {image: registry + "/hello:v1@" + digest},
		"allowed":                     {image: "docker.io/library/redis@" + other},
		"allowed, tagged":             {image: "docker.io/library/redis:8@" + other},
		"never released":              {image: registry + "/other@" + gitops.Unreleased},
		"another app's":               {image: registry + "/other@" + other, verify: true},
		"another release of the app":  {image: registry + "/hello@" + other, verify: true},
		"another digest than allowed": {image: "docker.io/library/redis@" + digest, refused: "is no app's of this platform"},
		"another name than allowed":   {image: "docker.io/evil/redis@" + other, refused: "is no app's of this platform"},
		"of another registry":         {image: "evil.example.org/apps/hello@" + digest, refused: "is no app's of this platform"},
		"of a longer name":            {image: "registry.example.org/apps-evil/hello@" + digest, refused: "is no app's of this platform"},
		"never released, elsewhere":   {image: "evil.example.org/hello@" + gitops.Unreleased, refused: "is no app's of this platform"},
		"by a tag":                    {image: registry + "/hello:latest", refused: "is not named by its digest"},
		"by nothing":                  {image: registry + "/hello", refused: "is not named by its digest"},
		"by a short digest":           {image: registry + "/hello@sha256:00", refused: "is not named by its digest"},
		"by two digests":              {image: registry + "/hello@" + digest + "@" + digest, refused: "is not named by its digest"},
		"empty":                       {image: "", refused: "is not named by its digest"},
	} {
		t.Run(name, func(t *testing.T) {
			// The bad one is the second.
			verify, refused := rules.Images([]gitops.Used{used(released.String()), used(c.image)}, released, registry, []step.Reference{step.Refer("a/b", digest), step.Refer("docker.io/library/redis", other)})
			var wantVerify []gitops.Used
			var wantRefused []string
			if c.verify {
				wantVerify = []gitops.Used{used(c.image)}
			}
			if c.refused != "" {
				wantRefused = []string{at + c.image + " " + c.refused}
			}
			assert.Equal(t, wantVerify, verify)
			assert.Equal(t, wantRefused, refused)
		})
	}
}
