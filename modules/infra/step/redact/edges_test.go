package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDecimal(t *testing.T) {
	for text, want := range map[string]string{
		"4711": "4711", "4711.0": "4711", "4.711e3": "4711", "+1.50": "1.5", "-0.25": "-0.25", "1E2": "100", "1e999": "1" + strings.Repeat("0", 999),
		"1e9999": "", "1e-9999": "", "0x10": "", "1_000": "", "Inf": "", "": "", "e": "", "1e": "", "..": "", "12 ": "", "1.2.3": "",
		strings.Repeat("1", 40): strings.Repeat("1", 40), strings.Repeat("1", 41): "",
	} {
		assert.Equal(t, want, decimal(text), text)
	}
}

func TestEachOfSeveralIsSecret(t *testing.T) {
	var none *Secrets
	assert.False(t, none.Holds("x"))
	var s Secrets
	s.Add([]any{"first-secret", map[string]any{"a": "second-secret", "b": []any{"third-secret", json.Number("4.711e3")}}, "fourth-secret"})
	for _, text := range []string{"first-secret", "second-secret", "third-secret", "fourth-secret", "4711", "4711.00"} {
		assert.True(t, s.Holds(text), text)
	}
	assert.Equal(t, []any{"a", Value, []any{Value, "b"}, map[string]any{"c": Value}, nil}, s.JSON([]any{"a", "first-secret", []any{"second-secret", "b"}, map[string]any{"c": "4711"}, nil}))
	assert.Equal(t, "(sensitive) and (sensitive)", s.Text("first-secret and fourth-secret"))
	s.Add("first-secret-and-more")
	assert.Equal(t, "(sensitive), (sensitive)", s.Text("first-secret-and-more, first-secret"), "the longest first")
}

// From which length on a secret is looked for in a text, and how.
func TestShortSecrets(t *testing.T) {
	for secret, c := range map[string]struct{ word, part bool }{
		"abc": {}, "4711": {word: true}, "abcde": {word: true}, "abcdef": {word: true, part: true}, `a"b'cd`: {word: true, part: true},
	} {
		var s Secrets
		s.Add(secret)
		assert.True(t, s.Holds(secret), secret)
		for text, told := range map[string]bool{"is " + secret + ".": c.word, secret + ",": c.word, "(" + secret: c.word, "x" + secret: c.part, secret + "x": c.part, "0" + secret + "9": c.part} {
			assert.Equal(t, told, s.Holds(text), "%q in %q", secret, text)
			if told {
				assert.Equal(t, strings.Replace(text, secret, Value, 1), s.Text(text), text)
			} else {
				assert.Equal(t, text, s.Text(text))
			}
		}
	}
	var s Secrets
	s.Add("password: abcdef\nother: abcde\n")
	assert.True(t, s.Holds("it is xabcdefx"), "a part of six")
	assert.False(t, s.Holds("it is abcdx"))
}

func TestCut(t *testing.T) {
	for text, want := range map[string]string{
		"4711": "#", "x 4711": "x #", "4711 x": "# x", "4711 4711": "# #", "4711,x4711,4711x,4711": "#,x4711,4711x,#", "47114711": "4711#", "": "", "471": "471",
	} {
		assert.Equal(t, strings.ReplaceAll(want, "#", Value), cut(text, "4711"), text)
	}
	for _, c := range []string{"0", "9", "5", "A", "M", "Z", "a", "m", "z", "ä", "\x80"} {
		assert.Equal(t, c+"4711", cut(c+"4711", "4711"), c)
		assert.Equal(t, "4711"+c, cut("4711"+c, "4711"), c)
	}
	for _, c := range []string{"/", ":", "@", "[", "`", "{", " ", "_", "\x7f", "-"} {
		assert.Equal(t, c+Value+c, cut(c+"4711"+c, "4711"), c)
	}
}

func TestUnescape(t *testing.T) {
	for text, want := range map[string]string{
		`a\nb`: "a\nb", `\t`: "\t", `\r`: "\r", `\b`: "\b", `\f`: "\f", `\v`: "\v", `\a`: "\a", `\0`: "\x00", `\q\\\"\/`: `q\"/`, `\`: `\`, "plain": "plain",
		`\x41\x42`: "AB", `\101\102c`: "ABc", `\u00e9x`: "éx", `\U0001f511`: "🔑", `\ud83d\udd11!`: "🔑!", `\ud83d`: "", `\ud83dx\u0041`: "\uFFFDxA", `a\ud83d\u0041`: "aA",
		`\u12`: "u12", `\xzz`: "xzz", `\U12`: "U12", `\9`: "9",
	} {
		assert.Equal(t, want, unescape(text), text)
	}
}

const inner = "correct-horse-battery"

func wrapped(times int) string {
	text := inner
	for range times {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	return text
}

// A text is read again three times, and wherever in it something begins.
func TestASecretIsReadWhereverItBegins(t *testing.T) {
	var s Secrets
	s.Add(inner)
	for times, told := range map[int]bool{0: true, 1: true, 2: true, 3: true, 4: false} {
		assert.Equal(t, told, s.Holds(wrapped(times)), times)
	}
	other, encoded, hexed := base64.StdEncoding.EncodeToString([]byte("nothing of interest")), wrapped(1), hex.EncodeToString([]byte(inner))
	for _, text := range []string{
		other + " " + encoded, encoded + " " + other, encoded + "x", "x" + encoded, "xy" + encoded, "xyz" + encoded, encoded + "xy",
		"00112233445566 " + hexed, hexed + " 00112233445566", "f" + hexed, "zz " + "f" + hexed + "f", strings.ToUpper(hexed),
		other[:9] + "\n" + other[9:] + " " + encoded[:9] + "\n" + encoded[9:],
		base64.StdEncoding.EncodeToString([]byte("\x00\x01" + inner + "\x7f\x02")), base64.StdEncoding.EncodeToString([]byte("\xff\xfe\x01a\r\n" + inner + "\tb\x00")),
	} {
		assert.True(t, s.Holds(text), text)
	}
	s = Secrets{}
	s.Add("4711")
	for _, text := range []string{"\x00\x014711\x02\x03", "\x7f4711\x7f\x01", "abc\x004711\x00"} {
		assert.True(t, s.Holds(base64.StdEncoding.EncodeToString([]byte(text))), "%q", text)
	}
	assert.False(t, s.Holds(base64.StdEncoding.EncodeToString([]byte("\x00471\x02\x03\x04"))))
}

func TestEachPartOfASecret(t *testing.T) {
	const more = "-and-another-one"
	std := base64.StdEncoding.EncodeToString
	block := func(text string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte(text)}))
	}
	for name, c := range map[string]struct {
		whole string
		parts []string
	}{
		"a user alone":       {"https://" + inner + "@example.org/x", []string{inner}},
		"a password":         {"https://user:" + inner + "@example.org/x", []string{inner}},
		"two of a query":     {"https://example.org/x?a=" + inner + "&b=" + inner + more + "&b=third" + more, []string{inner, inner + more, "third" + more}},
		"a long path":        {"https://hooks.example.org/abcdefghijklmno/", []string{"abcdefghijklmno"}},
		"a map of numbers":   {"{1: " + inner + ", 2: 12345678}", []string{inner, "12345678"}},
		"a list":             {"[a, [b, " + inner + "], {c: " + inner + more + "}]", []string{inner, inner + more}},
		"other numbers":      {"{a: 1234567.5, b: 18446744073709551615}", []string{"1.2345675e+06", "18446744073709551615"}},
		"two assignments":    {"a=" + inner + ";b='" + inner + more + "'", []string{inner, inner + more}},
		"two keys":           {block("one") + block(inner) + block("three"), []string{std([]byte("one")), std([]byte(inner)), std([]byte("three"))}},
		"base64":             {std([]byte(inner + "?>~")), []string{inner + "?>~"}},
		"base64 of URLs":     {base64.URLEncoding.EncodeToString([]byte(inner + "?>~~")), []string{inner + "?>~~"}},
		"without its end":    {base64.RawStdEncoding.EncodeToString([]byte(inner + "?>~~")), []string{inner + "?>~~"}},
		"of URLs, without":   {base64.RawURLEncoding.EncodeToString([]byte(inner + "?>~~")), []string{inner + "?>~~"}},
		"lines in base64":    {std([]byte("a\tb\r\n" + inner)), []string{"a\tb\r\n" + inner}},
		"basic auth":         {std([]byte("user:" + inner)), []string{"user:" + inner, inner}},
		"base64, twice":      {std([]byte(std([]byte(inner)))), []string{std([]byte(inner)), inner}},
		"base64 of no text":  {std([]byte("\xff\xfe" + inner)), nil},
		"base64 of controls": {std([]byte("\x01" + inner)), nil},
		"nothing":            {inner, nil},
	} {
		got := within(c.whole, depth)
		for _, part := range c.parts {
			assert.Contains(t, got, part, name)
		}
		if c.parts == nil {
			assert.NotContains(t, strings.Join(got, "\n"), inner, name)
		}
		assert.NotContains(t, got, c.whole, name)
		assert.Empty(t, within(c.whole, 0))
	}
	assert.NotContains(t, within("https://user:p@example.org/abcdefghijklmn", depth), "abcdefghijklmn", "a short path is none")
	assert.NotContains(t, within("https://user:p-word@example.org/", depth), "user", "a name beside its password is none")
}

// The parts of a secret and the spellings that are only just some.
func TestPartsAndSpellingsThatAreJustSome(t *testing.T) {
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for name, c := range map[string]struct{ secret, hidden, shown string }{
		"a password with signs, in base64": {encoded("user:a;b, c&d=e"), "it is a;b, c&d=e", "a;b and c"},
		"base64 with its signs and end":    {encoded("~~~???tango"), "~~~???tango", "tango"},
		"a path of sixteen":                {"https://example.org/tango-oscar-kil", "at tango-oscar-kil", "tango-oscar-ki"},
		"one of fifteen is public":         {"https://example.org/tango-oscar-ki", "https://example.org/tango-oscar-ki", "at tango-oscar-ki"},
		"bytes behind backslashes":         {"Grüße-tango", `Gr\xc3\xbc\xc3\x9fe-tango`, `Gr\xfc\xdfe-tango`},
		"a sign of two halves, twice":      {"😀tango😀oscar", `\ud83d\ude00tango\ud83d\ude00oscar`, `\ud83d tango`},
		"no half of a sign before another": {"tango😀oscar", `\ud83dx tango\ud83d\ude00oscar`, "tango"},
	} {
		s := &Secrets{}
		s.Add(c.secret)
		assert.True(t, s.Holds(c.hidden), name)
		assert.NotContains(t, s.Text(c.hidden), c.hidden, name)
		assert.Equal(t, c.shown, s.Text(c.shown), name)
	}
}
