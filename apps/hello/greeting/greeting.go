// Package greeting knows how to say hello in a few languages.
package greeting

import "golang.org/x/text/language"

// greetings is one greeting for each language; the first is what is said to
// everyone else.
var greetings = []struct {
	tag  language.Tag
	text string
}{
	{language.English, "Hello"},
	{language.German, "Hallo"},
	{language.French, "Bonjour"},
	{language.Spanish, "Hola"},
	{language.Italian, "Ciao"},
	{language.Japanese, "こんにちは"},
}

var matcher = func() language.Matcher {
	tags := make([]language.Tag, len(greetings))
	for i, g := range greetings {
		tags[i] = g.tag
	}
	return language.NewMatcher(tags)
}()

// For returns the greeting that fits an Accept-Language header best (RFC 9110,
// section 12.5.4), and its language. English is the answer to a header that is
// empty, can't be parsed or names no known language.
func For(acceptLanguage string) (text string, tag language.Tag) {
	wanted, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil {
		wanted = nil
	}
	_, i, _ := matcher.Match(wanted...)
	return greetings[i].text, greetings[i].tag
}
