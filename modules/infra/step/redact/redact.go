// Package redact leaves sensitive values out of what is shown and kept: by what they
// are, not by where they stand, and however JSON, URLs, base64, YAML and shells spell
// them.
package redact

import (
	"encoding/json"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Value stands for a sensitive value, LeftOut for a text that holds one in a spelling
// that can't be cut out of it.
const (
	Value   = "(sensitive)"
	LeftOut = "(left out: it holds a sensitive value)"
)

const (
	// minPart is the length, in bytes, from which a secret is looked for anywhere in a
	// text; a shorter one would match by chance.
	minPart = 6
	// minWord is that from which a shorter one is looked for as a word of its own.
	minWord = 4
)

// Secrets are values that nobody may see. The zero value, and nil, have none.
type Secrets struct {
	// Partial says that there are more than these, which nobody can know before
	// Terraform runs.
	Partial bool
	// whole are the values, parts what else gives one away; each with what fold leaves.
	whole, parts map[string]string
}

// Add takes the texts and numbers of a value, as JSON has them.
func (s *Secrets) Add(value any) {
	switch v := value.(type) {
	case map[string]any:
		for _, item := range v {
			s.Add(item)
		}
	case []any:
		for _, item := range v {
			s.Add(item)
		}
	case string, json.Number, float64:
		s.add(leaf(v))
	}
}

func (s *Secrets) add(text string) {
	if s.whole == nil {
		s.whole, s.parts = map[string]string{}, map[string]string{}
	}
	if _, known := s.whole[text]; known || text == "" {
		return
	}
	s.whole[text] = fold(text)
	if number := decimal(text); number != "" {
		s.whole[number] = fold(number)
	}
	for _, part := range within(text, depth) {
		// What is too short to be told from other text is no secret of its own.
		if bare := fold(part); len(bare) >= minPart {
			s.parts[part] = bare
		}
	}
}

func leaf(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return ""
	}
}

// decimal is a number in one spelling; empty for anything else.
func decimal(text string) string {
	if len(text) > 40 || strings.Trim(text, "+-.0123456789eE") != "" {
		return ""
	}
	if at := strings.IndexAny(text, "eE"); at >= 0 && len(text)-at > 4 {
		return ""
	}
	number, _, err := big.ParseFloat(text, 10, 256, big.ToNearestEven)
	if err != nil {
		return ""
	}
	return number.Text('f', -1)
}

// Holds reports whether a text is, or tells, a secret.
func (s *Secrets) Holds(text string) bool {
	if s == nil || len(s.whole)+len(s.parts) == 0 || text == "" {
		return false
	}
	if number := decimal(text); number != "" {
		if _, is := s.whole[number]; is {
			return true
		}
	}
	for _, reading := range readings(text, depth) {
		if _, is := s.whole[reading]; is {
			return true
		}
		folded := fold(reading)
		tells := func(secret, bare string) bool {
			return len(bare) >= minPart && strings.Contains(folded, bare) || len(secret) >= minPart && strings.Contains(reading, secret)
		}
		for secret, bare := range s.whole {
			if tells(secret, bare) || len(secret) >= minWord && len(secret) < minPart && cut(reading, secret) != reading {
				return true
			}
		}
		for secret, bare := range s.parts {
			if tells(secret, bare) {
				return true
			}
		}
	}
	return false
}

// Text is a text for people without the secrets in it.
func (s *Secrets) Text(text string) string {
	if !s.Holds(text) {
		return text
	}
	// The longest first: one may be a part of another.
	all := slices.SortedFunc(maps.Keys(s.whole), func(a, b string) int { return len(b) - len(a) })
	for _, secret := range slices.Concat(all, slices.Collect(maps.Keys(s.parts))) {
		if len(secret) >= minPart {
			text = strings.ReplaceAll(text, secret, Value)
		} else if len(secret) >= minWord {
			text = cut(text, secret)
		}
	}
	if s.Holds(text) {
		return LeftOut
	}
	return text
}

// cut takes a word out of a text.
func cut(text, word string) string {
	var b strings.Builder
	for {
		at := strings.Index(text, word)
		if at < 0 {
			return b.String() + text
		}
		end := at + len(word)
		b.WriteString(text[:at])
		if at > 0 && letter(text[at-1]) || end < len(text) && letter(text[end]) {
			b.WriteString(word)
		} else {
			b.WriteString(Value)
		}
		text = text[end:]
	}
}

func letter(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= 0x80
}

// JSON is a value, as JSON has it, with each text and number that tells a secret
// replaced; a map with a name that does goes as a whole.
func (s *Secrets) JSON(value any) any {
	switch v := value.(type) {
	case string, json.Number, float64:
		if s.Holds(leaf(v)) {
			return Value
		}
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			if s.Holds(key) {
				return Value
			}
			out[key] = s.JSON(item)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = s.JSON(item)
		}
		return out
	default:
		return value
	}
}
