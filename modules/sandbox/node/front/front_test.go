package front

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"slipway/sandbox/pki"
)

func TestAppsRoutesByHostName(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.Host + r.URL.Path + " for " + r.Header.Get("X-Forwarded-Host")))
	}))
	defer app.Close()
	at, err := url.Parse(app.URL)
	require.NoError(t, err)
	port, err := strconv.Atoi(at.Port())
	require.NoError(t, err)
	handler := Apps(fake.NewClientset(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hello-dev", Name: "hello"},
		Spec:       corev1.ServiceSpec{ClusterIP: at.Hostname(), Ports: []corev1.ServicePort{{Name: "http", Port: int32(port)}}},
	}))
	ask := func(host string) (int, string) {
		request := httptest.NewRequest(http.MethodGet, "http://"+host+"/readyz", nil)
		recorded := httptest.NewRecorder()
		handler.ServeHTTP(recorded, request)
		return recorded.Code, recorded.Body.String()
	}
	code, body := ask("hello.dev.localhost:8080")
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, "hello.dev.localhost:8080/readyz for hello.dev.localhost:8080", body)
	code, body = ask("hello.staging.localhost")
	assert.Equal(t, http.StatusNotFound, code)
	assert.Contains(t, body, "No app hello in staging")
	for _, host := range []string{"localhost", "a.b.c.localhost", "hello.dev.example.org"} {
		code, body = ask(host)
		assert.Equal(t, http.StatusNotFound, code, host)
		assert.Contains(t, body, "http://<app>.<environment>.localhost", host)
	}
}

func TestForwardCarriesBothWaysInsideTLS(t *testing.T) {
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	authority, err := pki.New([]byte("a seed that only these tests know"))
	require.NoError(t, err)
	pair, err := authority.Server("sandbox", "sandbox")
	require.NoError(t, err)
	listener, err := TLS("127.0.0.1:0", pair.Certificate, pair.Key)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		Forward(ctx, listener, func(context.Context) (string, error) { return echo.Addr().String(), nil }, t.Logf)
		close(ended)
	}()
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(authority.Certificate()))
	c, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "sandbox", MinVersion: tls.VersionTLS13})
	require.NoError(t, err)
	_, err = c.Write([]byte("hello"))
	require.NoError(t, err)
	require.NoError(t, c.CloseWrite())
	data, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Equal(t, "hello", string(data))
	_, err = tls.Dial("tcp", listener.Addr().String(), &tls.Config{ServerName: "sandbox", MinVersion: tls.VersionTLS13})
	require.Error(t, err, "whoever does not know the authority does not get through")
	cancel()
	<-ended
}
