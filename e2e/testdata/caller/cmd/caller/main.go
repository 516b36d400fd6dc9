// Command caller fetches from the host that its build may reach, and looks for ways to
// others.
//
//	caller HOST:PORT OTHER…   prints what the host answers, and fails where another one
//	                          can be reached, by the proxy or without
//	caller                    is the service that the image is for
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		panic(http.ListenAndServe(":8080", nil))
	}
	text, err := fetch(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	for _, other := range os.Args[2:] {
		if text, err := fetch(other); err == nil {
			fmt.Fprintln(os.Stderr, "reached by the proxy:", other, text)
			os.Exit(3)
		}
		if reached(other) {
			fmt.Fprintln(os.Stderr, "reached:", other)
			os.Exit(4)
		}
	}
	if reached(os.Args[1]) {
		fmt.Fprintln(os.Stderr, "reached without the proxy:", os.Args[1])
		os.Exit(4)
	}
	if err := os.WriteFile("/fetched", []byte(text), 0o644); err != nil {
		panic(err)
	}
}

func reached(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

func fetch(address string) (string, error) {
	client := http.Client{Timeout: 10 * time.Second}
	response, err := client.Get("http://" + address)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, content)
	}
	return string(content), err
}
