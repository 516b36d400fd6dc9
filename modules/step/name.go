package step

import (
	"fmt"
	"regexp"
)

// MaxName is the longest app, environment or tag name: a DNS label's length
// (RFC 1123), since names become Kubernetes object names and host names.
const MaxName = 63

var (
	namePattern   = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]*[a-z0-9])?\z`)
	digestPattern = regexp.MustCompile(`\Asha256:[0-9a-f]{64}\z`)
)

// Name checks that value can be an app or environment name: a DNS label of RFC
// 1123. Nothing that passes can be a path, an option or a shell word. what
// says which name it is, in the error.
func Name(stage, what, value string) error {
	if len(value) > MaxName || !namePattern.MatchString(value) {
		return Input(stage, fmt.Sprintf("%s %s", what, quote(value)),
			"is not a valid name",
			fmt.Sprintf("use 1 to %d lower-case letters, digits and dashes, beginning and ending with a letter or digit", MaxName))
	}
	return nil
}

// Digest checks that value is a sha256 digest as the OCI image specification
// writes it.
func Digest(stage, what, value string) error {
	if !digestPattern.MatchString(value) {
		return Input(stage, fmt.Sprintf("%s %s", what, quote(value)),
			"is not a sha256 digest",
			"give sha256: and 64 lower-case hexadecimal digits")
	}
	return nil
}

// quote renders a hostile value harmlessly: escaped, and cut when long.
func quote(value string) string {
	const most = 80
	if len(value) > most {
		return fmt.Sprintf("%q… (%d bytes)", value[:most], len(value))
	}
	return fmt.Sprintf("%q", value)
}
