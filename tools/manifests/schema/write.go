package schema

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// width is how long a line may be before its value is broken up.
const width = 100

// encode writes a schema so that a change shows as few lines: keys in order, and
// on one line what fits on one.
func encode(schema object) ([]byte, error) {
	var out bytes.Buffer
	if err := layOut(&out, schema, 0); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func layOut(out *bytes.Buffer, value any, depth int) error {
	line, err := json.Marshal(value)
	if err != nil {
		return err
	}
	fields, ok := value.(object)
	if !ok || depth > 0 && len(line) <= width {
		out.Write(line)
		return nil
	}
	out.WriteByte('{')
	for i, key := range slices.Sorted(maps.Keys(fields)) {
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := json.Marshal(key)
		if err != nil {
			return err
		}
		out.WriteString("\n" + strings.Repeat(" ", depth+1))
		out.Write(name)
		out.WriteByte(':')
		if err := layOut(out, fields[key], depth+1); err != nil {
			return err
		}
	}
	out.WriteString("\n" + strings.Repeat(" ", depth) + "}")
	return nil
}
