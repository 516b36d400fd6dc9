// Command neighbour is a server in a container of the engine, and what asks one.
//
//	neighbour                serves at two ports, and says at which address
//	neighbour HOST:PORT      prints what is answered there
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
)

func main() {
	if len(os.Args) > 1 {
		response, err := http.Get("http://" + os.Args[1])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_, _ = io.Copy(os.Stdout, response.Body)
		return
	}
	answer := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		panic(err)
	}
	named, err := net.Listen("tcp", ":8080")
	if err != nil {
		panic(err)
	}
	other, err := net.Listen("tcp", ":8081")
	if err != nil {
		panic(err)
	}
	for _, address := range addresses {
		if ip := address.(*net.IPNet).IP; ip.IsGlobalUnicast() {
			fmt.Printf("neighbour at <%s>\n", ip)
		}
	}
	go func() { panic(http.Serve(other, answer("the neighbour's other port"))) }()
	panic(http.Serve(named, answer("the neighbour answers")))
}
