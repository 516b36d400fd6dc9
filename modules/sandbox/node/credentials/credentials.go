// Package credentials gives Argo CD the secrets that Git doesn't hold: its
// passwords and certificates, derived from the cluster's seed.
package credentials

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/crypto/bcrypt"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"slipway/sandbox/pki"
)

// Namespace is Argo CD's.
const Namespace = "argocd"

// Label of the namespaces that the sandbox's authority is made known to, in a
// config map of the name CA.
const (
	Label = "slipway.dev/sandbox-ca"
	CA    = "sandbox-ca"
)

// Ensure creates what is missing and renews the certificates.
func Ensure(ctx context.Context, client kubernetes.Interface, authority *pki.Authority) error {
	ca := authority.Certificate()
	for name, hosts := range map[string][]string{
		"argocd-server-tls":      {"localhost", "argocd-server", "argocd-server.argocd.svc"},
		"argocd-repo-server-tls": {"argocd-repo-server", "argocd-repo-server.argocd.svc"},
	} {
		pair, err := authority.Server(name, hosts...)
		if err != nil {
			return err
		}
		err = put(ctx, client, name, corev1.SecretTypeTLS, map[string][]byte{"tls.crt": pair.Certificate, "tls.key": pair.Key, "ca.crt": ca}, true)
		if err != nil {
			return err
		}
	}
	redis, err := authority.Password("argocd-redis")
	if err != nil {
		return err
	}
	if err := put(ctx, client, "argocd-redis", corev1.SecretTypeOpaque, map[string][]byte{"auth": []byte(redis)}, true); err != nil {
		return err
	}
	admin, err := adminSecret(authority)
	if err != nil {
		return err
	}
	// Argo CD keeps data of its own in this one.
	if err := put(ctx, client, "argocd-secret", corev1.SecretTypeOpaque, admin, false); err != nil {
		return err
	}
	return publish(ctx, client, ca)
}

func adminSecret(authority *pki.Authority) (map[string][]byte, error) {
	password, err := authority.Password("argocd-admin")
	if err != nil {
		return nil, err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return nil, err
	}
	session, err := authority.Password("argocd-sessions")
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"admin.password": hash, "admin.passwordMtime": []byte(time.Now().UTC().Format(time.RFC3339)),
		"server.secretkey": []byte(session),
	}, nil
}

// put creates a secret; one that exists is replaced only if replace says so.
func put(ctx context.Context, client kubernetes.Interface, name string, kind corev1.SecretType, data map[string][]byte, replace bool) error {
	want := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: Namespace, Labels: map[string]string{"app.kubernetes.io/part-of": "argocd", "app.kubernetes.io/name": name}},
		Type:       kind, Data: data,
	}
	secrets := client.CoreV1().Secrets(Namespace)
	_, err := secrets.Create(ctx, want, metav1.CreateOptions{})
	if errors.IsAlreadyExists(err) {
		if !replace {
			return nil
		}
		_, err = secrets.Update(ctx, want, metav1.UpdateOptions{})
	}
	if err != nil {
		return fmt.Errorf("secret %s: %w", name, err)
	}
	return nil
}

// publish tells the authority's certificate to the namespaces that ask for it.
func publish(ctx context.Context, client kubernetes.Interface, ca []byte) error {
	list, err := client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{LabelSelector: Label + "=true"})
	if err != nil {
		return err
	}
	for _, namespace := range list.Items {
		want := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: CA, Namespace: namespace.Name}, Data: map[string]string{"ca.crt": string(ca)}}
		maps := client.CoreV1().ConfigMaps(namespace.Name)
		_, err := maps.Create(ctx, want, metav1.CreateOptions{})
		if errors.IsAlreadyExists(err) {
			_, err = maps.Update(ctx, want, metav1.UpdateOptions{})
		}
		if err != nil {
			return fmt.Errorf("publish the sandbox's authority in %s: %w", namespace.Name, err)
		}
	}
	return nil
}
