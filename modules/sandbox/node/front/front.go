// Package front is how the cluster is reached from outside of its node, and how
// the node reaches what stands beside it.
package front

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Forward carries every connection of a listener to the address that to gives
// for it, until ctx ends.
func Forward(ctx context.Context, listener net.Listener, to func(context.Context) (string, error), say func(string, ...any)) {
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	for {
		near, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = near.Close() }()
			address, err := to(ctx)
			if err != nil {
				say("%s: %v", listener.Addr(), err)
				return
			}
			far, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			if err != nil {
				say("%s: %v", listener.Addr(), err)
				return
			}
			defer func() { _ = far.Close() }()
			join(near, far)
		}()
	}
}

// join copies both ways and returns when both ends have finished.
func join(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			if half, ok := way[0].(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
		})
	}
	both.Wait()
}

// TLS listens on an address with a certificate in PEM.
func TLS(address string, certificate, key []byte) (net.Listener, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	return tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
}

// Service returns the address of a port of a Kubernetes service.
func Service(client kubernetes.Interface, namespace, name, port string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		service, err := client.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		for _, p := range service.Spec.Ports {
			if port == "" || p.Name == port {
				return net.JoinHostPort(service.Spec.ClusterIP, fmt.Sprint(p.Port)), nil
			}
		}
		return "", fmt.Errorf("service %s/%s has no port %q", namespace, name, port)
	}
}

// Apps answers for http://<app>.<environment>.localhost with the service <app>
// of the namespace <app>-<environment>: a stand-in for an ingress controller.
func Apps(client kubernetes.Interface) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetXForwarded()
			r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Context().Value(target{}).(string)
			r.Out.Host = r.In.Host
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.Host, ":")
		labels := strings.Split(strings.TrimSuffix(host, ".localhost"), ".")
		if !strings.HasSuffix(host, ".localhost") || len(labels) != 2 {
			http.Error(w, "Ask for an app as http://<app>.<environment>.localhost.", http.StatusNotFound)
			return
		}
		address, err := Service(client, labels[0]+"-"+labels[1], labels[0], "")(r.Context())
		if errors.IsNotFound(err) {
			http.Error(w, fmt.Sprintf("No app %s in %s.", labels[0], labels[1]), http.StatusNotFound)
			return
		}
		if err != nil {
			http.Error(w, "The cluster's API does not answer.", http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), target{}, address)))
	})
}

type target struct{}
