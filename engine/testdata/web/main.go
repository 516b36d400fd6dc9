// Command web is the program that the engine's tests run in scratch
// containers: web serve ADDR, web get URL, web cat FILE, web time now, web dial
// ADDR;…, web lookup NAME.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: web serve ADDR | get URL | cat FILE | time now | dial ADDR;… | lookup NAME")
	}
	switch argument := os.Args[2]; os.Args[1] {
	case "serve":
		http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "served") })
		log.Fatal(http.ListenAndServe(argument, nil))
	case "get":
		response, err := http.Get(argument)
		if err != nil {
			log.Fatal(err)
		}
		defer response.Body.Close()
		if _, err := io.Copy(os.Stdout, response.Body); err != nil {
			log.Fatal(err)
		}
	case "cat":
		content, err := os.ReadFile(argument)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s", content)
	case "dial":
		var said strings.Builder
		for address := range strings.SplitSeq(argument, ";") {
			conn, err := net.DialTimeout("tcp", address, 10*time.Second)
			if err != nil {
				fmt.Fprintln(&said, address, err)
				continue
			}
			fmt.Fprintln(&said, address, "reached")
			if err := conn.Close(); err != nil {
				log.Fatal(err)
			}
		}
		fmt.Print(said.String())
		if err := os.WriteFile("/dialled", []byte(said.String()), 0o644); err != nil {
			log.Fatal(err)
		}
	case "lookup":
		fmt.Print(net.LookupHost(argument))
	case "time":
		fmt.Print(time.Now().UnixNano())
	}
}
