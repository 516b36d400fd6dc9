package credentials

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"slipway/sandbox/pki"
)

func TestEnsureMakesWhatIsMissingAndKeepsWhatArgoCDWrote(t *testing.T) {
	authority, err := pki.New([]byte("a seed that only these tests know"))
	require.NoError(t, err)
	client := fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "argocd", Labels: map[string]string{Label: "true"}}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "hello-dev"}})
	require.NoError(t, Ensure(t.Context(), client, authority))
	secret := func(name string) *corev1.Secret {
		t.Helper()
		s, err := client.CoreV1().Secrets(Namespace).Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err, name)
		return s
	}
	password, err := authority.Password("argocd-admin")
	require.NoError(t, err)
	require.NoError(t, bcrypt.CompareHashAndPassword(secret("argocd-secret").Data["admin.password"], []byte(password)))
	assert.NotEmpty(t, secret("argocd-repo-server-tls").Data["tls.key"])
	ca, err := client.CoreV1().ConfigMaps("argocd").Get(t.Context(), CA, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Contains(t, ca.Data["ca.crt"], "BEGIN CERTIFICATE")
	maps, err := client.CoreV1().ConfigMaps("hello-dev").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	assert.Empty(t, maps.Items, "only namespaces that ask get it")

	changed := secret("argocd-secret")
	changed.Data["webhook.github.secret"] = []byte("set by somebody")
	_, err = client.CoreV1().Secrets(Namespace).Update(t.Context(), changed, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.NoError(t, Ensure(t.Context(), client, authority))
	assert.Equal(t, changed.Data, secret("argocd-secret").Data)
}
