package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// scraped are the jobs of the pods that the PodMonitors of a folder find, each with
// the pod's name.
func scraped(t *testing.T, folder string) map[string]string {
	t.Helper()
	objects := built(t, adopted(t), folder)
	cluster := production(t, adopted(t), infraLocal)
	jobs := map[string]string{}
	for name, object := range objects {
		if object.GetKind() != "PodMonitor" {
			continue
		}
		var monitor struct {
			Spec struct {
				JobLabel string `yaml:"jobLabel"`
				Selector struct {
					MatchLabels map[string]string `yaml:"matchLabels"`
				}
				Endpoints []struct{ Port string } `yaml:"podMetricsEndpoints"`
			}
		}
		require.NoError(t, yaml.Unmarshal([]byte(object.MustString()), &monitor))
		require.NotEmpty(t, monitor.Spec.Selector.MatchLabels, name)
		require.Len(t, monitor.Spec.Endpoints, 1, name)
		found := 0
		for owner, workload := range objects {
			var pod struct {
				Metadata struct{ Namespace, Name string }
				Spec     struct {
					Template struct {
						Metadata struct{ Labels map[string]string }
						Spec     struct {
							Containers []struct{ Ports []struct{ Name string } }
						}
					}
				}
			}
			if object.GetNamespace() != workload.GetNamespace() {
				continue
			}
			require.NoError(t, yaml.Unmarshal([]byte(workload.MustString()), &pod))
			labels, selected := pod.Spec.Template.Metadata.Labels, true
			for key, value := range monitor.Spec.Selector.MatchLabels {
				selected = selected && labels[key] == value
			}
			for _, container := range pod.Spec.Template.Spec.Containers {
				for _, port := range container.Ports {
					if !selected || port.Name != monitor.Spec.Endpoints[0].Port {
						continue
					}
					target := pod.Metadata.Namespace + "/" + pod.Metadata.Name
					allowed, why, err := cluster.Reaches(collector, target, Port{Name: port.Name})
					require.NoError(t, err, owner)
					assert.True(t, allowed, "%s: %s", name, why)
					jobs[labels[monitor.Spec.JobLabel]] = target
					found++
				}
			}
		}
		assert.NotZero(t, found, "%s finds no pod", name)
	}
	return jobs
}

func TestWhatAlertsAreAboutIsScraped(t *testing.T) {
	jobs := scraped(t, azurePlatform)
	assert.Equal(t, map[string]string{
		"argocd-application-controller":    "argocd/argocd-application-controller",
		"argocd-applicationset-controller": "argocd/argocd-applicationset-controller",
		"argocd-repo-server":               "argocd/argocd-repo-server",
		"argocd-server":                    "argocd/argocd-server",
		"kyverno-admission-controller":     "kyverno/kyverno-admission-controller",
	}, jobs)
	assert.Equal(t, map[string]string{"hello": helloPod}, scraped(t, azureHello))

	rules, err := os.ReadFile("../../infra/modules/monitoring/alerts.yaml")
	require.NoError(t, err)
	named := regexp.MustCompile(`job="([^"]+)"`).FindAllStringSubmatch(string(rules), -1)
	require.NotEmpty(t, named)
	for _, job := range named {
		assert.Contains(t, jobs, job[1], "no series says so")
	}
}
