// Command slipway-azure runs the stand-in for Azure at a loopback address, on
// the ground that a file describes, until it is interrupted:
//
//	slipway-azure -address 127.0.0.1:5443 -ground ground.json -ca ca.pem
//
// Clients reach it with HTTPS_PROXY, and trust it with SSL_CERT_FILE.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"slipway/sandbox/azure"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	fs := flag.NewFlagSet("slipway-azure", flag.ContinueOnError)
	address := fs.String("address", "127.0.0.1:0", "loopback host:port to listen at")
	file := fs.String("ground", "", "JSON file of the ground: tenant, subscription, identities, pipelines")
	ca := fs.String("ca", "", "file that the authority's certificate is written to")
	certificate := fs.String("blob-certificate", "", "file that the certificate of the ground's blob service is written to")
	key := fs.String("blob-key", "", "file that its key is written to")
	if err := fs.Parse(args); err != nil {
		return err
	}
	data, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	var ground azure.Ground
	if err := json.Unmarshal(data, &ground); err != nil {
		return fmt.Errorf("%s: %w", *file, err)
	}
	server, err := azure.Start(*address, ground)
	if err != nil {
		return err
	}
	defer server.Close()
	blobCertificate, blobKey, err := server.Certificate()
	if err != nil {
		return err
	}
	for file, data := range map[string][]byte{*ca: server.CA, *certificate: blobCertificate, *key: blobKey} {
		if file == "" {
			continue
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			return err
		}
	}
	fmt.Println(azure.Description + " at " + server.URL)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	return nil
}
