package main

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"

	"slipway/step/result/build"
)

// proxyAddress is where a box with a network has its proxy: the same in each box, so
// that what a build notes of it is the same.
const proxyAddress = "127.0.0.1:3128"

// serveNetwork lets the box's processes reach the gateway whose socket is in a folder,
// for as long as the box is, and returns the proxy's address. It decides nothing: the
// container has no network, and the gateway holds whoever asks it to the named hosts.
func serveNetwork(dir string) (string, error) {
	socket := filepath.Join(dir, build.GatewaySocket)
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return "", fmt.Errorf("the network that the app asks for is not there: this engine does not share a socket between a build and its gateway: %w", err)
	}
	conn.Close()
	listener, err := net.Listen("tcp", proxyAddress)
	if err != nil {
		return "", fmt.Errorf("make the box's proxy: %w", err)
	}
	clients := &bounded{Listener: listener, free: make(chan struct{}, maxConnections)}
	go func() {
		for {
			client, err := clients.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				out, err := net.Dial("unix", socket)
				if err != nil {
					return // the command sees that nobody answers
				}
				defer out.Close()
				splice(client, client, out, out)
			}()
		}
	}()
	return "http://" + proxyAddress, nil
}

// networkEnv is an environment in which programs ask the proxy at an address, except
// for what the box itself has.
func networkEnv(env []string, address string) []string {
	settings := map[string]string{"HTTP_PROXY": address, "HTTPS_PROXY": address, "NO_PROXY": "localhost,127.0.0.1,::1"}
	out := slices.DeleteFunc(slices.Clone(env), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return settings[strings.ToUpper(name)] != "" || strings.EqualFold(name, "ALL_PROXY")
	})
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		out = append(out, name+"="+settings[name], strings.ToLower(name)+"="+settings[name])
	}
	return out
}
