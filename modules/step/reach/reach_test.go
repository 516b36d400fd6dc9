package reach

import (
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/step"
	"slipway/step/steptest"
)

func TestConnectionsAreDialled(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	connections, err := parseConnections("scan", "--connect", []string{"localhost:5000=" + listener.Addr().String(), "[::1]:80=a:1"})
	if err != nil || connections["[::1]:80"] != "a:1" || len(connections) != 2 {
		t.Fatal(connections, err)
	}
	for _, address := range []string{"localhost:5000", listener.Addr().String()} {
		conn, err := connections.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(address, err)
		}
		if got := conn.RemoteAddr().String(); got != listener.Addr().String() {
			t.Error(address, "leads to", got)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestConnectionsRefuse(t *testing.T) {
	for _, value := range []string{
		"", "=", "localhost:5000", "localhost=registry", "localhost=registry:5000", "localhost:5000=registry", "localhost:5000=", "=registry:5000",
		":5000=registry:5000", "localhost:=registry:5000", "http://a:1=b:1", "a:1=http://b:1", "a:1=b:1=c:1", "::1:80=a:1",
		"a", "a=b", "a:1", "a:1=b", ":1=b:2", "a:=b:2", "=a:1", "localhost:1=", "=b:1", "a:1=b:1/x", "a:1=u@b:1", "a:1=b :1", "a:1=b:1#x", "a:1=b:1?x", "a:1=b:1\n",
	} {
		_, err := parseConnections("scan", "--connect", []string{value})
		if f := steptest.Refused(t, err); f.Kind != step.KindInput || f.Stage != "scan" || f.Reason != "is not LOGICAL=ACTUAL" || !strings.HasPrefix(f.Input, "--connect ") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestFlag(t *testing.T) {
	parse := func(args ...string) (Connections, error) {
		set := flag.NewFlagSet("test", flag.ContinueOnError)
		read := Flag(set, "identity-connect", "where it is reached")
		if err := set.Parse(args); err != nil {
			t.Fatal(err)
		}
		return read("sign")
	}
	const again = "--identity-connect=a:1=b:1"
	if connections, err := parse(again, again, "--identity-connect=c:1=d:1"); err != nil || len(connections) != 2 || connections["a:1"] != "b:1" {
		t.Error(connections, err)
	}
	_, err := parse(again, "--identity-connect=a:1=c:1")
	if f := steptest.Refused(t, err); f.Stage != "sign" || f.Reason != "leads elsewhere than before: a:1=b:1" || f.Input != `--identity-connect "a:1=c:1"` {
		t.Error(err)
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.example": false, "x.localhost": false, "127.0.0.1.example": false, "10.0.0.1": false, "169.254.169.254": false, "0.0.0.0": false, "::": false, "localhost:80": false,
	} {
		if Loopback(host) != want {
			t.Errorf("%q", host)
		}
	}
}

func TestPassword(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	for content, want := range map[string]string{"sword fish": "sword fish", "sword fish\n": "sword fish", "sword fish\r\n": "sword fish", " a\n\n": " a\n"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Password("scan", "--password-file", file); err != nil || got != want {
			t.Errorf("%q: %q, %v", content, got, err)
		}
	}
	if err := os.WriteFile(file, []byte("\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, reason := range map[string]string{
		file: "is empty", file + "x": "can't be read: no such file or directory", filepath.Dir(file): "can't be read: is a directory",
	} {
		_, err := Password("scan", "--password-file", name)
		if f := steptest.Refused(t, err); f.Kind != step.KindInput || f.Input != "--password-file "+name || f.Reason != reason {
			t.Error(err)
		}
	}
}
