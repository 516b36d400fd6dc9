package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"slipway/embedded/session"
)

// How apps/hello never becomes ready, in a way that none of its own tests sees: it
// listens where nobody asks.
const (
	breakingFile = "apps/hello/cmd/hello/main.go"
	listening    = `":8080"`
	elsewhere    = `":8081"`
)

// DemoCluster releases the app hello until it is healthy in the cluster, shows
// that it answers, then releases a commit that never becomes ready, sees it
// refused, and rolls it back.
func (p *Platform) DemoCluster(ctx context.Context, out io.Writer) error {
	if err := p.ClusterUp(ctx, out); err != nil {
		return err
	}
	deliver := []string{"deliver", "--app", "hello", "--env", "dev", "text"}
	if err := p.show(ctx, out, append([]string{"call"}, deliver...)...); err != nil {
		return err
	}
	answer, err := p.ask(ctx, "hello.dev.localhost")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nhttp://hello.dev.localhost:%d/ answers: %s\n", session.AppsPort, answer)

	broken, err := os.MkdirTemp("", "slipway-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(broken)
	if err := p.breakApp(ctx, broken); err != nil {
		return err
	}
	p.Progress.Say("now a commit that never becomes ready")
	refusal := p.show(ctx, io.Discard, append([]string{"call", "--source", broken, "--repository", broken}, deliver...)...)
	reason := refusedWait(refusal)
	if reason == "" {
		return errors.Join(errors.New("a commit that never becomes ready was not refused by wait"), refusal)
	}
	fmt.Fprintf(out, "\nThe broken commit is refused:\n%s\n\n", reason)
	if err := p.show(ctx, out, "call", "rollback", "--app", "hello", "--env", "dev", "wait", "receipt", "text"); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return p.show(ctx, out, "call", "status", "--app", "hello", "text")
}

// show runs a dagger call under its own progress line, and shows what it says.
func (p *Platform) show(ctx context.Context, out io.Writer, args ...string) error {
	var said bytes.Buffer
	if err := p.Progress.Do("dagger "+strings.Join(args, " "), func() error { return p.Dagger(ctx, &said, args...) }); err != nil {
		return err
	}
	_, err := said.WriteTo(out)
	return err
}

// breakApp makes a clone of the checkout with one more commit, after which hello
// is never ready.
func (p *Platform) breakApp(ctx context.Context, dir string) error {
	if err := p.run(ctx, "git", "clone", "--quiet", "--", p.Launcher.Repo, dir); err != nil {
		return err
	}
	file := filepath.Join(dir, filepath.FromSlash(breakingFile))
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !strings.Contains(string(data), listening) {
		return fmt.Errorf("%s has no %s to change: mend the demo", breakingFile, listening)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(data), listening, elsewhere, 1)), 0o644); err != nil {
		return err
	}
	return p.run(ctx, "git", "-C", dir, "-c", "user.name=Slipway", "-c", "user.email=slipway@localhost", "-c", "commit.gpgSign=false",
		"commit", "--quiet", "--all", "--message=Listen where nobody looks")
}

// refusedWait is the part of a failed call's output that says why wait refused.
func refusedWait(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	start := strings.LastIndex(text, "wait: refused by policy:")
	if start < 0 {
		return ""
	}
	lines := strings.Split(text[start:], "\n")
	for n, line := range lines {
		if n > 0 && !strings.HasPrefix(line, "  ") {
			lines = lines[:n]
			break
		}
	}
	refusal, _, _ := strings.Cut(strings.Join(lines, "\n"), " [traceparent:")
	return strings.TrimSpace(refusal)
}

// ask gets the root of an app through the cluster's front.
func (p *Platform) ask(ctx context.Context, host string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://localhost:%d/", session.AppsPort), nil)
	if err != nil {
		return "", err
	}
	request.Host = host
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("http://%s answers %s: %s", host, response.Status, body)
	}
	return strings.TrimSpace(string(body)), nil
}
