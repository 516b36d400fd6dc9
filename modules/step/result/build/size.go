package build

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes, written as a whole number with or without KiB, MiB or
// GiB behind it.
type Size int64

var units = []struct {
	name string
	size Size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

// Set reads a size. It is of flag.Value.
func (s *Size) Set(text string) error {
	for _, unit := range units {
		digits, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 40)
		if err != nil || n > (1<<62)/uint64(unit.size) {
			break
		}
		*s = Size(n) * unit.size
		return nil
	}
	return fmt.Errorf("%q is not a size such as 512MiB", text)
}

// String writes a size as Set reads it.
func (s *Size) String() string {
	for _, unit := range units {
		if *s >= unit.size && *s%unit.size == 0 {
			return strconv.FormatInt(int64(*s/unit.size), 10) + unit.name
		}
	}
	return strconv.FormatInt(int64(*s), 10)
}
