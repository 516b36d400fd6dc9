package server

import (
	"errors"
	"fmt"
	"log"
	"net"
	"syscall"
)

// DefaultAddress is the address that slipway.yaml names: this machine only.
const DefaultAddress = "127.0.0.1:5000"

// Listen opens the socket. The error of a taken port names the port and the
// flag that chooses another.
func Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		_, port, _ := net.SplitHostPort(address)
		return nil, fmt.Errorf("port %s is in use by another program: stop that, or choose another address with -listen: %w", port, err)
	}
	if err != nil {
		return nil, fmt.Errorf("-listen %q: %w", address, err)
	}
	return l, nil
}

// Prefer opens the socket, and takes a free port of the same host where the
// one asked for is in use.
func Prefer(address string) (net.Listener, error) {
	l, err := Listen(address)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return l, err
	}
	host, port, _ := net.SplitHostPort(address)
	if l, err = Listen(net.JoinHostPort(host, "0")); err == nil {
		log.Printf("port %s is in use; taking %s", port, l.Addr())
	}
	return l, err
}
