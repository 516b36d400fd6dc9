// Package daemon starts the sandbox's server in the background, finds it
// again, and stops it.
//
// Everything is below one state folder: data/ is what the server keeps,
// ready.json where it listens, and daemon.log what it printed. Whether a
// server runs is decided by the lock on data/, never by a process id alone.
package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"slipway/sandbox/host/gitserver"
	"slipway/sandbox/host/server"
)

// Patience is how long Up waits for readiness and Down for the end.
const Patience = 10 * time.Second

// every is how often a state that another process makes is looked at.
const every = 20 * time.Millisecond

// Daemon is the sandbox of one state folder.
type Daemon struct {
	// Dir is the state folder.
	Dir string
	// Program is the path of the slipway-sandbox executable.
	Program string
	// Prefer is where the server listens if that port is free.
	Prefer string
	// Notice is called with a line for people about anything unusual.
	Notice func(string)
}

// Status is what is known about a daemon.
type Status struct {
	Running bool `json:"running"`
	// Started is true when this very call started it.
	Started bool `json:"started,omitempty"`
	// Endpoint is where it listens; absent when it doesn't run.
	*server.Endpoint
	// Log is the path of the server's log.
	Log string `json:"log"`
}

func (d *Daemon) data() string  { return filepath.Join(d.Dir, "data") }
func (d *Daemon) ready() string { return filepath.Join(d.Dir, "ready.json") }
func (d *Daemon) log() string   { return filepath.Join(d.Dir, "daemon.log") }

// Up starts the server unless it runs, and returns once every part answers. A
// second Up starts nothing: it makes sure that the running server is this
// folder's and answers.
func (d *Daemon) Up(ctx context.Context) (Status, error) {
	release, err := d.exclusive()
	if err != nil {
		return Status{}, err
	}
	defer release()
	s, err := d.look(ctx)
	if err != nil || s.Running {
		return s, err
	}
	if err := os.Remove(d.ready()); err == nil {
		d.Notice("the sandbox ended without being stopped; starting it again")
	} else if !errors.Is(err, os.ErrNotExist) {
		return s, err
	}
	if err := d.start(ctx); err != nil {
		return s, err
	}
	s, err = d.look(ctx)
	s.Started = err == nil
	return s, err
}

// start runs the server in a session of its own and waits until it is ready.
// The socket is opened here and inherited, so no one can take the port between
// its choice and its use.
func (d *Daemon) start(ctx context.Context) error {
	listener, err := server.Prefer(d.Prefer, d.Notice)
	if err != nil {
		return err
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer socket.Close()
	if err := os.Rename(d.log(), d.log()+".1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	log, err := os.OpenFile(d.log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()

	cmd := exec.Command(d.Program, "serve", "--data", d.data(), "--inherit", "--ready-file", d.ready())
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{socket}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the sandbox: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	wait, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("the sandbox ended at once (%s): %s", exitText(err), d.lastWords())
		case <-wait.Done():
			_ = cmd.Process.Kill()
			return fmt.Errorf("the sandbox was not ready within %s, and was killed (%s): %s", Patience, exitText(<-ended), d.lastWords())
		case <-tick.C:
			if _, err := os.Stat(d.ready()); err == nil {
				return nil
			}
		}
	}
}

// Down stops the server and returns whether one ran. The data stays.
func (d *Daemon) Down(ctx context.Context) (bool, error) {
	release, err := d.exclusive()
	if err != nil {
		return false, err
	}
	defer release()
	pid, err := server.Holder(d.data())
	if err != nil {
		return false, err
	}
	if pid != 0 {
		if err := d.stop(ctx, pid); err != nil {
			return true, err
		}
	}
	if err := os.Remove(d.ready()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return pid != 0, err
	}
	return pid != 0, nil
}

// exitText says how a process ended, from what Wait returned.
func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

func (d *Daemon) stop(ctx context.Context, pid int) error {
	// Find the process first and look at the lock again then: a handle on a
	// process stays that process's, even when its id is given to another.
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer process.Release()
	if holder, err := server.Holder(d.data()); err != nil || holder != pid {
		return err
	}
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if signal == syscall.SIGKILL {
			d.Notice(fmt.Sprintf("the sandbox (process %d) did not end within %s; killing it", pid, Patience))
		}
		if err := process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop the sandbox (process %d): %w", pid, err)
		}
		gone, err := d.gone(ctx)
		if err != nil || gone {
			return err
		}
	}
	return fmt.Errorf("the sandbox (process %d) can't be stopped", pid)
}

// gone waits until no server holds the data folder, at most Patience.
func (d *Daemon) gone(ctx context.Context) (bool, error) {
	deadline := time.After(Patience)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		holder, err := server.Holder(d.data())
		if err != nil || holder == 0 {
			return holder == 0, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-deadline:
			return false, nil
		case <-tick.C:
		}
	}
}

// Status says whether the server runs and where. A server that runs and
// doesn't answer is an error.
func (d *Daemon) Status(ctx context.Context) (Status, error) {
	if _, err := os.Stat(d.Dir); errors.Is(err, os.ErrNotExist) {
		return Status{Log: d.log()}, nil
	}
	release, err := d.exclusive()
	if err != nil {
		return Status{}, err
	}
	defer release()
	return d.look(ctx)
}

func (d *Daemon) look(ctx context.Context) (Status, error) {
	s := Status{Log: d.log()}
	if err := os.MkdirAll(d.data(), 0o755); err != nil {
		return s, err
	}
	pid, err := server.Holder(d.data())
	if err != nil || pid == 0 {
		return s, err
	}
	content, err := os.ReadFile(d.ready())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return s, err
	}
	var e server.Endpoint
	if err := json.Unmarshal(content, &e); err != nil || e.PID != pid {
		return s, fmt.Errorf("process %d serves %s, but was not started by up: stop it", pid, d.data())
	}
	if err := answers(ctx, e); err != nil {
		return s, fmt.Errorf("the sandbox (process %d) runs but doesn't answer; stop it with down and look into %s: %w", pid, d.log(), err)
	}
	s.Running, s.Endpoint = true, &e
	return s, nil
}

// answers asks the server and the part that answers everybody a question.
func answers(ctx context.Context, e server.Endpoint) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	for _, question := range []struct {
		url  string
		want int
	}{
		{"http://" + e.Address + "/v2/", http.StatusUnauthorized},
		{"http://" + e.Address + "/" + gitserver.Repository + "/info/refs?service=git-upload-pack", http.StatusOK},
		{"http://" + e.Address + "/state/", http.StatusUnauthorized},
	} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, question.url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil {
			return err
		}
		if response.StatusCode != question.want {
			return fmt.Errorf("GET %s: %s", question.url, response.Status)
		}
	}
	return nil
}

// exclusive lets one Up, Down or Status of a state folder run at a time.
func (d *Daemon) exclusive() (release func(), err error) {
	if err := os.MkdirAll(d.Dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(d.Dir, "command.lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

// lastWords returns the end of the server's log, on one line.
func (d *Daemon) lastWords() string {
	const most = 2000
	content, err := os.ReadFile(d.log())
	if err != nil {
		return err.Error()
	}
	if len(content) > most {
		content = content[len(content)-most:]
	}
	return strings.Join(strings.Fields(string(content)), " ")
}
