package greeting_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"slipway/apps/hello/greeting"
)

func TestFor(t *testing.T) {
	for header, want := range map[string]string{
		"":                        "Hello",
		"de":                      "Hallo",
		"de-AT, en;q=0.5":         "Hallo",
		"pt;q=0.1, fr-CA;q=0.9":   "Bonjour",
		"es;q=0.2, it;q=0.8":      "Ciao",
		"ja-JP":                   "こんにちは",
		"tlh":                     "Hello",
		"de;q=not a number, \x00": "Hello",
	} {
		text, tag := greeting.For(header)
		assert.Equal(t, want, text, "%q", header)
		_, again := greeting.For(tag.String())
		assert.Equal(t, tag, again, "%q", header)
	}
}
