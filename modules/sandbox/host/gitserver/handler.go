package gitserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/textproto"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"time"

	"slipway/sandbox/host/accounts"
)

// handler runs git http-backend, a CGI program (RFC 3875), for each request.
// net/http/cgi is not used because it refuses chunked bodies, which git sends
// for every push above http.postBuffer (1 MiB), and can't end a program that
// hangs.
type handler struct {
	backend string
	root    string
	search  string
	timeout time.Duration
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if path.Clean(r.URL.Path) != r.URL.Path || !strings.HasPrefix(r.URL.Path, "/"+Repository+"/") {
		http.NotFound(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.backend)
	cmd.Dir = h.root
	cmd.Env = h.environment(r)
	cmd.Stdin = r.Body
	// A killed program's children may keep its pipes open; don't wait on them.
	cmd.WaitDelay = time.Second
	// The program may answer before it has read everything.
	_ = http.NewResponseController(w).EnableFullDuplex()
	stderr := &strings.Builder{}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	// Git may take long between two bytes, but never longer than ctx allows:
	// close the pipe then, since a grandchild can outlive the killed program.
	stop := context.AfterFunc(ctx, func() { _ = stdout.Close() })
	started, copyErr := answer(w, stdout)
	stop()
	if copyErr != nil && ctx.Err() == nil {
		_ = cmd.Process.Kill()
	}
	err = cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil {
		// The program ended well without reading the whole body.
		err = nil
	}
	if copyErr == nil {
		copyErr = err
	}
	if copyErr == nil {
		return
	}
	if ctx.Err() != nil {
		copyErr = ctx.Err()
	}
	if !started {
		h.fail(w, r, fmt.Errorf("%w: %s", copyErr, strings.TrimSpace(stderr.String())))
		return
	}
	log.Printf("git %s %q: %v: %s", r.Method, r.URL.Path, copyErr, strings.TrimSpace(stderr.String()))
	// Headers are out: breaking the connection is the only way left to say
	// that the body isn't whole.
	panic(http.ErrAbortHandler)
}

// environment is RFC 3875's request meta-variables, as far as http-backend
// reads them, and its own settings.
func (h *handler) environment(r *http.Request) []string {
	env := append([]string{
		"PATH=" + h.search,
		"GIT_PROJECT_ROOT=" + h.root,
		"GIT_HTTP_EXPORT_ALL=1",
		"GATEWAY_INTERFACE=CGI/1.1",
		"SERVER_PROTOCOL=" + r.Proto,
		"REQUEST_METHOD=" + r.Method,
		"PATH_INFO=" + r.URL.Path,
		"QUERY_STRING=" + r.URL.RawQuery,
		"CONTENT_TYPE=" + r.Header.Get("Content-Type"),
		"REMOTE_ADDR=" + r.RemoteAddr,
		remoteUser + "=" + string(accounts.Who(r.Context())),
	}, isolated...)
	if r.ContentLength >= 0 {
		env = append(env, "CONTENT_LENGTH="+strconv.FormatInt(r.ContentLength, 10))
	}
	for variable, header := range map[string]string{
		"HTTP_CONTENT_ENCODING": "Content-Encoding",
		// GIT_PROTOCOL selects the wire protocol, version 2 where asked for.
		"GIT_PROTOCOL": "Git-Protocol",
	} {
		if v := r.Header.Get(header); v != "" {
			env = append(env, variable+"="+v)
		}
	}
	return env
}

func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	log.Printf("git %s %q: %v", r.Method, r.URL.Path, err)
	status := http.StatusInternalServerError
	if errors.Is(err, context.DeadlineExceeded) {
		status = http.StatusGatewayTimeout
	}
	http.Error(w, "git http-backend failed; the sandbox's log says why", status)
}

// answer turns a CGI response into an HTTP one. started tells whether the
// status line was sent.
func answer(w http.ResponseWriter, program io.Reader) (started bool, err error) {
	buffered := bufio.NewReader(program)
	header, err := textproto.NewReader(buffered).ReadMIMEHeader()
	if err != nil {
		return false, fmt.Errorf("read http-backend's header: %w", err)
	}
	status := http.StatusOK
	if s := header.Get("Status"); s != "" {
		code, _, _ := strings.Cut(s, " ")
		if status, err = strconv.Atoi(code); err != nil || status < 200 || status > 599 {
			return false, fmt.Errorf("http-backend's status %q is none", s)
		}
		header.Del("Status")
	}
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	// Progress is for people: pass on each piece as it comes.
	out := http.NewResponseController(w)
	piece := make([]byte, 32<<10)
	for {
		n, err := buffered.Read(piece)
		if n > 0 {
			if _, err := w.Write(piece[:n]); err != nil {
				return true, err
			}
			if err := out.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return true, err
			}
		}
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return true, err
		}
	}
}
