package redact

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"html"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	"golang.org/x/text/unicode/norm"
)

// depth is how often a text is read again: JSON in JSON in base64.
const depth = 3

var (
	escape     = regexp.MustCompile(`\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[0-3][0-7]{2}|.)`)
	percent    = regexp.MustCompile(`%[0-9a-fA-F]{2}`)
	base64Run  = regexp.MustCompile(`[A-Za-z0-9+/_-]{8,}`)
	hexRun     = regexp.MustCompile(`(?:[0-9a-fA-F]{2}[: ]?){6,}[0-9a-fA-F]?`)
	controls   = map[byte]string{'n': "\n", 't': "\t", 'r': "\r", 'b': "\b", 'f': "\f", 'v': "\v", 'a': "\a", '0': "\x00"}
	assignment = regexp.MustCompile(`([^\s=;&:"']+)["']?\s*[=:]\s*("[^"]*"|'[^']*'|[^\s;&,]+)`)
)

// fold is what is left of a text whatever its case, its line breaks and its quotes.
func fold(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("\"'`\\$%^", r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFC.String(text))
}

// readings are a text and what it says when it is read as JSON, a URL, HTML, base64 or
// hexadecimal, wherever in it that begins, and these again, some times.
func readings(text string, times int) []string {
	all := []string{text}
	seen := map[string]bool{text: true}
	for from := 0; times > 0; times-- {
		now := all[from:]
		from = len(all)
		for _, t := range now {
			for _, next := range read(t) {
				if next != "" && !seen[next] {
					seen[next] = true
					all = append(all, next)
				}
			}
		}
	}
	return all
}

func read(text string) []string {
	var all []string
	if strings.ContainsRune(text, '\\') {
		all = append(all, unescape(text))
	}
	if strings.ContainsAny(text, "%+") {
		all = append(all, unpercent(text), unpercent(strings.ReplaceAll(text, "+", " ")))
	}
	if strings.ContainsRune(text, '&') {
		all = append(all, html.UnescapeString(text))
	}
	// Base64 may be broken into lines, and begin anywhere.
	texts := []string{text}
	if strings.ContainsRune(text, '\n') {
		texts = append(texts, strings.Join(strings.Fields(text), ""))
	}
	for _, t := range texts {
		for _, run := range base64Run.FindAllString(t, -1) {
			run = strings.NewReplacer("-", "+", "_", "/").Replace(run)
			for start := range 4 {
				part := run[start:]
				if len(part)%4 == 1 {
					part = part[:len(part)-1]
				}
				if data, err := base64.RawStdEncoding.DecodeString(part); err == nil {
					all = append(all, printables(data)...)
				}
			}
		}
		for _, run := range hexRun.FindAllString(t, -1) {
			run = strings.NewReplacer(":", "", " ", "").Replace(run)
			for start := range 2 {
				part := run[start:]
				if data, err := hex.DecodeString(part[:len(part)&^1]); err == nil {
					all = append(all, printables(data)...)
				}
			}
		}
	}
	return all
}

func unpercent(text string) string {
	return percent.ReplaceAllStringFunc(text, func(s string) string {
		b, _ := hex.DecodeString(s[1:])
		return string(b)
	})
}

// printables are the stretches of readable text in data: in other bytes there is
// nothing to read.
func printables(data []byte) []string {
	var all []string
	// As PowerShell encodes its commands.
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = uint16(data[2*i]) | uint16(data[2*i+1])<<8
	}
	all = append(all, string(utf16.Decode(units)))
	if packed, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
		// As far as it goes: more of it is no text that somebody reads.
		plain, _ := io.ReadAll(io.LimitReader(packed, 1<<20))
		all = append(all, string(plain))
	}
	for _, stretch := range bytes.FieldsFunc(bytes.ToValidUTF8(data, []byte{0}), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0x7f }) {
		if len(stretch) >= minWord {
			all = append(all, string(stretch))
		}
	}
	return all
}

// unescape reads what stands behind backslashes, as JSON, YAML, HCL, Go and shells do.
func unescape(text string) string {
	var b strings.Builder
	var high rune
	last := 0
	for _, at := range escape.FindAllStringIndex(text, -1) {
		if at[0] > last && high != 0 {
			b.WriteRune(high)
			high = 0
		}
		b.WriteString(text[last:at[0]])
		last = at[1]
		code := text[at[0]+1 : at[1]]
		var r rune
		switch {
		case len(code) > 1 && strings.ContainsRune("uUx", rune(code[0])):
			n, _ := strconv.ParseUint(code[1:], 16, 32)
			r = rune(n)
			if code[0] == 'x' {
				b.WriteByte(byte(n))
				continue
			}
		case len(code) == 3:
			n, _ := strconv.ParseUint(code, 8, 8)
			b.WriteByte(byte(n))
			continue
		default:
			if control, ok := controls[code[0]]; ok {
				code = control
			}
			b.WriteString(code)
			continue
		}
		switch {
		case high != 0 && utf16.IsSurrogate(r):
			b.WriteRune(utf16.DecodeRune(high, r))
			high = 0
		case utf16.IsSurrogate(r):
			high = r
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + text[last:]
}

// within are the parts of a secret that are secret by themselves: the leaves of a
// document, the password in a URL or in a connection string, the content of a key.
func within(text string, times int) []string {
	if times == 0 {
		return nil
	}
	var all []string
	add := func(part string) {
		if part != text && part != "" {
			all = append(append(all, part), within(part, times-1)...)
		}
	}
	var document any
	if strings.ContainsAny(text, "{[:\n") && yaml.Unmarshal([]byte(text), &document) == nil {
		leaves(document, add)
	}
	if u, err := url.Parse(text); err == nil && u.Scheme != "" && u.Host != "" {
		if password, ok := u.User.Password(); ok {
			add(password)
		} else if u.User != nil {
			add(u.User.Username())
		}
		for _, values := range u.Query() {
			for _, value := range values {
				add(value)
			}
		}
		if len(u.Path) >= 16 {
			add(strings.Trim(u.Path, "/"))
		}
	} else if strings.ContainsAny(text, "=:") {
		for _, m := range assignment.FindAllStringSubmatch(text, -1) {
			add(strings.Trim(m[2], `"'`))
		}
	}
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		add(base64.StdEncoding.EncodeToString(block.Bytes))
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding, base64.RawStdEncoding, base64.RawURLEncoding} {
		if data, err := encoding.DecodeString(strings.Join(strings.Fields(text), "")); err == nil && utf8.Valid(data) && !bytes.ContainsFunc(data, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\r' }) {
			add(string(data))
			if _, password, ok := strings.Cut(string(data), ":"); ok {
				add(password)
			}
			break
		}
	}
	return all
}

// leaves are a document's texts and numbers.
func leaves(value any, add func(string)) {
	switch v := value.(type) {
	case map[string]any:
		for _, item := range v {
			leaves(item, add)
		}
	case map[any]any:
		for _, item := range v {
			leaves(item, add)
		}
	case []any:
		for _, item := range v {
			leaves(item, add)
		}
	case string:
		add(v)
	case int, int64, uint64, float64:
		add(fmt.Sprint(v))
	}
}
