package main

import (
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

const base = `
apiVersion: v1
kind: Namespace
metadata: {name: one, labels: {team: a}}
---
apiVersion: v1
kind: Namespace
metadata: {name: two}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: one}
spec:
  template:
    metadata: {labels: {app: web, tier: front}}
    spec:
      containers: [{name: web, ports: [{name: http, containerPort: 8080}, {name: dns, containerPort: 53, protocol: UDP}]}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: one}
spec:
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: db, ports: [{name: sql, containerPort: 5432}]}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: two}
spec:
  template:
    metadata: {labels: {app: agent}}
    spec:
      initContainers: [{name: side, ports: [{name: http, containerPort: 8080}]}]
      containers: [{name: agent}]
`

func cluster(t *testing.T, policies ...string) *Cluster {
	t.Helper()
	c := newCluster(netip.MustParsePrefix("10.244.0.0/16"))
	require.NoError(t, c.Read("base", []byte(base)))
	for i, spec := range policies {
		require.NoError(t, c.Read("policy", []byte("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p"+
			string(rune('0'+i))+", namespace: one}\nspec: "+spec+"\n")))
	}
	return c
}

func TestReaches(t *testing.T) {
	const (
		web, db, agent = "one/web", "one/db", "two/agent"
		outside        = "203.0.113.7"
		deny           = "{podSelector: {}, policyTypes: [Ingress, Egress]}"
	)
	http := Port{Name: "http"}
	for name, c := range map[string]struct {
		policies []string
		from, to string
		port     Port
		want     bool
		why      string
	}{
		"without a policy":                      {nil, agent, web, http, true, "egress of two/agent: no policy; ingress of one/web: no policy"},
		"denied by default":                     {[]string{deny}, agent, web, http, false, "egress of two/agent: no policy; ingress of one/web: no rule of p0"},
		"denied on the way out":                 {[]string{deny}, web, agent, http, false, "egress of one/web: no rule of p0"},
		"another namespace's policy":            {[]string{deny}, agent, outside, Port{Number: 443}, true, "egress of two/agent: no policy; ingress of 203.0.113.7 is not the cluster's"},
		"a policy of other pods":                {[]string{"{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress]}"}, agent, web, http, true, ""},
		"any peer":                              {[]string{deny, "{podSelector: {}, ingress: [{}]}"}, agent, web, http, true, "egress of two/agent: no policy; ingress of one/web: rule 0 of p1"},
		"no rules":                              {[]string{"{podSelector: {}, ingress: []}"}, agent, web, http, false, ""},
		"an empty peer is nobody outside":       {[]string{"{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"}, outside, web, http, false, ""},
		"pods of the same namespace":            {[]string{"{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"}, db, web, http, true, ""},
		"not those of another":                  {[]string{"{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"}, agent, web, http, false, ""},
		"a namespace by name":                   {[]string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: two}}}]}]}"}, agent, web, http, true, ""},
		"both selectors of one peer":            {[]string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: other}}}]}]}"}, agent, web, http, false, ""},
		"two peers":                             {[]string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: two}}}, {podSelector: {matchLabels: {app: other}}}]}]}"}, agent, web, http, true, ""},
		"In":                                    {[]string{"{podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [db, x]}]}}]}]}"}, db, web, http, true, ""},
		"NotIn":                                 {[]string{"{podSelector: {}, ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [db]}]}}]}]}"}, db, web, http, false, ""},
		"Exists":                                {[]string{"{podSelector: {matchExpressions: [{key: tier, operator: Exists}]}, ingress: []}"}, agent, db, Port{Name: "sql"}, true, ""},
		"DoesNotExist":                          {[]string{"{podSelector: {matchExpressions: [{key: tier, operator: DoesNotExist}]}, ingress: []}"}, agent, db, Port{Name: "sql"}, false, ""},
		"a port by name":                        {[]string{"{podSelector: {}, ingress: [{ports: [{port: http}]}]}"}, agent, web, Port{Number: 8080}, true, ""},
		"a name that the target lacks":          {[]string{"{podSelector: {}, ingress: [{ports: [{port: http}]}]}"}, agent, db, Port{Number: 8080}, false, ""},
		"a name on the way out, of the target":  {[]string{"{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}"}, web, agent, http, true, ""},
		"a name on the way out of the cluster":  {[]string{"{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: http}]}]}"}, web, outside, Port{Number: 8080}, false, ""},
		"another port":                          {[]string{"{podSelector: {}, ingress: [{ports: [{port: 80}]}]}"}, agent, web, http, false, ""},
		"a port means TCP":                      {[]string{"{podSelector: {}, ingress: [{ports: [{port: 53}]}]}"}, agent, web, Port{Name: "dns", Protocol: corev1.ProtocolUDP}, false, ""},
		"another protocol":                      {[]string{"{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}"}, agent, web, Port{Name: "dns", Protocol: corev1.ProtocolUDP}, true, ""},
		"a range's end":                         {[]string{"{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 8080}]}]}"}, agent, web, http, true, ""},
		"beyond a range":                        {[]string{"{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 8079}]}]}"}, agent, web, http, false, ""},
		"egress rules make an egress policy":    {[]string{"{podSelector: {}, egress: [{to: [{podSelector: {}}]}]}"}, web, outside, Port{Number: 443}, false, ""},
		"and an ingress policy, too":            {[]string{"{podSelector: {}, egress: [{to: [{podSelector: {}}]}]}"}, agent, web, http, false, ""},
		"policyTypes decide":                    {[]string{"{podSelector: {}, policyTypes: [Ingress], egress: [{to: [{podSelector: {}}]}]}"}, web, outside, Port{Number: 443}, true, ""},
		"a block":                               {[]string{"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 203.0.113.0/24}}]}]}"}, web, outside, Port{Number: 443}, true, ""},
		"an exception":                          {[]string{"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [203.0.113.0/24]}}]}]}"}, web, outside, Port{Number: 443}, false, ""},
		"an exception, another way to write it": {[]string{"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [203.0.113.0/24]}}]}]}"}, web, "::ffff:203.0.113.7", Port{Number: 443}, false, ""},
		"an exception is no denial":             {[]string{"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [203.0.113.0/24]}}]}, {to: [{ipBlock: {cidr: 203.0.113.7/32}}]}]}"}, web, outside, Port{Number: 443}, true, ""},
		"a block of everything holds pods":      {[]string{"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}"}, web, agent, http, true, ""},
		"unless they are excepted":              {[]string{"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]}"}, web, agent, http, false, ""},
		"a block of others":                     {[]string{"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 192.168.0.0/16}}]}]}"}, web, agent, http, false, ""},
		"IPv6 is none of IPv4's":                {[]string{"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}"}, web, "2001:db8::1", Port{Number: 443}, false, ""},
		"policies add up":                       {[]string{deny, "{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {}}]}]}"}, agent, web, http, true, "egress of two/agent: no policy; ingress of one/web: rule 0 of p1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, why, err := cluster(t, c.policies...).Reaches(c.from, c.to, c.port)
			require.NoError(t, err)
			assert.Equal(t, c.want, got, why)
			if c.why != "" {
				assert.Equal(t, c.why, why)
			}
		})
	}
}

func TestWhatCannotBeDecidedIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		policy, from, to string
		port             Port
		input, reason    string
	}{
		"some of the pods' addresses": {"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.244.1.0/24}}]}]}", "one/web", "two/agent", Port{Number: 80}, "NetworkPolicy one/p0", "which pod has which is not known"},
		"some of them excepted":       {"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.244.1.0/24]}}]}]}", "one/web", "two/agent", Port{Number: 80}, "NetworkPolicy one/p0", "which pod has which is not known"},
		"no block":                    {"{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: all}}]}]}", "one/web", "203.0.113.7", Port{Number: 80}, "NetworkPolicy one/p0", "is no block of addresses"},
		"an operator":                 {"{podSelector: {matchExpressions: [{key: a, operator: Is}]}}", "one/web", "one/db", Port{Number: 80}, "NetworkPolicy one/p0", "not a valid label selector operator"},
		"an unknown pod":              {"{podSelector: {}}", "one/web", "one/nobody", Port{Number: 80}, "one/nobody", "neither the name of pods nor an IP address"},
		"a pod by its address":        {"{podSelector: {}}", "10.244.3.4", "one/db", Port{Number: 80}, "10.244.3.4", "is an address of pods"},
		"an unknown port":             {"{podSelector: {}}", "one/web", "one/db", Port{Name: "http"}, `port "http" of one/db`, "is not known"},
		"a port of nobody's":          {"{podSelector: {}}", "one/web", "203.0.113.7", Port{Name: "http"}, `port "http" of 203.0.113.7`, "is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := cluster(t, c.policy).Reaches(c.from, c.to, c.port)
			refused(t, err, c.input, c.reason)
		})
	}
	c := cluster(t)
	c.Pod("three/x", Pod{Namespace: "three"})
	_, _, err := c.Reaches("one/web", "one/db", Port{Number: 1})
	refused(t, err, "pod three/x", "which is not known")
	c = cluster(t)
	require.NoError(t, c.Read("more", []byte("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: three}\nspec: {podSelector: {}}\n")))
	_, _, err = c.Reaches("one/web", "one/db", Port{Number: 1})
	refused(t, err, "NetworkPolicy p", `"three", which is not known`)
}

// A kind that has a word in traffic and that nobody reads would make every answer
// a guess.
func TestManifestsThatAreNotReadAreRefused(t *testing.T) {
	for kind, reason := range map[string]string{
		"apiVersion: projectcalico.org/v3\nkind: NetworkPolicy":                           "of a kind that is not read",
		"apiVersion: crd.projectcalico.org/v1\nkind: GlobalNetworkPolicy":                 "of a kind that is not read",
		"apiVersion: policy.networking.k8s.io/v1alpha1\nkind: BaselineAdminNetworkPolicy": "of a kind that is not read",
		"apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy":         "of a kind that is not read",
		"apiVersion: v1\nkind: Pod":           "of a kind that is not read",
		"apiVersion: batch/v1\nkind: CronJob": "of a kind that is not read",
		"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nspec: {podSelektor: {}}":            "is not read",
		"apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {hostNetwork: true}}}":      "has the node's network",
		"apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: everything}}}": "is not read",
		"apiVersion: [v1]\nkind: Pod":        "is no object",
		"apiVersion: {{ .Values }}\nkind: [": "is not YAML",
	} {
		err := cluster(t).Read("overlay", []byte(kind+"\nmetadata: {name: x, namespace: one}\n"))
		refused(t, err, "overlay", reason)
	}
	require.NoError(t, cluster(t).Read("overlay", []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: x}\n")))
}

func refused(t *testing.T, err error, input, reason string) {
	t.Helper()
	fault, ok := step.AsFault(err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, step.KindInput, fault.Kind)
	assert.Contains(t, fault.Input, input)
	assert.Contains(t, fault.Reason, reason)
	assert.NotEmpty(t, strings.TrimSpace(fault.Mend))
}
