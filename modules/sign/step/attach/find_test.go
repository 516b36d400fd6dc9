package attach

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"slipway/step"
)

func TestWhatARegistrySaysIsOneShortLine(t *testing.T) {
	long := strings.Repeat("é", 200)
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"lines":               {errors.New(" a\nb\r\n\tc "), "a b c"},
		"a fault":             {step.Policy("verify", "input", "its\nreason", "mend"), "its reason"},
		"as long as may be":   {errors.New(long), long},
		"longer":              {errors.New(long + "x"), long + "…"},
		"cut in a character":  {errors.New("x" + long), "x" + strings.Repeat("é", 199) + "…"},
		"long, with a reason": {step.Policy("verify", "input", long+"é", "mend"), long + "…"},
	} {
		assert.Equal(t, c.want, oneLine(c.err), name)
	}
	assert.Equal(t, `"a\n"`, quote("a\n"))
	assert.Equal(t, `"`+long[:200]+`"`, quote(long[:200]))
	assert.Equal(t, `"`+strings.Repeat("x", 200)+`"… (201 bytes)`, quote(strings.Repeat("x", 201)))
}
