package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway/step/result/build"
)

// registryAddress is where the box's registry listens. It is the same in each box, so
// that what a package manager notes of it is the same in each build.
const registryAddress = "127.0.0.1:4873"

// missing is what the registry says about what it hasn't.
const missing = "no lock file of the app names it, and there is no network"

// registry answers each package manager as its own registry does, with exactly the
// packages of a folder.
type registry struct {
	dir string
	// files are the files' names by the paths that they have here; pages answer what
	// package managers ask about packages.
	files map[string]string
	pages map[string]page

	mu     sync.Mutex
	missed []string
}

// page is an answer about a package.
type page struct {
	contentType string
	content     []byte
}

// newRegistry reads a folder of packages. Base is the address that it will have.
func newRegistry(dir, base string) (*registry, error) {
	data, err := os.ReadFile(filepath.Join(dir, build.PackagesIndex))
	if err != nil {
		return nil, err
	}
	var index []build.Package
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("the index of packages: %w", err)
	}
	r := &registry{dir: dir, files: map[string]string{}, pages: map[string]page{}}
	of := map[build.Manager][]build.Package{}
	for _, p := range index {
		if p.File == "." || !filepath.IsLocal(p.File) || filepath.Base(p.File) != p.File {
			return nil, fmt.Errorf("the index of packages: %q is no file's name", p.File)
		}
		r.files[p.Path] = p.File
		of[p.Manager] = append(of[p.Manager], p)
	}
	for manager, packages := range of {
		write, ok := map[build.Manager]func([]build.Package, string) (map[string]page, error){build.NPM: npmPages, build.Pip: pipPages}[manager]
		if !ok {
			return nil, fmt.Errorf("the index of packages: %q is no package manager", manager)
		}
		pages, err := write(packages, base)
		if err != nil {
			return nil, fmt.Errorf("the index of packages: %w", err)
		}
		for path, page := range pages {
			r.pages[path] = page
		}
	}
	return r, nil
}

// ServeHTTP is of http.Handler.
func (r *registry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	about, known := r.pages[request.URL.Path]
	name, ok := r.files[request.URL.Path]
	switch {
	case request.Method != http.MethodGet && request.Method != http.MethodHead:
		answer(w, http.StatusMethodNotAllowed, map[string]string{"error": "packages can only be read here"})
	case ok:
		file, err := os.Open(filepath.Join(r.dir, name))
		if err != nil {
			answer(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
			return
		}
		defer file.Close()
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, request, "", time.Time{}, file)
	case known:
		w.Header().Set("Content-Type", about.contentType)
		_, _ = w.Write(about.content) // whoever asked may be gone
	default:
		r.miss(request.URL.Path)
		answer(w, http.StatusNotFound, map[string]string{"error": missing})
	}
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // whoever asked may be gone
}

// maxMissed is how many packages that it hasn't the registry remembers.
const maxMissed = 10

// miss notes what was asked for in vain: pip does not say why it finds nothing.
func (r *registry) miss(path string) {
	name := strings.Trim(strings.TrimPrefix(path, build.PipIndex), "/")
	// What begins so are npm's questions about no single package.
	if name == "" || strings.HasPrefix(path, "/-/") {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if said := fmt.Sprintf("%.100q", name); len(r.missed) < maxMissed && !slices.Contains(r.missed, said) {
		r.missed = append(r.missed, said)
	}
}

// lacked says what was asked for in vain; empty for nothing.
func (r *registry) lacked() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.missed) == 0 {
		return ""
	}
	return "asked in vain for " + strings.Join(r.missed, ", ") + ": " + missing
}

// serve answers the box's processes for as long as the box is.
func (r *registry) serve() error {
	listener, err := net.Listen("tcp", registryAddress)
	if err != nil {
		return fmt.Errorf("serve the app's packages: %w", err)
	}
	server := &http.Server{
		Handler: r, ReadTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10,
	}
	go func() { _ = server.Serve(&bounded{Listener: listener, free: make(chan struct{}, maxConnections)}) }()
	return nil
}

// maxConnections is how many the box answers at once; npm makes 15.
const maxConnections = 64

// bounded is a listener whose connections are so many at once, and no more.
type bounded struct {
	net.Listener
	free chan struct{}
}

// Accept is of net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	b.free <- struct{}{}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.free
		return nil, err
	}
	return &connection{Conn: c, done: sync.OnceFunc(func() { <-b.free })}, nil
}

type connection struct {
	net.Conn
	done func()
}

// Close is of net.Conn.
func (c *connection) Close() error {
	defer c.done()
	return c.Conn.Close()
}

// setting is a variable of a package manager's.
type setting struct {
	name, value string
	// forced says that it replaces the app's own.
	forced bool
}

// registryEnv is an environment in which package managers ask the registry at an
// address, and no other: there is none that they could reach. What else they would ask
// a registry for is off, unless the app wants it.
func registryEnv(env []string, address string) []string {
	out := slices.Clone(env)
	for _, s := range append(npmSettings(address), pipSettings(address)...) {
		is := func(variable string) bool {
			name, _, _ := strings.Cut(variable, "=")
			return same(name) == same(s.name)
		}
		if s.forced {
			out = slices.DeleteFunc(out, is)
		}
		if !slices.ContainsFunc(out, is) {
			out = append(out, s.name+"="+s.value)
		}
	}
	return direct(out)
}

// same is a variable's name as npm reads it.
func same(name string) string { return strings.ReplaceAll(strings.ToLower(name), "-", "_") }

// direct has nobody ask a proxy for the registry.
func direct(env []string) []string {
	out := slices.Clone(env)
	proxied := slices.ContainsFunc(env, func(v string) bool {
		name, _, _ := strings.Cut(strings.ToLower(v), "=")
		return name == "http_proxy" || name == "all_proxy"
	})
	if !proxied {
		return out
	}
	host, _, _ := net.SplitHostPort(registryAddress)
	for _, name := range []string{"no_proxy", "NO_PROXY"} {
		i := slices.IndexFunc(out, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		if i < 0 {
			out = append(out, name+"="+host)
			continue
		}
		out[i] = strings.TrimSuffix(out[i], ",") + "," + host
	}
	return out
}
