package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step/result/build"
)

// names are what the gateway under test finds in place of DNS.
type names map[string]string

func (n names) lookup(_ context.Context, name string) ([]netip.Addr, error) {
	var all []netip.Addr
	for text := range strings.FieldsSeq(n[name]) {
		all = append(all, netip.MustParseAddr(text))
	}
	if len(all) == 0 {
		return nil, errors.New("no such host")
	}
	return all, nil
}

// atGateway starts a gateway for hosts and returns the folder of its socket.
func atGateway(t *testing.T, found names, hosts ...string) (*gateway, string) {
	t.Helper()
	g, err := newGateway(hosts)
	require.NoError(t, err)
	g.lookup = found.lookup
	dir := openDir(t)
	socket, err := listenGateway(dir)
	require.NoError(t, err)
	server := gatewayServer(g)
	go func() { _ = server.Serve(&bounded{Listener: socket, free: make(chan struct{}, maxConnections)}) }()
	t.Cleanup(func() { server.Close() })
	return g, dir
}

// through is a client that asks the gateway for everything, as a command of a box
// does.
func through(dir string) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: proxyAddress}),
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				return net.Dial("unix", filepath.Join(dir, build.GatewaySocket))
			},
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // what the certificate says is not the gateway's matter
			DisableKeepAlives: true,
		},
	}
}

func get(t *testing.T, client *http.Client, address string) (status int, body string) {
	t.Helper()
	response, err := client.Get(address)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(content)
}

// echo answers with what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/elsewhere" {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
		return
	}
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Host, r.URL, body)
}

func addressOf(server *httptest.Server) string { return server.Listener.Addr().String() }

func TestGatewayReachesWhatIsNamed(t *testing.T) {
	plain, secure := httptest.NewServer(http.HandlerFunc(echo)), httptest.NewTLSServer(http.HandlerFunc(echo))
	defer plain.Close()
	defer secure.Close()
	g, dir := atGateway(t, nil, addressOf(plain), addressOf(secure))
	client := through(dir)
	status, body := get(t, client, plain.URL+"/a?b=c")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "GET "+addressOf(plain)+" /a?b=c ", body)
	response, err := client.Post(secure.URL+"/s", "text/plain", strings.NewReader(strings.Repeat("x", 1<<20)))
	require.NoError(t, err)
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	response.Body.Close()
	assert.Contains(t, string(content), "POST "+addressOf(secure)+" /s xxx")
	assert.Greater(t, len(content), 1<<20)

	usage := g.usage()
	require.Len(t, usage.Used, 2)
	for _, use := range usage.Used {
		assert.EqualValues(t, 1, use.Connections, use.Host)
		assert.Positive(t, use.Sent, use.Host)
		assert.Positive(t, use.Received, use.Host)
	}
	assert.Zero(t, usage.Refused)
}

func TestGatewayRefusesEverythingElse(t *testing.T) {
	var reached []string
	note := func(w http.ResponseWriter, r *http.Request) { reached = append(reached, r.Host); echo(w, r) }
	named := httptest.NewServer(http.HandlerFunc(echo))
	other, secure := httptest.NewServer(http.HandlerFunc(note)), httptest.NewTLSServer(http.HandlerFunc(note))
	for _, s := range []*httptest.Server{named, other, secure} {
		defer s.Close()
	}
	// The control: nothing but the gateway keeps anybody from them.
	for _, s := range []*httptest.Server{other, secure} {
		status, _ := get(t, s.Client(), s.URL)
		require.Equal(t, http.StatusOK, status)
	}
	require.Len(t, reached, 2)
	reached = nil

	g, dir := atGateway(t, names{"named.example": "127.0.0.1"}, addressOf(named), "named.example:443", "named.example:80")
	client := through(dir)
	for what, address := range map[string]string{
		"another port":               other.URL,
		"another port, by TLS":       secure.URL,
		"another spelling":           strings.Replace(other.URL, "127.0.0.1", "localhost", 1),
		"an IPv4 address in IPv6":    strings.Replace(named.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1),
		"another name":               "http://other.example/",
		"a part of the name":         "http://example/",
		"a longer name":              "http://named.example.evil.example/",
		"a name with a dot":          "http://named.example./",
		"a credential before a host": "http://named.example:80@" + addressOf(other) + "/",
		"the engine's own, by name":  "http://named.example/",
	} {
		status, body := get(t, client, address)
		assert.NotEqual(t, http.StatusOK, status, what)
		assert.True(t, status == http.StatusForbidden || strings.Contains(body, "Forbidden"), "%s: %d %s", what, status, body)
	}
	// A redirect is the client's to follow, and leads no further.
	status, _ := get(t, client, named.URL+"/elsewhere?to="+other.URL)
	assert.Equal(t, http.StatusFound, status)
	assert.Empty(t, reached)
	assert.EqualValues(t, 10, g.usage().Refused)
	assert.Len(t, g.usage().Used, 1)
}

// TestGatewayReadsRequests: what is said by hand.
func TestGatewayReadsRequests(t *testing.T) {
	var reached []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached = append(reached, r.Host) }))
	defer other.Close()
	named := httptest.NewServer(http.HandlerFunc(echo))
	defer named.Close()
	_, dir := atGateway(t, nil, addressOf(named))
	say := func(text string) (status int, body string) {
		conn, err := net.Dial("unix", filepath.Join(dir, build.GatewaySocket))
		require.NoError(t, err)
		defer conn.Close()
		go func() { _, _ = io.WriteString(conn, text) }()
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return 0, err.Error() // it was hung up on
		}
		defer response.Body.Close()
		content, _ := io.ReadAll(response.Body) // a refusal may hang up before its end
		return response.StatusCode, string(content)
	}
	n, o := addressOf(named), addressOf(other)
	// The address counts, and is what the server is told.
	status, body := say("GET http://" + n + "/ HTTP/1.1\r\nHost: " + o + "\r\n\r\n")
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, "GET "+n+" / ", body)
	for what, request := range map[string]string{
		"no address":                "GET / HTTP/1.1\r\nHost: " + n + "\r\n\r\n",
		"another address":           "GET http://" + o + "/ HTTP/1.1\r\nHost: " + n + "\r\n\r\n",
		"https without a tunnel":    "GET https://" + n + "/ HTTP/1.1\r\nHost: " + n + "\r\n\r\n",
		"another scheme":            "GET ftp://" + n + "/ HTTP/1.1\r\nHost: " + n + "\r\n\r\n",
		"a tunnel to another":       "CONNECT " + o + " HTTP/1.1\r\nHost: " + n + "\r\n\r\n",
		"a tunnel without a port":   "CONNECT 127.0.0.1 HTTP/1.1\r\nHost: " + n + "\r\n\r\n",
		"a tunnel with a path":      "CONNECT " + n + "/x HTTP/1.1\r\nHost: " + n + "\r\n\r\n",
		"a tunnel with a user":      "CONNECT x@" + n + " HTTP/1.1\r\nHost: " + n + "\r\n\r\n",
		"a line within an address":  "GET http://" + n + "/\r\nX: http://" + o + "/ HTTP/1.1\r\nHost: " + n + "\r\n\r\n",
		"a line within a host":      "CONNECT " + n + "\nGET http://" + o + "/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"an escaped line":           "GET http://" + n + "%0d%0aHost:%20" + o + "/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"two lengths":               "POST http://" + n + "/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 60\r\n\r\nabcdeGET http://" + o + "/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"no HTTP":                   "\x16\x03\x01\x00\x00\r\n\r\n",
		"no host behind the scheme": "GET http:/// HTTP/1.1\r\nHost: " + n + "\r\n\r\n",
		"an endless header":         "GET http://" + n + "/ HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<18) + "\r\n\r\n",
	} {
		status, _ := say(request)
		assert.True(t, status == 0 || status >= 400, "%s: %d", what, status)
	}
	// What hides behind a good request is another one, and judged as that.
	say("POST http://" + n + "/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nabGET http://" + o + "/ HTTP/1.1\r\nHost: " + n + "\r\n\r\n")
	assert.Empty(t, reached)
}

// TestGatewayHoldsTLSToItsHost: a server can answer for more hosts than the one that is
// named.
func TestGatewayHoldsTLSToItsHost(t *testing.T) {
	var reached []string
	server := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	server.TLS = &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		reached = append(reached, h.ServerName)
		return nil, nil
	}}
	server.StartTLS()
	defer server.Close()
	_, port, err := net.SplitHostPort(addressOf(server))
	require.NoError(t, err)
	g, dir := atGateway(t, names{"named.example": "192.0.2.1"}, addressOf(server), "named.example:"+port)
	handshake := func(name string) error {
		conn, err := net.Dial("unix", filepath.Join(dir, build.GatewaySocket))
		require.NoError(t, err)
		defer conn.Close()
		fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: x\r\n\r\n", addressOf(server))
		reader := bufio.NewReader(conn)
		response, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.NoError(t, response.Body.Close())
		if name == "plain" {
			_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			_, err = reader.ReadByte()
			return err
		}
		return tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
	}
	require.NoError(t, handshake(""))
	require.NoError(t, handshake("127.0.0.1"), "an address is no server name")
	require.Equal(t, []string{"", ""}, reached)
	assert.Error(t, handshake("fronted.example"))
	assert.Error(t, handshake("plain"))
	assert.Equal(t, []string{"", ""}, reached)
	assert.EqualValues(t, 2, g.usage().Refused)
}

func TestGatewayLooksWhereNamesLead(t *testing.T) {
	g, err := newGateway([]string{"named.example:443"})
	require.NoError(t, err)
	g.own = func() ([]netip.Prefix, error) {
		return []netip.Prefix{netip.MustParsePrefix("10.87.0.5/16"), netip.MustParsePrefix("2001:db8::5/64")}, nil
	}
	for _, found := range []string{
		"127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "169.254.87.1", "169.254.169.254", "fe80::1", "10.87.0.1", "10.87.255.1",
		"::ffff:127.0.0.1", "::ffff:10.87.0.1", "2001:db8::1", "224.0.0.1", "255.255.255.255", "203.0.113.1 127.0.0.1",
	} {
		g.lookup = names{"named.example": found}.lookup
		_, err := g.outside(t.Context(), "named.example")
		assert.ErrorIs(t, err, errInside, found)
	}
	for _, found := range []string{"203.0.113.1", "10.88.0.1", "192.168.1.1 2001:db8:1::1", "::ffff:203.0.113.1"} {
		g.lookup = names{"named.example": found}.lookup
		addresses, err := g.outside(t.Context(), "named.example")
		assert.NoError(t, err, found)
		assert.NotEmpty(t, addresses)
	}
	g.lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, nil }
	_, err = g.outside(t.Context(), "named.example")
	assert.Error(t, err)
}

func TestGatewayNeedsHosts(t *testing.T) {
	for _, hosts := range [][]string{nil, {"*.example.org:443"}, {"example.org"}, {"Example.org:443"}, {"example.org:443", "example.org:0"}} {
		_, err := newGateway(hosts)
		assert.Error(t, err, hosts)
	}
}

func TestOwnNetworks(t *testing.T) {
	own, err := ownNetworks()
	require.NoError(t, err)
	assert.Contains(t, own, netip.MustParsePrefix("127.0.0.1/8"))
}

// TestBoxWithNetwork: a command in a container without a network reaches the named
// server through the box, and no other in any way.
func TestBoxWithNetwork(t *testing.T) {
	var reached []string
	named, other := httptest.NewServer(http.HandlerFunc(echo)), httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached = append(reached, r.Host) }))
	defer named.Close()
	defer other.Close()
	g, dir := atGateway(t, nil, addressOf(named))
	for _, flags := range [][]string{nil, {"--keep-user"}} {
		c := newContainer(t)
		c.binds = []string{dir}
		args := append(append([]string{boxProgram, "run", "--network=" + dir}, flags...), "--", hostile, "network", named.URL, other.URL)
		stdout, stderr, code := c.run(t, args...)
		assert.Zero(t, code, stderr)
		assert.Equal(t, strings.Join([]string{
			"through the proxy: 200 OK", "the other one: 403 Forbidden", "by hand: false", "the other one by hand: false",
			"in a user's namespaces: false", "the first one's network: false", "a raw socket: false", "an interface: 0", "",
		}, "\n"), stdout)
	}
	assert.Empty(t, reached)
	assert.EqualValues(t, 2, g.usage().Refused)
	require.Len(t, g.usage().Used, 1)
	assert.EqualValues(t, 2, g.usage().Used[0].Connections)
}

// TestGuardsHoldWithANetwork: it takes nothing away from the rest of the box.
func TestGuardsHoldWithANetwork(t *testing.T) {
	_, dir := atGateway(t, nil, "192.0.2.1:80")
	c := newContainer(t)
	c.binds = []string{dir}
	shown, _, code := c.run(t, boxProgram, "run", "--network="+dir, "--", hostile, "show")
	assert.Zero(t, code)
	plain, _, _ := contained(t, boxProgram, "run", "--", hostile, "show")
	assert.Equal(t, plain, shown)
	// What it writes beside the socket counts.
	_, stderr, code := c.run(t, boxProgram, "run", "--keep-user", "--disk=16MiB", "--network="+dir, "--", hostile, "fill", dir)
	assert.Equal(t, exitLimit, code)
	assert.Contains(t, stderr, "slipway-box: limit: disk")
}

func TestNoGatewayNoCommand(t *testing.T) {
	dir := openDir(t)
	c := newContainer(t)
	c.binds = []string{dir}
	stdout, stderr, code := c.run(t, boxProgram, "run", "--network="+dir, "--", hostile, "exit")
	assert.Equal(t, exitLimit, code)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "slipway-box: the network that the app asks for is not there")
}

func TestNetworkEnv(t *testing.T) {
	env := networkEnv([]string{"PATH=/bin", "https_proxy=http://evil", "HTTP_PROXY=http://evil", "No_Proxy=*", "all_proxy=socks5://evil", "NOT_A_PROXY=x"}, "http://p")
	assert.Equal(t, []string{
		"PATH=/bin", "NOT_A_PROXY=x", "HTTP_PROXY=http://p", "http_proxy=http://p", "HTTPS_PROXY=http://p", "https_proxy=http://p",
		"NO_PROXY=localhost,127.0.0.1,::1", "no_proxy=localhost,127.0.0.1,::1",
	}, env)
}
