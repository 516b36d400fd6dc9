package redact

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	"golang.org/x/text/unicode/norm"
)

var key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte(strings.Repeat("k9&Zp<3vQ>", 12))}))

// values are secrets of every sort that a spelling has to escape.
var values = []string{"correct-horse-battery", "k9&Zp<3vQ>x!m7T", `pa"ss\word-1`, "it's $HOME & %41 + 100%", "${a}%{b}+/=?#", "Zürich-π-🔑-Ünï", "two\nlines\tand tab", key, "a'b'c'd'e'f", strings.Repeat("🔑", 4)}

func encodeJSON(s string, safe bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(safe)
	if err := e.Encode(s); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

func wide(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

func packed(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.Bytes()
}

var spellings = map[string]func(string) string{
	"as it is":           func(s string) string { return s },
	"JSON":               func(s string) string { return encodeJSON(s, true) },
	"JSON, not for HTML": func(s string) string { return encodeJSON(s, false) },
	"JSON, ASCII alone":  strconv.QuoteToASCII,
	"JSON in JSON":       func(s string) string { return encodeJSON(`{"a":`+encodeJSON(s, true)+`}`, true) },
	"JSON by UTF-16":     jsonASCII,
	"Go":                 strconv.Quote,
	"YAML": func(s string) string {
		data, _ := yaml.Marshal(map[string]any{"a": map[string]string{"b": s}})
		return string(data)
	},
	"YAML, single quotes": func(s string) string { return "a: '" + strings.ReplaceAll(s, "'", "''") + "'" },
	"HCL": func(s string) string {
		return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(encodeJSON(s, false))
	},
	"a query":           url.QueryEscape,
	"a path":            url.PathEscape,
	"a query, twice":    func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	"small hexadecimal": func(s string) string { return strings.ToLower(url.QueryEscape(s)) },
	"HTML":              html.EscapeString,
	"XML":               func(s string) string { return fmt.Sprintf("&#%d;", []rune(s)[0]) + string([]rune(s)[1:]) },
	"base64":            func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 of URLs":    func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	"basic auth":        func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+s)) },
	"base64, shifted":   func(s string) string { return base64.StdEncoding.EncodeToString([]byte("ab" + s + "yz")) },
	"base64 in lines": func(s string) string {
		text := base64.StdEncoding.EncodeToString([]byte(s))
		return text[:7] + "\n  " + text[7:]
	},
	"base64 twice": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(s))))
	},
	"base64 of JSON":      func(s string) string { return base64.StdEncoding.EncodeToString([]byte(encodeJSON(s, true))) },
	"base64 as a query":   func(s string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))) },
	"base64 of UTF-16":    func(s string) string { return base64.StdEncoding.EncodeToString(wide(s)) },
	"base64gzip":          func(s string) string { return base64.StdEncoding.EncodeToString(packed(s)) },
	"hexadecimal":         func(s string) string { return hex.EncodeToString([]byte(s)) },
	"hexadecimal, pairs":  func(s string) string { return strings.ReplaceAll(fmt.Sprintf("% x", s), " ", ":") },
	"a shell's quotes":    func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" },
	"a shell's backslash": shell,
	"upper case":          strings.ToUpper,
	"an indented block":   func(s string) string { return "a: |\n  " + strings.ReplaceAll(s, "\n", "\n  ") },
	"decomposed":          func(s string) string { return norm.NFD.String(s) },
}

func jsonASCII(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, `\u%04x`, u)
	}
	return b.String()
}

func shell(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 && r != '\n' && !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func TestASecretIsFoundInEverySpelling(t *testing.T) {
	for name, spell := range spellings {
		t.Run(name, func(t *testing.T) {
			for _, value := range values {
				var s Secrets
				s.Add("another-secret")
				assert.False(t, s.Holds(spell(value)), "control: %q", value)
				s.Add(value)
				for _, text := range []string{spell(value), "before " + spell(value) + " behind", `{"a":"` + spell(value) + `"}`} {
					assert.True(t, s.Holds(text), "%q in %q", value, text)
					assert.Equal(t, Value, s.JSON(text))
					assert.NotContains(t, s.Text(text), spell(value))
				}
			}
		})
	}
}

func TestPartsOfASecretAreSecret(t *testing.T) {
	const part = "correct-horse-battery"
	for name, whole := range map[string]string{
		"JSON":                `{"auth":{"password":"` + part + `"},"x":[1]}`,
		"YAML":                "\"auth\":\n  \"password\": \"" + part + "\"\n",
		"YAML in base64":      base64.StdEncoding.EncodeToString([]byte("auth:\n  password: " + part + "\n")),
		"YAML in YAML":        "config: |\n  password: " + part + "\n",
		"a URL":               "https://user:" + part + "@example.org/x",
		"a URL's query":       "https://example.org/x?token=" + part + "&y=z",
		"a connection string": "Server=tcp:x.example,1433;User ID=sa;Password=" + part + ";Encrypt=True",
		"words of libpq":      "host=x password='" + part + "' port=5432",
		"lines":               "USER=x\nPASSWORD=" + part + "\n",
		"of basic auth":       base64.StdEncoding.EncodeToString([]byte("user:" + part)),
	} {
		t.Run(name, func(t *testing.T) {
			var s Secrets
			s.Add(map[string]any{"x": []any{whole}})
			assert.True(t, s.Holds("it is "+part), "%q", s.parts)
			assert.False(t, s.Holds("it is correct"))
			assert.Equal(t, "it is (sensitive).", s.Text("it is "+part+"."))
		})
	}
	var s Secrets
	s.Add(key)
	block, _ := pem.Decode([]byte(key))
	assert.True(t, s.Holds(base64.StdEncoding.EncodeToString(block.Bytes)), "the key without its frame")
}

func TestNumbersAreEqualWhateverTheirSpelling(t *testing.T) {
	var s Secrets
	s.Add(json.Number("4711"))
	s.Add(1234567.5)
	for _, text := range []string{"4711", "4711.0", "4.711e3", "https://u:4711@example", "1.2345675e6"} {
		assert.True(t, s.Holds(text), text)
	}
	for _, text := range []string{"47110", "1e999999999", "4", "", "x47110"} {
		assert.False(t, s.Holds(text), text)
	}
	assert.Equal(t, map[string]any{"a": Value, "b": json.Number("12"), "c": true}, s.JSON(map[string]any{"a": json.Number("4711"), "b": json.Number("12"), "c": true}))
}

func TestWhatHoldsNoSecretIsShown(t *testing.T) {
	var none, s Secrets
	s.Add(map[string]any{"password": "correct-horse", "env": "dev", "port": json.Number("80"), "none": nil, "on": true, "empty": ""})
	for _, text := range []string{"", "the password is wrong", "developer", "8080", "https://example.org/?a=b%20c", "correct horse of another", base64.StdEncoding.EncodeToString([]byte(strings.Repeat("some other text ", 40)))} {
		assert.False(t, none.Holds(text))
		assert.Equal(t, text, none.Text(text))
		assert.False(t, s.Holds(text), text)
		assert.Equal(t, text, s.Text(text))
		assert.Equal(t, text, s.JSON(text))
	}
	assert.True(t, s.Holds("dev"), "as a value of its own")
	assert.Equal(t, Value, s.JSON(map[string]any{"correct-horse": 1}), "a name may be a secret, too")
	assert.Equal(t, LeftOut, s.Text("it is "+hex.EncodeToString([]byte("correct-horse"))))
}

// FuzzSecrets: whatever a secret is, it is left out of what holds it.
func FuzzSecrets(f *testing.F) {
	for _, value := range values {
		f.Add(value, "before ", " behind")
	}
	f.Add("\\u", "\\", "\xff")
	f.Add("%%%%%%%", "%4", "1")
	f.Add("(sensitive)", "", "")
	f.Fuzz(func(t *testing.T, secret, before, behind string) {
		var s Secrets
		s.Add(secret)
		text := before + secret + behind
		if len(secret) < minPart {
			text = secret
		}
		if secret == "" {
			return
		}
		require.True(t, s.Holds(text))
		require.Equal(t, Value, s.JSON(text))
		if shown := s.Text(text); shown != LeftOut && len(secret) >= minPart && strings.Contains(shown, secret) && !strings.Contains(Value, secret) {
			t.Fatalf("%q is left in %q", secret, shown)
		}
	})
}
