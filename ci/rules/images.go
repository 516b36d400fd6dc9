package rules

import (
	"fmt"
	"slices"
	"strings"

	"slipway/step"
	"slipway/step/result/gitops"
)

// Images decides about the images that an overlay would run with a release. The released
// one passes, and so do those that are allowed by their digest, and one of an app that was
// never released: nothing runs by that digest. Those of the registry's other apps are
// returned, to be verified as the released one is; any other is refused, in a line.
func Images(used []gitops.Used, released step.Reference, registry string, allowed []step.Reference) (verify []gitops.Used, refused []string) {
	for _, u := range used {
		image := step.Reference(u.Image)
		plain := image.Untagged()
		switch own := strings.HasPrefix(plain.Repository(), registry+"/"); {
		case step.Digest("release", "image", image.Digest()) != nil:
			refused = append(refused, Stranger(u, "is not named by its digest"))
		case plain == released, slices.Contains(allowed, plain), own && image.Digest() == gitops.Unreleased:
		case own:
			verify = append(verify, u)
		default:
			refused = append(refused, Stranger(u, "is no app's of this platform"))
		}
	}
	return verify, refused
}

// Stranger says of an image why it may not run, and where it would.
func Stranger(u gitops.Used, reason string) string {
	return fmt.Sprintf("%s: %s: %s %s", u.Object, u.Place, u.Image, reason)
}
