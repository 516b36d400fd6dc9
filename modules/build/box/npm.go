package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway/step/result/build"
)

// npmAddress is where the box's registry listens. It is the same in each box, so that
// what npm notes of it is the same in each build.
const npmAddress = "127.0.0.1:4873"

// npmRegistry answers npm as a registry does, with exactly the packages of a folder.
type npmRegistry struct {
	dir string
	// tarballs are the files' names by the path in the registry, packuments what there
	// is of each package.
	tarballs   map[string]string
	packuments map[string]*packument
}

// packument is what a registry says about a package: as much of it as npm needs to
// find a version that a lock file names without its address.
type packument struct {
	Name     string             `json:"name"`
	DistTags map[string]string  `json:"dist-tags"`
	Versions map[string]version `json:"versions"`
}

type version struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Dist    struct {
		Tarball   string `json:"tarball"`
		Integrity string `json:"integrity"`
	} `json:"dist"`
}

// newNPMRegistry reads a folder of packages. Base is the address that it will have.
func newNPMRegistry(dir, base string) (*npmRegistry, error) {
	data, err := os.ReadFile(filepath.Join(dir, build.PackagesIndex))
	if err != nil {
		return nil, err
	}
	var index []build.Package
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("the index of packages: %w", err)
	}
	r := &npmRegistry{dir: dir, tarballs: map[string]string{}, packuments: map[string]*packument{}}
	for _, p := range index {
		if p.File == "." || !filepath.IsLocal(p.File) || filepath.Base(p.File) != p.File {
			return nil, fmt.Errorf("the index of packages: %q is no file's name", p.File)
		}
		r.tarballs[p.Path] = p.File
		known := r.packuments["/"+p.Name]
		if known == nil {
			known = &packument{Name: p.Name, DistTags: map[string]string{}, Versions: map[string]version{}}
			r.packuments["/"+p.Name] = known
		}
		v := version{Name: p.Name, Version: p.Version}
		v.Dist.Tarball, v.Dist.Integrity = base+(&url.URL{Path: p.Path}).EscapedPath(), p.Integrity
		known.Versions[p.Version], known.DistTags["latest"] = v, p.Version
	}
	return r, nil
}

// ServeHTTP is of http.Handler.
func (r *npmRegistry) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	known := r.packuments[request.URL.Path]
	name, ok := r.tarballs[request.URL.Path]
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
	case known != nil:
		answer(w, http.StatusOK, known)
	default:
		answer(w, http.StatusNotFound, map[string]string{"error": "no lock file of the app names it, and there is no network"})
	}
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // whoever asked may be gone
}

// serveNPM serves a folder of packages to the box's processes for as long as the box
// is, and returns the registry's address.
func serveNPM(dir string) (string, error) {
	address := "http://" + npmAddress
	registry, err := newNPMRegistry(dir, address)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", npmAddress)
	if err != nil {
		return "", fmt.Errorf("serve the app's packages: %w", err)
	}
	server := &http.Server{
		Handler: registry, ReadTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10,
	}
	go func() { _ = server.Serve(&bounded{Listener: listener, free: make(chan struct{}, maxConnections)}) }()
	return address, nil
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

// npmEnv is an environment in which npm asks the registry at an address, and no
// other: there is none that it could reach. What else it would ask a registry for is
// off, unless the app wants it.
func npmEnv(env []string, address string) []string {
	settings := []struct {
		name, value string
		forced      bool
	}{
		{"registry", address + "/", true},
		{"replace_registry_host", "always", true},
		{"noproxy", "127.0.0.1", true},
		{"audit", "false", false},
		{"fund", "false", false},
		{"update_notifier", "false", false},
	}
	out := slices.Clone(env)
	for _, setting := range settings {
		key := "npm_config_" + setting.name
		is := func(variable string) bool {
			name, _, _ := strings.Cut(variable, "=")
			return strings.ReplaceAll(strings.ToLower(name), "-", "_") == key
		}
		if setting.forced {
			out = slices.DeleteFunc(out, is)
		}
		if !slices.ContainsFunc(out, is) {
			out = append(out, key+"="+setting.value)
		}
	}
	return out
}
