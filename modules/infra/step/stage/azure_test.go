package stage

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/infra/step/cluster"
	"slipway/step/azure"
	"slipway/step/azure/azuretest"
)

// TestMain lets the test binary be what Terraform asks for a cluster's token, as the
// step program is.
func TestMain(m *testing.M) {
	if len(os.Args) != 6 || os.Args[1] != cluster.Plugin {
		os.Exit(m.Run())
	}
	credential, err := azure.Access{Identity: os.Args[3], Token: os.Args[5]}.Open(cluster.Plugin)
	var data []byte
	if err == nil {
		data, err = credential.ExecCredential(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(string(data))
}

// A state in a cluster of AKS whose local accounts are off: Terraform asks for a token
// whenever it needs one, and none is kept.
func TestAClusterOfAKSIsReachedByAnIdentity(t *testing.T) {
	s, a := newInCluster(t), azuretest.Start(t)
	// Too old as soon as it is there.
	a.Life = time.Second
	s.kube.good = func(token string) bool { return a.Good(azure.Kubernetes, token) }
	text, err := os.ReadFile(s.kubeconfig)
	require.NoError(t, err)
	s.kubeconfig = s.file("kubeconfig", strings.Replace(string(text), `"token":"`+token+`"`, `"exec":{"apiVersion":"client.authentication.k8s.io/v1beta1","command":"kubelogin","args":["get-token","--server-id","`+azure.Kubernetes+`"]}`, 1))
	_, err = s.plan()
	_ = wantFault(t, err, "plan", "input", "takes its credentials from kubelogin, and nobody is named who signs in to Azure")

	identity, file := a.Identity()
	who := azure.Access{Identity: identity.String(), Token: file}
	remote := s.remote()
	remote.Azure = who
	_, err = Plan(t.Context(), PlanOptions{Common: s.common("dev"), Remote: remote, VarFiles: []string{s.vars}})
	require.NoError(t, err)
	_, err = s.check("dev", false)
	require.NoError(t, err)
	a.Advance(time.Minute)
	o := s.applyOptions()
	o.Remote = remote
	before := len(a.Tokens())
	_, err = Apply(t.Context(), o)
	require.NoError(t, err)
	assert.NotNil(t, s.kube.object(statePath))
	assert.Greater(t, len(a.Tokens()), before+4, "one token was not enough for an apply")

	for _, folder := range []string{s.out, s.temp} {
		require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			for _, token := range append(a.Tokens(), azuretest.RequestToken) {
				assert.NotContains(t, string(data), token, path)
			}
			return nil
		}))
	}
}
