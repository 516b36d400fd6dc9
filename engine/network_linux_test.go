//go:build engine

package engine

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// The machine of these tests and another one beyond it.
const (
	machineAddress = "198.51.100.1"
	outsideAddress = "198.51.100.2"
)

// outside links this process's network to another machine, and returns what runs
// work on that.
func outside(t *testing.T) func(work func()) {
	t.Helper()
	jobs, done := make(chan func()), make(chan error)
	go func() {
		// Never unlocked: the thread ends with its namespace.
		runtime.LockOSThread()
		done <- func() error {
			machine, err := netns.Get()
			if err != nil {
				return err
			}
			defer machine.Close()
			if _, err := netns.New(); err != nil {
				return err
			}
			attributes := netlink.NewLinkAttrs()
			attributes.Name = "eth0"
			if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "outside", PeerNamespace: netlink.NsFd(machine)}); err != nil {
				return err
			}
			return setUp("eth0", outsideAddress, testNetwork.containers(), machineAddress)
		}()
		for job := range jobs {
			job()
			done <- nil
		}
	}()
	require.NoError(t, <-done)
	t.Cleanup(func() { close(jobs) })
	require.NoError(t, setUp("outside", machineAddress, "", ""))
	return func(work func()) {
		jobs <- work
		require.NoError(t, <-done)
	}
}

// accepts listens at an address and lets go of what connects; it returns the port.
func accepts(t *testing.T, address string) string {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, listener.Close()) })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	return port
}

func dialled(address string) error {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// nameserver answers every question at an address with "no such name", and passes
// each on.
func nameserver(t *testing.T, address string) <-chan string {
	t.Helper()
	conn, err := net.ListenPacket("udp", net.JoinHostPort(address, "53"))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })
	asked := make(chan string, 100)
	go func() {
		packet := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			asked <- string(packet[:n])
			packet[2], packet[3] = packet[2]|0x80, 3
			_, _ = conn.WriteTo(packet[:n], from)
		}
	}()
	return asked
}

func TestNetwork(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	onOutside := outside(t)
	asked := nameserver(t, machineAddress)
	resolvFiles = []string{filepath.Join(t.TempDir(), "resolv.conf")}
	require.NoError(t, os.WriteFile(resolvFiles[0], []byte("nameserver "+machineAddress+"\n"), 0o600))
	port := accepts(t, "0.0.0.0:0")
	var far string
	onOutside(func() { far = accepts(t, outsideAddress+":0") })
	// As Docker publishes a container's port.
	restore := exec.CommandContext(t.Context(), "iptables-restore", "--noflush")
	restore.Stdin = strings.NewReader("*nat\n-A PREROUTING -p tcp --dport 7777 -j DNAT --to-destination " + outsideAddress + ":" + far +
		"\n-A POSTROUTING -p tcp -d " + outsideAddress + " --dport " + far + " -s " + outsideAddress + " -j MASQUERADE\nCOMMIT\n")
	require.NoError(t, run(restore))

	l := ownLauncher(t)
	require.NoError(t, l.Up(t.Context()))
	program := buildWeb(t)
	const published = machineAddress + ":7777"
	own := []string{machineAddress + ":" + port, l.Network.machine() + ":" + port, "127.0.0.1:" + port}
	elsewhere := net.JoinHostPort(outsideAddress, far)

	t.Run("control", func(t *testing.T) {
		for _, address := range append(own, elsewhere) {
			require.NoError(t, dialled(address), address)
		}
		onOutside(func() {
			assert.NoError(t, dialled(own[0]), "the machine's port is open to others")
			assert.NoError(t, dialled(published), "and so is the published one")
		})
	})
	refused := func(t *testing.T, said string) {
		t.Helper()
		for _, address := range append(own, published) {
			assert.Contains(t, said, fmt.Sprintf("%s dial tcp %[1]s: connect: connection refused\n", address))
		}
		assert.Contains(t, said, elsewhere+" reached")
	}
	attempts := strings.Join(append(own, published, elsewhere), ";")
	t.Run("a container reaches nothing of the machine", func(t *testing.T) {
		refused(t, l.inContainer(t, program, "dial", attempts)+"\n")
	})
	t.Run("nor does one in the engine's own network", func(t *testing.T) {
		c := cli{env: append(os.Environ(), l.Environ(t.Context())...), dir: t.TempDir()}
		said, _ := c.must(t, "core", "-s", "directory", "with-file", "--path=/web", "--source="+program, "--permissions=493",
			"with-new-file", "--path=Dockerfile", "--contents=FROM scratch\nCOPY web /web\nRUN --network=host [\"/web\",\"dial\",\""+attempts+"\"]\n",
			"docker-build", "file", "--path=/dialled", "contents")
		refused(t, said)
	})
	t.Run("the machine's nameserver answers", func(t *testing.T) {
		assert.Contains(t, l.inContainer(t, program, "lookup", "from-a-container.example"), "no such host")
		require.Eventually(t, func() bool {
			select {
			case question := <-asked:
				return strings.Contains(question, "from-a-container")
			default:
				return false
			}
		}, time.Minute, lockPoll)
	})
	t.Run("only the machine reaches a container", func(t *testing.T) {
		c := cli{env: append(os.Environ(), l.Environ(t.Context())...), dir: t.TempDir()}
		go func() {
			_, _, _ = c.try(t, "core", "-s", "container", "with-file", "--path=/web", "--source="+program, "--permissions=493",
				"with-exec", "--args=/web,serve,:8080", "stdout")
		}()
		var container string
		require.Eventually(t, func() bool {
			container = l.serving(8080)
			return container != ""
		}, time.Minute, lockPoll)
		onOutside(func() { assert.ErrorContains(t, dialled(container), "connection refused") })
		require.NoError(t, dialled(container), "it is there all the time")
	})
	t.Run("the link has one address", func(t *testing.T) {
		link, err := net.InterfaceByName(l.Network.link())
		require.NoError(t, err)
		addresses, err := link.Addrs()
		require.NoError(t, err)
		assert.Equal(t, "["+l.Network.machine()+"/30]", fmt.Sprint(addresses))
	})
	t.Run("a proxy that it can't reach is refused", func(t *testing.T) {
		require.NoError(t, l.Down(t.Context()))
		other := *l
		other.Getenv = func(name string) string {
			if name == "HTTPS_PROXY" {
				return "http://127.0.0.1:3128"
			}
			return l.Getenv(name)
		}
		var said bytes.Buffer
		other.Progress = NewProgress(&said)
		require.ErrorContains(t, other.Up(t.Context()), "HTTPS_PROXY names 127.0.0.1, which the engine")
		assert.False(t, l.running())
	})
}

// serving is the address of a container that listens at a port, or "".
func (l *Launcher) serving(port uint16) string {
	var found string
	var once sync.Mutex
	var all sync.WaitGroup
	for i := range 254 {
		address := netip.AddrPortFrom(netip.MustParseAddr(fmt.Sprintf("%s0.%d", l.Network.Prefix, i+1)), port).String()
		all.Go(func() {
			if dialled(address) == nil {
				once.Lock()
				defer once.Unlock()
				found = address
			}
		})
	}
	all.Wait()
	return found
}
