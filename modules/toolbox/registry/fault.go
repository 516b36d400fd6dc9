package registry

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"slipway/registry/verify"
	"slipway/step"
)

// The causes of faults that a caller decides by.
var (
	// ErrContent means that bytes are not what their digest or media type says.
	ErrContent = errors.New("content is not what it is said to be")
	// ErrNotFound means that the registry answered and has no such content.
	ErrNotFound = errors.New("is not in the registry")
	// ErrTooLarge means that an answer is longer than any that is expected.
	ErrTooLarge = errors.New("answer is too large")
)

// passing tells a failure that may pass (no answer, a cut connection, 408, 429, 5xx)
// from an answer that will stay.
func passing(err error) bool {
	var plain *plainHTTPError
	var mismatch *verify.Mismatch
	var mistyped *mistypedError
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &plain) || errors.As(err, &mismatch) || errors.As(err, &mistyped) || errors.As(err, &certificate) || errors.Is(err, ErrTooLarge) {
		return false
	}
	if _, refused := step.AsFault(err); refused {
		return false
	}
	if code := status(err); code != 0 {
		return code >= 500 || code == http.StatusRequestTimeout || code == http.StatusTooManyRequests
	}
	return true
}

// status is the registry's answer that err is; zero is none.
func status(err error) int {
	var answer *transport.Error
	if errors.As(err, &answer) {
		return answer.StatusCode
	}
	return 0
}

// fault says what a registry's refusal or silence means, and who has to act: the one
// table of it.
func (c *Client) fault(what asked, tries int, after time.Duration, err error) *step.Fault {
	// Who could not sign in, or may not push, has been told why.
	if refused, ok := step.AsFault(err); ok {
		return refused
	}
	registry := "registry " + c.repo.RegistryStr()
	doing := what.verb + " " + what.of
	var mismatch *verify.Mismatch
	var mistyped *mistypedError
	var plain *plainHTTPError
	var certificate *tls.CertificateVerificationError
	code := status(err)
	switch denied := code == http.StatusUnauthorized || code == http.StatusForbidden; {
	case errors.As(err, &mismatch):
		return step.Policy(c.access.Stage, what.of, "the registry serves other bytes: "+mismatch.Error(),
			"don't use it: restore the registry's content or publish it again, and find out who can write to it").Because(errors.Join(ErrContent, err))
	case errors.As(err, &mistyped):
		return step.Policy(c.access.Stage, what.of, mistyped.Error(), "publish it again, by a client that names one type").Because(errors.Join(ErrContent, err))
	case errors.Is(err, ErrTooLarge):
		return step.Policy(c.access.Stage, what.of, brief(err), "find out what it holds, and delete in the registry what nobody needs").Because(err)
	case errors.Is(err, ErrNotFound) && what.part:
		return step.Policy(c.access.Stage, what.of, ErrNotFound.Error(), "publish what names it again").Because(err)
	case errors.Is(err, ErrNotFound):
		return step.Input(c.access.Stage, what.of, ErrNotFound.Error(), "publish it first, or give the name of what is there").Because(err)
	case denied && c.access.Azure != nil:
		return c.access.Azure.Denied("repository "+c.repo.Name(), err)
	case denied:
		return step.Input(c.access.Stage, registry, fmt.Sprintf("%s: credentials refused with status %d", doing, code),
			"give a user name and a password or token with access to "+c.repo.Name()).Because(err)
	case errors.As(err, &plain):
		return step.Input(c.access.Stage, registry, doing+": "+brief(err), "serve it over HTTPS, and see that it answers").Because(err)
	case errors.As(err, &certificate):
		return step.Infrastructure(c.access.Stage, registry, doing+": "+brief(err), "give the registry a certificate of its name by a public authority").Because(err)
	case after > patience && passing(err):
		return step.Infrastructure(c.access.Stage, registry, fmt.Sprintf("%s: wants to be left alone for %s (status %d)", doing, after, code),
			"run the stage again after that time").Because(err)
	case !passing(err):
		return step.Infrastructure(c.access.Stage, registry, doing+" failed: "+brief(err),
			"see the registry's log, and whether it has the OCI distribution API: it will answer the same again").Because(err)
	default:
		return step.Infrastructure(c.access.Stage, registry, fmt.Sprintf("%s failed, %d of %d tries made: %s", doing, tries, Tries, brief(err)),
			"see that the registry answers, then run the stage again").Because(err)
	}
}

// brief is an error on one line of bearable length: parts of it come from the
// registry.
func brief(err error) string {
	const most = 300
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
