// Command web is the program that the engine's tests run in scratch
// containers: web serve ADDR, web get URL, web cat FILE, web time now.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: web serve ADDR | get URL | cat FILE | time now")
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
	case "time":
		fmt.Print(time.Now().UnixNano())
	}
}
