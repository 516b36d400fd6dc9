// Command slipway-pod is what the sandbox's own pods need beside their programs:
//
//	slipway-pod                                   hold a pod's namespaces, and nothing else
//	slipway-pod forward LISTEN HOST:PORT CAFILE   carry connections from LISTEN over TLS
//
// forward makes a pod's localhost mean what it means on the developer's machine:
// the sandbox's registry and Git remote. The connection leaves the pod inside
// TLS, with the server's certificate checked against CAFILE.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	// The first process of a pod inherits orphans; the kernel collects them.
	signal.Ignore(syscall.SIGCHLD)
	if len(os.Args) > 1 {
		if err := forward(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "slipway-pod:", err)
			os.Exit(1)
		}
	}
	<-ended
}

func forward(args []string) error {
	if len(args) != 4 || args[0] != "forward" {
		return fmt.Errorf("usage: slipway-pod [forward LISTEN HOST:PORT CAFILE]")
	}
	ca, err := os.ReadFile(args[3])
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return fmt.Errorf("%s holds no certificate", args[3])
	}
	listener, err := net.Listen("tcp", args[1])
	if err != nil {
		return err
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				fmt.Fprintln(os.Stderr, "slipway-pod:", err)
				os.Exit(1)
			}
			go carry(near, dialer, args[2], config)
		}
	}()
	return nil
}

func carry(near net.Conn, dialer *net.Dialer, address string, config *tls.Config) {
	defer func() { _ = near.Close() }()
	far, err := tls.DialWithDialer(dialer, "tcp", address, config)
	if err != nil {
		fmt.Fprintf(os.Stderr, "slipway-pod: %s: %v\n", address, err)
		return
	}
	defer func() { _ = far.Close() }()
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(far, near)
		_ = far.CloseWrite()
		close(done)
	}()
	_, _ = io.Copy(near, far)
	if tcp, ok := near.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
	<-done
}
