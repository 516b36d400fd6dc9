// Package rules tests the alert rules of infra/modules/monitoring with Prometheus'
// own engine: what sets each off, and what must not.
package rules

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	file     = "../../infra/modules/monitoring/alerts.yaml"
	interval = time.Minute
)

// fine is a platform that nothing is wrong with, from minute 0 on.
var fine = map[string]string{
	`up{job="argocd-application-controller", pod="controller-0"}`:                                   "1x60",
	`up{job="argocd-repo-server", pod="repo-1"}`:                                                    "1x60",
	`up{job="kyverno-admission-controller", pod="kyverno-1"}`:                                       "1x60",
	`argocd_app_info{name="hello", project="hello", health_status="Healthy", sync_status="Synced"}`: "1x60",
	`argocd_git_fetch_fail_total{repo="platform"}`:                                                  "0x60",
	`argocd_git_lsremote_fail_total{repo="platform"}`:                                               "0x60",
	`kyverno_admission_requests_total{resource_namespace="hello", request_allowed="true"}`:          "0+1x60",
	`kyverno_admission_requests_total{resource_namespace="hello", request_allowed="false"}`:         "0x60",
	`kyverno_admission_review_duration_seconds_bucket{le="1"}`:                                      "0+10x60",
	`kyverno_admission_review_duration_seconds_bucket{le="10"}`:                                     "0+10x60",
	`kyverno_admission_review_duration_seconds_bucket{le="20"}`:                                     "0+10x60",
	`kyverno_admission_review_duration_seconds_bucket{le="+Inf"}`:                                   "0+10x60",
}

const (
	controller = `up{job="argocd-application-controller", pod="controller-0"}`
	healthy    = `argocd_app_info{name="hello", project="hello", health_status="Healthy", sync_status="Synced"}`
)

var cases = map[string]struct {
	// change takes the place of series in fine; an empty value takes one out.
	change map[string]string
	at     time.Duration
	firing []string
}{
	"nothing is wrong": {nil, 60 * time.Minute, nil},
	"the controller is gone": {
		map[string]string{controller: ""}, 5 * time.Minute, []string{"ArgoCDIsDown critical"},
	},
	"the controller has only just gone": {
		map[string]string{controller: "1x30 _x30"}, 33 * time.Minute, nil,
	},
	"the controller is there, and dead": {
		map[string]string{controller: "0x60"}, 12 * time.Minute,
		[]string{"ArgoCDIsDown critical", "ArgoCDPartIsDown warning argocd-application-controller controller-0"},
	},
	"one of two controllers is dead": {
		map[string]string{`up{job="argocd-application-controller", pod="controller-1"}`: "0x60"}, 12 * time.Minute,
		[]string{"ArgoCDPartIsDown warning argocd-application-controller controller-1"},
	},
	"a part restarts": {
		map[string]string{`up{job="argocd-repo-server", pod="repo-1"}`: "1x10 0x5 1x45"}, 20 * time.Minute, nil,
	},
	"a part is dead": {
		map[string]string{`up{job="argocd-repo-server", pod="repo-1"}`: "1x10 0x50"}, 22 * time.Minute,
		[]string{"ArgoCDPartIsDown warning argocd-repo-server repo-1"},
	},
	"Git is not there": {
		map[string]string{`argocd_git_lsremote_fail_total{repo="platform"}`: "0+1x60"}, 30 * time.Minute,
		[]string{"ArgoCDCannotReadGit critical"},
	},
	"Git was not there for a moment": {
		map[string]string{`argocd_git_fetch_fail_total{repo="platform"}`: "0x20 3x40"}, 30 * time.Minute, nil,
	},
	"an app is degraded": {
		map[string]string{healthy: "1x10 _x50", strings.Replace(healthy, "Healthy", "Degraded", 1): "_x10 1x50"}, 27 * time.Minute,
		[]string{"AppIsNotHealthy warning hello hello"},
	},
	"an app goes from one illness to another": {
		map[string]string{
			healthy: "1x10 _x50", strings.Replace(healthy, "Healthy", "Progressing", 1): "_x10 1x8 _x42",
			strings.Replace(healthy, "Healthy", "Degraded", 1): "_x19 1x40",
		}, 28 * time.Minute, []string{"AppIsNotHealthy warning hello hello"},
	},
	"an app is being released": {
		map[string]string{healthy: "1x10 _x9 1x40", strings.Replace(healthy, "Healthy", "Progressing", 1): "_x11 1x8 _x41"}, 28 * time.Minute, nil,
	},
	"an app is suspended": {
		map[string]string{healthy: "", strings.Replace(healthy, "Healthy", "Suspended", 1): "1x60"}, 40 * time.Minute, nil,
	},
	"an app can't be synced": {
		map[string]string{healthy: "", strings.Replace(healthy, `"Synced"`, `"OutOfSync"`, 1): "1x60"}, 16 * time.Minute,
		[]string{"AppIsNotSynced warning hello hello"},
	},
	"an app is compared": {
		map[string]string{healthy: "1x10 _x4 1x45", strings.Replace(healthy, `"Synced"`, `"Unknown"`, 1): "_x11 1x3 _x46"}, 28 * time.Minute, nil,
	},
	"Kyverno is gone": {
		map[string]string{`up{job="kyverno-admission-controller", pod="kyverno-1"}`: ""}, 6 * time.Minute, []string{"KyvernoIsDown critical"},
	},
	"Kyverno restarts": {
		map[string]string{`up{job="kyverno-admission-controller", pod="kyverno-1"}`: "1x10 0x3 1x47"}, 14 * time.Minute, nil,
	},
	"Kyverno waits for the registry": {
		map[string]string{
			`kyverno_admission_review_duration_seconds_bucket{le="1"}`:  "0+1x60",
			`kyverno_admission_review_duration_seconds_bucket{le="10"}`: "0+5x60",
		}, 30 * time.Minute, []string{"KyvernoIsSlow warning"},
	},
	"Kyverno takes its time": {
		map[string]string{`kyverno_admission_review_duration_seconds_bucket{le="1"}`: "0+1x60"}, 30 * time.Minute, nil,
	},
	"an image is refused": {
		map[string]string{`kyverno_admission_requests_total{resource_namespace="hello", request_allowed="false"}`: "0x20 1x40"}, 22 * time.Minute,
		[]string{"KyvernoRefuses warning hello"},
	},
	"an image was refused long ago": {
		map[string]string{`kyverno_admission_requests_total{resource_namespace="hello", request_allowed="false"}`: "0x20 1x40"}, 50 * time.Minute, nil,
	},
}

// load writes the series as Prometheus' tests do.
func load(change map[string]string) string {
	series := map[string]string{}
	for name, values := range fine {
		series[name] = values
	}
	for name, values := range change {
		series[name] = values
	}
	lines := []string{"load 1m"}
	for name, values := range series {
		if values != "" {
			lines = append(lines, "  "+name+" "+values)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// run evaluates all rules minute by minute, and returns the groups as they are at
// the end.
func run(t *testing.T, series string, until time.Duration) []*rules.Group {
	t.Helper()
	syntax := parser.NewParser(parser.Options{})
	suite, err := promqltest.NewLazyLoader(series, promqltest.LazyLoaderOpts{Parser: syntax})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, suite.Close()) })
	suite.SubqueryInterval = interval
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:    rules.EngineQueryFunc(suite.QueryEngine(), suite.Storage()),
		AppendableV2: suite.Storage(),
		Context:      t.Context(),
		NotifyFunc:   func(context.Context, string, ...*rules.Alert) {},
		Logger:       slog.New(slog.DiscardHandler),
		Parser:       syntax,
	})
	loaded, errs := manager.LoadGroups(interval, labels.EmptyLabels(), "", nil, false, file)
	require.Empty(t, errs)
	var groups []*rules.Group
	for _, group := range loaded {
		groups = append(groups, group)
		for _, rule := range group.Rules() {
			alert, ok := rule.(*rules.AlertingRule)
			require.True(t, ok, "%s is no alert", rule.Name())
			alert.SetRestored(true)
		}
	}
	for now := time.Unix(0, 0).UTC(); !now.After(time.Unix(0, 0).UTC().Add(until)); now = now.Add(interval) {
		suite.WithSamplesTill(now, func(err error) {
			require.NoError(t, err)
			for _, group := range groups {
				group.Eval(suite.Context(), now)
				for _, rule := range group.Rules() {
					require.NoError(t, rule.LastError(), rule.Name())
				}
			}
		})
	}
	return groups
}

// firing are the alerts that fire: name, severity, and what they are about.
func firing(groups []*rules.Group) []string {
	found := []string{}
	for _, group := range groups {
		for _, rule := range group.Rules() {
			for _, alert := range rule.(*rules.AlertingRule).ActiveAlerts() {
				if alert.State != rules.StateFiring {
					continue
				}
				line := []string{alert.Labels.Get(labels.AlertName), alert.Labels.Get("severity")}
				about := []string{"job", "pod", "name", "project", "resource_namespace"}
				if alert.Labels.Get("pod") == "" { // what is absent has a job, and no pod
					about = about[1:]
				}
				for _, label := range about {
					if value := alert.Labels.Get(label); value != "" {
						line = append(line, value)
					}
				}
				found = append(found, strings.Join(line, " "))
			}
		}
	}
	slices.Sort(found)
	return found
}

func TestAlerts(t *testing.T) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			assert.ElementsMatch(t, c.firing, firing(run(t, load(c.change), c.at)))
		})
	}
}

// A rule that no case sets off could say anything, and so could what it says.
func TestEveryAlertIsSetOffOnce(t *testing.T) {
	var tested []string
	for _, c := range cases {
		for _, alert := range c.firing {
			name, _, _ := strings.Cut(alert, " ")
			tested = append(tested, name)
		}
	}
	for _, group := range run(t, load(nil), 0) {
		assert.Equal(t, interval, group.Interval(), group.Name())
		for _, rule := range group.Rules() {
			assert.Contains(t, tested, rule.Name())
			alert := rule.(*rules.AlertingRule)
			assert.Contains(t, []string{"critical", "warning"}, alert.Labels().Get("severity"), rule.Name())
			for _, annotation := range []string{"summary", "description"} {
				assert.NotEmpty(t, alert.Annotations().Get(annotation), fmt.Sprintf("%s of %s", annotation, rule.Name()))
			}
		}
	}
}
