package dockerfile

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// instructionFlags are the instructions that a Dockerfile may have, and the
// flags of each. What isn't here is refused, whatever BuildKit makes of it.
var instructionFlags = map[string][]string{
	"add":         {"checksum", "chmod", "chown", "link"},
	"arg":         nil,
	"cmd":         nil,
	"copy":        {"chmod", "chown", "from", "link"},
	"entrypoint":  nil,
	"env":         nil,
	"expose":      nil,
	"from":        {"platform"},
	"healthcheck": {"interval", "retries", "start-interval", "start-period", "timeout"},
	"label":       nil,
	"maintainer":  nil,
	"run":         {"mount", "network"},
	"shell":       nil,
	"stopsignal":  nil,
	"user":        nil,
	"volume":      nil,
	"workdir":     nil,
}

// maxMemoryMount is how much a mount that lies in memory may hold.
const maxMemoryMount = 2 << 30

// plain is the value of a flag that means itself: a quote, an escape or a space
// in it would be read a second time.
var plain = regexp.MustCompile(`\A[\w./:@+=,${}-]*\z`)

// literal is plain without a variable. It has no ~, which boxPath counts on.
var literal = regexp.MustCompile(`\A[\w./:@+=-]*\z`)

// refusals are what a file must not have, in the order of its lines.
type refusals struct {
	lines []refusal
}

type refusal struct {
	line       int
	text, mend string
}

func (r *refusals) any() bool { return len(r.lines) > 0 }

// add refuses something; mend is empty where pinning it is the way.
func (r *refusals) add(line int, mend, format string, args ...any) {
	next := refusal{line, fmt.Sprintf(format, args...), mend}
	if !slices.Contains(r.lines, next) {
		r.lines = append(r.lines, next)
	}
}

// allowed refuses an instruction or a flag that isn't on the list.
func allowed(r *refusals, node *parser.Node) {
	name := strings.ToLower(node.Value)
	flags, line := flags(node), node.StartLine
	if name == "onbuild" {
		r.add(line, "write its instruction into the Dockerfile that is to run it", "%s: runs in a later build or stage, where its bases can't be told", strings.TrimSpace(node.Original))
		return
	}
	known, ok := instructionFlags[name]
	if !ok {
		r.add(line, "use the instructions "+strings.ToUpper(strings.Join(instructionNames(), ", ")), "unknown instruction: %s", node.Value)
		return
	}
	for _, f := range flags {
		what := strings.ToUpper(name) + " " + f.word
		switch {
		case !slices.Contains(known, f.name):
			mend := "take it out: " + strings.ToUpper(name) + " has no flags here"
			if len(known) > 0 {
				mend = "take it out: of " + strings.ToUpper(name) + "'s flags, --" + strings.Join(known, ", --") + " may be used"
			}
			r.add(line, mend, "%s: the flag is not allowed", what)
		case !plain.MatchString(f.value):
			r.add(line, "write the value without quotes, spaces and escapes", "%s: can't be read in one way only", what)
		case name == "run" && f.name == "network" && f.value != "none":
			r.add(line, "take the flag out: a RUN has no network but the hosts of build.network in app.yaml, so bring what it needs by COPY, by ADD --checksum=sha256:…, or in the base image", "%s: a build reaches no network", what)
		case name == "run" && f.name == "mount":
			if _, err := mounted(f.value); err != nil {
				r.add(line, err.mend, "%s: %s", what, err.text)
			}
		}
	}
}

func instructionNames() []string {
	var names []string
	for name := range instructionFlags {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// mount is a RUN's mount, its values taken as they are written.
type mount struct {
	kind, from, source, target, id string
	// others are its further fields, to be written again.
	others []string
	size   int64
}

type mountRefusal struct{ text, mend string }

// mountKeys are the fields that each type of mount may have.
var mountKeys = map[string][]string{
	"bind":   {"type", "from", "source", "target", "readonly"},
	"cache":  {"type", "target", "id", "sharing", "uid", "gid", "mode"},
	"tmpfs":  {"type", "target", "size"},
	"secret": {"type", "id", "target", "required", "uid", "gid", "mode", "env"},
}

// mountAliases are the other names of fields.
var mountAliases = map[string]string{"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}

// mounted reads a mount. BuildKit would fill in variables and take quotes away;
// here both are refused, so that a mount is what it says.
func mounted(value string) (mount, *mountRefusal) {
	m := mount{kind: "bind"}
	seen := map[string]bool{}
	var keys []string
	for _, field := range strings.Split(value, ",") {
		key, value, given := strings.Cut(field, "=")
		key = strings.ToLower(key)
		if name, ok := mountAliases[key]; ok {
			key = name
		}
		if !literal.MatchString(value) {
			return m, &mountRefusal{key + ": a variable can't be filled in here", "write the value out"}
		}
		if key == "required" || key == "uid" || key == "gid" || key == "mode" || key == "env" {
			m.others = append(m.others, field)
		}
		if seen[key] {
			return m, &mountRefusal{key + " is given twice", "give each field once"}
		}
		seen[key] = true
		keys = append(keys, key)
		if !given && key != "readonly" && key != "readwrite" && key != "required" {
			return m, &mountRefusal{field + " has no value", "write it as " + field + "=…"}
		}
		switch key {
		case "type":
			m.kind = strings.ToLower(value)
		case "from":
			m.from = value
		case "source":
			m.source = value
		case "target":
			m.target = value
		case "id":
			m.id = value
		case "readonly":
			if given && value != "true" {
				// The engine's builder breaks down on it.
				return m, &mountRefusal{"a mount that can be written to is not allowed", "copy what the RUN changes, or use a mount of type cache or tmpfs"}
			}
		case "readwrite":
			return m, &mountRefusal{"a mount that can be written to is not allowed", "copy what the RUN changes, or use a mount of type cache or tmpfs"}
		case "size":
			var err error
			if m.size, err = units.RAMInBytes(value); err != nil || m.size <= 0 || m.size > maxMemoryMount {
				return m, &mountRefusal{"size is not one of up to " + units.BytesSize(maxMemoryMount), "give a smaller one, such as size=64m"}
			}
		}
	}
	return m, m.judge(keys)
}

// judge refuses a type, a field or a target that isn't allowed.
func (m mount) judge(keys []string) *mountRefusal {
	known, ok := mountKeys[m.kind]
	if !ok {
		return &mountRefusal{"a mount of type " + m.kind + " is not allowed", "use a mount of type bind, cache, tmpfs or secret"}
	}
	for _, key := range keys {
		if slices.Contains(known, key) {
			continue
		}
		if m.kind == "cache" && (key == "from" || key == "source") {
			return &mountRefusal{"a cache of another build or stage is not allowed", "take " + key + " out: a cache is empty at the start of each RUN; use a mount of type bind to read what a stage has made"}
		}
		return &mountRefusal{"a mount of type " + m.kind + " has no field " + key + " here", "use its fields " + strings.Join(known, ", ")}
	}
	if m.kind == "secret" {
		if m.id == "" {
			return &mountRefusal{"has no id", "name the secret: id=…"}
		}
		if m.target == "" {
			return nil
		}
	}
	target := path.Clean(m.target)
	if !path.IsAbs(target) || target == "/" {
		return &mountRefusal{"target is not an absolute path", "write it out, from / on"}
	}
	for _, taken := range []string{"/dev", "/proc", "/sys"} {
		if target == taken || strings.HasPrefix(target, taken+"/") {
			return &mountRefusal{"nothing may be mounted in " + taken, "mount it elsewhere"}
		}
	}
	return nil
}
