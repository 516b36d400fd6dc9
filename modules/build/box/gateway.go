package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"slipway/step"
	"slipway/step/result/build"
)

// gateway is an HTTP proxy to named hosts and no others. It runs outside of the boxes,
// in a container with a network, and is reached through a socket alone: whatever runs
// in a box, as whom and by whatever means, gets no further than this.
type gateway struct {
	hosts map[string]*counts
	// refused counts what was not let through.
	refused atomic.Int64
	// lookup asks for a name's addresses; own are the networks that the gateway is in.
	lookup func(ctx context.Context, name string) ([]netip.Addr, error)
	own    func() ([]netip.Prefix, error)
	plain  *httputil.ReverseProxy
}

// counts is how much a host was used.
type counts struct{ connections, sent, received atomic.Int64 }

func newGateway(hosts []string) (*gateway, error) {
	g := &gateway{hosts: map[string]*counts{}, own: ownNetworks, lookup: func(ctx context.Context, name string) ([]netip.Addr, error) {
		return net.DefaultResolver.LookupNetIP(ctx, "ip", name+".") // no search domain is added
	}}
	for _, host := range hosts {
		if _, _, err := build.ParseHost(host); err != nil {
			return nil, err
		}
		g.hosts[host] = &counts{}
	}
	if len(g.hosts) == 0 {
		return nil, errors.New("a gateway needs a host")
	}
	g.plain = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL, r.Out.Host = r.In.URL, r.In.URL.Host },
		Transport: &http.Transport{
			DialContext:       func(ctx context.Context, _, address string) (net.Conn, error) { return g.dial(ctx, address) },
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: 1 << 20,
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { g.fail(w, r.URL.Host, err) },
	}
	return g, nil
}

// errNotNamed says that a host is none of those that the app asked for.
var errNotNamed = errors.New("is not one that the app's app.yaml names and the platform allows")

// fail answers a request that gets nowhere.
func (g *gateway) fail(w http.ResponseWriter, what string, err error) {
	status := http.StatusBadGateway
	if errors.Is(err, errNotNamed) || errors.Is(err, errInside) {
		g.refused.Add(1)
		status = http.StatusForbidden
	}
	http.Error(w, fmt.Sprintf("slipway-box: network: %.100q: %v", what, err), status)
}

// ServeHTTP is of http.Handler: CONNECT for TLS, a whole http address for all else.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect && r.RequestURI == r.Host:
		g.tunnel(w, r)
	case r.URL.Scheme == "http" && r.URL.Host != "":
		if _, err := g.named(withPort(r.URL.Host)); err != nil {
			g.fail(w, r.URL.Host, err)
			return
		}
		g.plain.ServeHTTP(w, r)
	default:
		g.refused.Add(1)
		http.Error(w, "slipway-box: network: this is a proxy: ask it for http://…, or by CONNECT for TLS", http.StatusBadRequest)
	}
}

func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), "80")
}

// named returns the counts of a host, of those that may be reached.
func (g *gateway) named(address string) (*counts, error) {
	// Clients may write a name in any letters.
	used, ok := g.hosts[strings.ToLower(address)]
	if !ok {
		return nil, errNotNamed
	}
	return used, nil
}

// errInside says that a name leads to where no name may lead.
var errInside = errors.New("is an address of the engine's own network, or of nobody's; the platform has to allow it as that address")

// dial connects to a named host: to an address that was looked up here and now, and
// that is not the engine's own.
func (g *gateway) dial(ctx context.Context, address string) (net.Conn, error) {
	used, err := g.named(address)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(strings.ToLower(address))
	if err != nil {
		return nil, err
	}
	var candidates []netip.Addr
	if ip, err := netip.ParseAddr(host); err == nil {
		candidates = []netip.Addr{ip} // it is on the platform's list as it is
	} else if candidates, err = g.outside(ctx, host); err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: 30 * time.Second}
	var failed error
	for _, ip := range candidates {
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(ip.String(), port))
		if err == nil {
			used.connections.Add(1)
			return &counted{Conn: conn, counts: used}, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// outside looks up a name. One that has an address inside is not used at all.
func (g *gateway) outside(ctx context.Context, name string) ([]netip.Addr, error) {
	found, err := g.lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	own, err := g.own()
	if err != nil {
		return nil, err
	}
	for i, ip := range found {
		ip = ip.Unmap().WithZone("")
		found[i] = ip
		inside := slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Contains(ip) })
		if inside || !ip.IsGlobalUnicast() {
			return nil, fmt.Errorf("%s: %w", ip, errInside)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("has no address")
	}
	return found, nil
}

// ownNetworks are those that the program has an address in.
func ownNetworks() ([]netip.Prefix, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var own []netip.Prefix
	for _, address := range addresses {
		prefix, err := netip.ParsePrefix(address.String())
		if err != nil {
			return nil, err
		}
		own = append(own, prefix)
	}
	return own, nil
}

// counted is a connection whose bytes are counted.
type counted struct {
	net.Conn
	*counts
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	return n, err
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// tunnel passes on a TLS connection to a named host. What it asks for has to be that
// very host: one server can answer for many.
func (g *gateway) tunnel(w http.ResponseWriter, r *http.Request) {
	upstream, err := g.dial(r.Context(), r.Host)
	if err != nil {
		g.fail(w, r.Host, err)
		return
	}
	defer upstream.Close()
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		g.fail(w, r.Host, err)
		return
	}
	defer client.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	host, _, _ := net.SplitHostPort(strings.ToLower(r.Host)) // dial has read it
	if _, err := netip.ParseAddr(host); err == nil {
		host = "" // TLS has no name for an address
	}
	_ = client.SetReadDeadline(time.Now().Add(helloTime))
	hello, name, err := readHello(client, buffered.Reader)
	if err != nil || !strings.EqualFold(name, host) {
		g.refused.Add(1)
		return
	}
	_ = client.SetReadDeadline(time.Time{})
	if _, err := upstream.Write(hello); err != nil {
		return
	}
	splice(client, buffered.Reader, upstream, upstream)
}

// What a client may take, and send, to say which host it wants.
const (
	helloTime = 30 * time.Second
	helloSize = 64 << 10
)

// readHello reads the first message of a TLS connection, and returns its bytes and the
// server that it names.
func readHello(conn net.Conn, from io.Reader) (hello []byte, server string, err error) {
	var seen bytes.Buffer
	var info *tls.ClientHelloInfo
	reader := &onlyReader{Conn: conn, from: io.TeeReader(io.LimitReader(from, helloSize), &seen)}
	err = tls.Server(reader, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			info = h
			return nil, io.EOF
		},
	}).Handshake()
	if info == nil {
		return nil, "", fmt.Errorf("no TLS: %w", err)
	}
	return seen.Bytes(), info.ServerName, nil
}

// onlyReader is a connection that nothing is written to.
type onlyReader struct {
	net.Conn
	from io.Reader
}

func (r *onlyReader) Read(p []byte) (int, error)  { return r.from.Read(p) }
func (r *onlyReader) Write(p []byte) (int, error) { return len(p), nil }

// splice passes on what two sides say to each other, until both have ended.
func splice(a io.Writer, fromA io.Reader, b io.Writer, fromB io.Reader) {
	var both sync.WaitGroup
	pass := func(to io.Writer, from io.Reader) {
		_, _ = io.Copy(to, from) // whoever ends it, ends it
		closeWrite(to)
	}
	both.Go(func() { pass(a, fromB) })
	pass(b, fromA)
	both.Wait()
}

// closeWrite says that nothing more comes.
func closeWrite(to io.Writer) {
	switch conn := to.(type) {
	case *counted:
		closeWrite(conn.Conn)
	case *connection:
		closeWrite(conn.Conn)
	case interface{ CloseWrite() error }:
		_ = conn.CloseWrite()
	}
}

// usage is what the gateway was used for.
func (g *gateway) usage() build.Usage {
	usage := build.Usage{Used: []build.Use{}, Refused: g.refused.Load()}
	for host, c := range g.hosts {
		if n := c.connections.Load(); n > 0 {
			usage.Add(build.Usage{Used: []build.Use{{Host: host, Connections: n, Sent: c.sent.Load(), Received: c.received.Load()}}})
		}
	}
	return usage
}

// serveGateway is the command gateway: it answers at a socket in a folder, and says at
// an address what it was used for. The address answers when the socket does.
func serveGateway(args []string) error {
	var hosts step.List
	flags := flag.NewFlagSet("box gateway", flag.ContinueOnError)
	dir := flags.String("dir", "", "folder for the socket")
	status := flags.String("status", "", "address that says what was used, such as :8080")
	flags.Var(&hosts, "host", "`host:port` that may be reached; can be repeated")
	if err := flags.Parse(args); err != nil {
		return err
	}
	g, err := newGateway(hosts)
	if err != nil {
		return err
	}
	socket, err := listenGateway(*dir)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() {
		ended <- gatewayServer(g).Serve(&bounded{Listener: socket, free: make(chan struct{}, maxConnections)})
	}()
	usage := http.NewServeMux()
	usage.HandleFunc("GET /usage", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(g.usage()) })
	go func() {
		ended <- (&http.Server{Addr: *status, Handler: usage, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10}).ListenAndServe()
	}()
	return <-ended
}

// listenGateway makes the socket, which every user of a box may use and none but root
// can replace.
func listenGateway(dir string) (net.Listener, error) {
	path := filepath.Join(dir, build.GatewaySocket)
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	return listener, errors.Join(os.Chmod(dir, 0o755), os.Chmod(path, 0o777))
}

func gatewayServer(g *gateway) *http.Server {
	return &http.Server{Handler: g, ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10}
}

// gatewayUsage is the command usage: it prints what a gateway says at an address.
func gatewayUsage(args []string) error {
	if len(args) != 1 {
		return errors.New("usage needs the gateway's address")
	}
	client := http.Client{Timeout: time.Minute}
	response, err := client.Get("http://" + args[0] + "/usage")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	var usage build.Usage
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&usage); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway says %s: %w", response.Status, err)
	}
	return json.NewEncoder(os.Stdout).Encode(usage)
}
