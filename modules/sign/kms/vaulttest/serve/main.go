// Command serve runs the stand-in of package vaulttest on loopback until it is
// interrupted:
//
//	serve --out DIR
//
// DIR gets ca.pem, the certificate that it serves with, for the host kms; then
// credentials, what with-kms-key takes; and at last address, host and port that it
// listens at. Key, token and certificate are new each time.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"slipway/sign/kms/vaulttest"
)

func main() {
	out := flag.String("out", "", "`folder` that gets ca.pem, credentials and address")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, out string) error {
	if out == "" {
		return errors.New("--out is not given")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	certificate, err := certify("kms")
	if err != nil {
		return err
	}
	vault := &vaulttest.Vault{Key: key, Token: "hvs." + rand.Text()}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return err
	}
	for _, file := range []struct{ name, text string }{
		{"ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))},
		{"credentials", "VAULT_ADDR=https://kms:" + port + "\nVAULT_TOKEN=" + vault.Token + "\nVAULT_MAX_RETRIES=0\n"},
		{"address", listener.Addr().String()},
	} {
		if err := write(filepath.Join(out, file.name), file.text); err != nil {
			return err
		}
	}
	server := &http.Server{Handler: vault, TLSConfig: &tls.Config{Certificates: []tls.Certificate{*certificate}}, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// write writes a file whole or not at all.
func write(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func certify(host string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stand-in Vault"}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
