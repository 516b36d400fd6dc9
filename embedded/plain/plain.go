// Package plain reads what the dagger CLI prints with --progress=plain, and says what
// is under way.
package plain

import (
	"bytes"
	"cmp"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The lines of v0.21.7: a span's number, its depth, and what is said of it. The CLI
// says again what a span is below before it goes on with it.
var (
	escape   = regexp.MustCompile(`\x1b\[[0-9;]*m`)
	line     = regexp.MustCompile(`^(\d+) *: ((?:┆ )*)(.*)$`)
	call     = regexp.MustCompile(`^([A-Z][A-Za-z0-9]*\.[a-z][A-Za-z0-9]*)(?:[(: ]|$)`)
	program  = regexp.MustCompile(`^(?:folder|pkg): "([A-Za-z0-9_.@/-]+)"$`)
	ended    = regexp.MustCompile(`^.* (?:DONE|CACHED|ERROR) \[[0-9hms.]+\]`)
	logged   = regexp.MustCompile(`^\[[0-9hms.]+\] \| (.*)$`)
	verified = regexp.MustCompile(`^verified \d+ modules$`)
	packages = regexp.MustCompile(` -o /out/\S* ([A-Za-z0-9_.@/ -]+)$`)
)

// engines are Dagger's own types: a call of theirs is none of the pipeline's stages.
var engines = []string{"Address", "Container", "Directory", "File", "Host", "Missing", "Module", "ModuleSource", "Query", "Secret", "Service", "Toolbox", "Toolchain"}

// most bounds a line: what is longer is a value that nobody looks at here.
const most = 4096

// Steps is the calls of a CLI's output, as it is written to it.
type Steps struct {
	now func() time.Time

	mu sync.Mutex
	// rest is the beginning of a line.
	rest  []byte
	spans map[int]*span
	// at is the span that was spoken of last at each depth.
	at       []*span
	building *building
}

type span struct {
	number int
	parent *span
	// call is Type.function, exec a container's command; either may be empty.
	call, exec string
	// program is what a call of the toolbox compiles.
	program string
	since   time.Time
	open    bool
}

// building is the program whose compilation began last. The CLI prints nothing of it:
// the check of its modules comes right before, and says when it has ended.
type building struct {
	program string
	since   time.Time
	// build is its go build, and caller whose call of the toolbox wants it, where that
	// is known.
	build, caller *span
	// waiting are the calls that were open when it began. One of them wants the program.
	waiting []*span
}

// New reads with the times of a clock.
func New(now func() time.Time) *Steps {
	return &Steps{now: now, spans: map[int]*span{}}
}

// Write takes output; it never fails.
func (s *Steps) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = append(s.rest, p...)
	for {
		text, rest, found := bytes.Cut(s.rest, []byte("\n"))
		if !found {
			if len(s.rest) > 2*most {
				s.rest = s.rest[:most]
			}
			return len(p), nil
		}
		s.line(string(text[:min(len(text), most)]))
		s.rest = rest
	}
}

func (s *Steps) line(text string) {
	found := line.FindStringSubmatch(escape.ReplaceAllString(text, ""))
	if found == nil {
		return
	}
	number, err := strconv.Atoi(found[1])
	if err != nil {
		return
	}
	depth, text := strings.Count(found[2], "┆"), found[3]
	of := s.spans[number]
	switch {
	case of == nil:
		of = &span{number: number, since: s.now(), open: true}
		if 0 < depth && depth <= len(s.at) {
			of.parent = s.at[depth-1]
		}
		if match := call.FindStringSubmatch(text); match != nil {
			of.call = match[1]
		}
		of.exec, _ = strings.CutPrefix(text, "withExec ")
		if of.exec == text {
			of.exec = ""
		}
		s.spans[number] = of
	case logged.MatchString(text):
		if depth > 0 && depth <= len(s.at) {
			s.logged(of, s.at[depth-1], logged.FindStringSubmatch(text)[1])
		}
	case ended.MatchString(text):
		of.open = false
		s.stopped()
	case depth > 0 && depth <= len(s.at) && s.at[depth-1] == of:
		// An argument of the call. What is deeper is a call that is an argument.
		if found := program.FindStringSubmatch(text); found != nil {
			of.program = found[1]
		}
		return
	}
	if depth <= len(s.at) {
		s.at = append(s.at[:depth], of)
	}
}

// logged is about a line that a container has printed, below a call.
func (s *Steps) logged(by, below *span, text string) {
	if strings.HasPrefix(by.exec, "/verify ") && verified.MatchString(text) {
		if build := s.buildAfter(by); build != nil {
			s.building = &building{since: s.now(), build: build, waiting: s.open()}
			s.building.program, s.building.caller = s.compiles(by, below, build)
		}
		return
	}
	b := s.building
	if b == nil || by.number < b.build.number {
		return
	}
	// What runs by it shows that the program is there. Which step runs is not told.
	step := strings.HasSuffix(b.program, "/step") && strings.HasPrefix(by.exec, "/step ")
	if step || by.within(b.caller) || slices.Contains(strings.Fields(by.exec), "/"+b.program) {
		s.building = nil
	}
}

// stopped forgets a compilation that nobody can wait for any more.
func (s *Steps) stopped() {
	if s.building != nil && len(s.building.waiting) > 0 && !slices.ContainsFunc(s.building.waiting, func(w *span) bool { return w.open }) {
		s.building = nil
	}
}

// buildAfter is the compilation that comes after a check of modules.
func (s *Steps) buildAfter(check *span) *span {
	var next *span
	for _, of := range s.spans {
		if check.parent != nil && of.parent == check.parent && of.number > check.number && strings.HasPrefix(of.exec, "go build ") && (next == nil || of.number < next.number) {
			next = of
		}
	}
	return next
}

// compiles is the name of what a go build makes, and who called the toolbox for it. A
// span that is deeper than the output goes is said to be below its parent's parent,
// until it is spoken of again.
func (s *Steps) compiles(check, below, build *span) (name string, caller *span) {
	of := below
	if of.program == "" && !strings.HasPrefix(of.call, "Toolbox.") {
		for _, other := range s.spans {
			if other.program != "" && other.number < check.number && other.parent == check.parent && (of.program == "" || other.number > of.number) {
				of = other
			}
		}
	}
	if strings.HasPrefix(of.call, "Toolbox.") {
		caller = of.parent
	}
	switch {
	case strings.HasSuffix(of.call, ".step"):
		return of.program, caller
	case path.Base(of.program) != ".":
		return path.Base(of.program), caller
	}
	var names []string
	if found := packages.FindStringSubmatch(build.exec); found != nil {
		for _, name := range strings.Fields(found[1]) {
			if name = path.Base(name); name != "." {
				names = append(names, name)
			}
		}
	}
	return cmp.Or(strings.Join(names, ", "), "a program"), caller
}

// within says whether a span is below another one.
func (s *span) within(other *span) bool {
	for of := s; of != nil && other != nil; of = of.parent {
		if of == other {
			return true
		}
	}
	return false
}

// open are the calls below the command's own that have not returned, oldest first. A
// service's start does not return while it runs.
func (s *Steps) open() []*span {
	var list []*span
	for _, of := range s.spans {
		if of.open && of.parent != nil && of.call != "" && !strings.HasPrefix(of.call, "Service.") && of.call != "Container.asService" {
			list = append(list, of)
		}
	}
	slices.SortFunc(list, func(a, b *span) int { return a.number - b.number })
	return list
}

// Now says what is under way, such as "compiling trivy for 6m52s, in Scan.database for
// 7m10s"; empty when the output does not tell.
func (s *Steps) Now() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := func(at time.Time) string { return s.now().Sub(at).Round(time.Second).String() }
	var parts []string
	if b := s.building; b != nil {
		parts = append(parts, "compiling "+b.program+" for "+since(b.since))
	}
	for _, of := range s.open() {
		kind, _, _ := strings.Cut(of.call, ".")
		if of.parent.parent == nil && !slices.Contains(engines, kind) && len(parts) < 2 {
			parts = append(parts, "in "+of.call+" for "+since(of.since))
		}
	}
	return strings.Join(parts, ", ")
}
