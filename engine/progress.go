package engine

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// tick is how often long work says that it still runs.
const tick = 20 * time.Second

// Progress tells a person what is being done and for how long.
type Progress struct {
	mu  sync.Mutex
	out io.Writer
	// now says what is under way; nil, that nothing does.
	now func() string
}

// NewProgress writes to out, one line at a time.
func NewProgress(out io.Writer) *Progress { return &Progress{out: out} }

// Say writes one line.
func (p *Progress) Say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, format+"\n", args...)
}

// Follow has long work say what now tells, such as "compiling trivy for 3m20s", until
// it is stopped. An empty text tells nothing.
func (p *Progress) Follow(now func() string) (stop func()) {
	set := func(now func() string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.now = now
	}
	set(now)
	return func() { set(nil) }
}

// still is the line about work that still runs.
func (p *Progress) still(what string, elapsed time.Duration) string {
	p.mu.Lock()
	now := p.now
	p.mu.Unlock()
	line := fmt.Sprintf("  %s: %s so far", what, elapsed)
	if now != nil {
		if doing := now(); doing != "" {
			line += ", " + doing
		}
	}
	return line
}

// Do runs work and tells when it begins, that it still runs, and how it ended.
func (p *Progress) Do(what string, work func() error) error {
	start := time.Now()
	elapsed := func() time.Duration { return time.Since(start).Round(time.Second) }
	p.Say("%s", what)
	ticker := time.NewTicker(tick)
	done := make(chan struct{})
	var told sync.WaitGroup
	told.Go(func() {
		for {
			select {
			case <-ticker.C:
				p.Say("%s", p.still(what, elapsed()))
			case <-done:
				return
			}
		}
	})
	err := work()
	ticker.Stop()
	close(done)
	told.Wait()
	if err != nil {
		p.Say("  %s: failed after %s", what, elapsed())
		return err
	}
	p.Say("  %s: done in %s", what, elapsed())
	return nil
}
