package cluster

import (
	"encoding/json"
	"encoding/pem"
	"io"
	logging "log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"slipway/step/reach"
)

const (
	token    = "token-that-nobody-may-see"
	logical  = "example.com:6443" // httptest's certificate is for example.com
	appsPath = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"
)

// api is a Kubernetes API server with one Application, and with the controller
// that works on it: each refresh that is asked for runs the next of steps.
type api struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	app     *v1alpha1.Application // nil: there is none
	version int
	history []change
	more    chan struct{} // closed at each change
	kicked  chan struct{} // closed to end open watches
	steps   []func(*api)
	asked   int // refreshes that were asked for
	watched []string
	expired int           // watches to answer with 410
	opened  chan struct{} // receives at each watch

	deployments []appsv1.Deployment
	sets        []appsv1.ReplicaSet
	pods        []corev1.Pod
	events      []corev1.Event
	listed      func() // runs at each list of pods

	// anyVersion takes a patch that names no version.
	anyVersion bool
	// refuse answers instead, when it returns a status.
	refuse func(*http.Request) int
}

type change struct {
	version int
	kind    string
	object  json.RawMessage
}

func serve(t *testing.T, app *v1alpha1.Application, steps ...func(*api)) *api {
	t.Helper()
	a := &api{
		t: t, app: app, version: 100, more: make(chan struct{}), kicked: make(chan struct{}),
		opened: make(chan struct{}, 100), steps: steps,
	}
	if app != nil {
		app.ResourceVersion = "100"
	}
	a.server = httptest.NewUnstartedServer(a)
	a.server.Config.ErrorLog = logging.New(io.Discard, "", 0)
	a.server.StartTLS()
	t.Cleanup(func() {
		a.server.CloseClientConnections()
		a.server.Close()
	})
	return a
}

// kubeconfig writes one that names the server by its logical address.
func (a *api) kubeconfig() string {
	a.t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{
		Server: "https://" + logical,
		CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{
			Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw,
		}),
	}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	config.CurrentContext = "x"
	return write(a.t, *config)
}

func write(t *testing.T, config clientcmdapi.Config) string {
	t.Helper()
	data, err := clientcmd.Write(config)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	return file
}

func (a *api) open() *Cluster {
	a.t.Helper()
	c, err := Open(StageWait, Access{
		Kubeconfig: a.kubeconfig(), Connect: reach.Connections{logical: a.server.Listener.Addr().String()},
	})
	require.NoError(a.t, err)
	return c
}

// set changes the Application. The caller holds the lock.
func (a *api) set(edit func(*v1alpha1.Application)) {
	edit(a.app)
	a.record("MODIFIED")
}

// answer is a set that also answers the refresh, as the controller does.
func (a *api) answer(edit func(*v1alpha1.Application)) {
	a.set(func(app *v1alpha1.Application) {
		delete(app.Annotations, v1alpha1.AnnotationKeyRefresh)
		edit(app)
	})
}

func (a *api) record(kind string) {
	a.version++
	a.app.ResourceVersion = strconv.Itoa(a.version)
	data, err := json.Marshal(a.app)
	if err != nil {
		a.t.Error(err)
	}
	a.history = append(a.history, change{a.version, kind, data})
	close(a.more)
	a.more = make(chan struct{})
}

// kick ends the open watches.
func (a *api) kick() {
	close(a.kicked)
	a.kicked = make(chan struct{})
}

func (a *api) locked(do func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	do()
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !assert.Equal(a.t, "Bearer "+token, r.Header.Get("Authorization")) || !assert.Equal(a.t, logical, r.Host) {
		fail(w, http.StatusUnauthorized, "Unauthorized")
		return
	}
	a.mu.Lock()
	refuse := a.refuse
	a.mu.Unlock()
	if refuse != nil {
		if code := refuse(r); code != 0 {
			// A careless server might say anything.
			fail(w, code, "refused "+r.Header.Get("Authorization"))
			return
		}
	}
	query := r.URL.Query()
	watching := query.Get("watch") == "true" || query.Get("watch") == "1"
	switch path := r.URL.Path; {
	case path == appsPath && watching:
		assert.Equal(a.t, "metadata.name=hello-dev", query.Get("fieldSelector"))
		a.watch(w, r, query.Get("resourceVersion"))
	case path == appsPath:
		assert.Equal(a.t, "metadata.name=hello-dev", query.Get("fieldSelector"))
		a.locked(func() {
			list := v1alpha1.ApplicationList{TypeMeta: metav1.TypeMeta{APIVersion: "argoproj.io/v1alpha1", Kind: "ApplicationList"}}
			list.ResourceVersion = strconv.Itoa(a.version)
			if a.app != nil {
				list.Items = append(list.Items, *a.app)
			}
			reply(w, list)
		})
	case strings.HasPrefix(path, appsPath+"/"):
		a.locked(func() {
			name := strings.TrimPrefix(path, appsPath+"/")
			switch {
			case a.app == nil || a.app.Name != name:
				fail(w, http.StatusNotFound, "not found")
			case r.Method == http.MethodPatch:
				a.patch(w, r)
			default:
				reply(w, a.app)
			}
		})
	case watching:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	default:
		a.objects(w, r)
	}
}

// patch takes exactly the request for a refresh, at the newest version.
func (a *api) patch(w http.ResponseWriter, r *http.Request) {
	assert.Equal(a.t, "application/merge-patch+json", r.Header.Get("Content-Type"))
	data, err := io.ReadAll(r.Body)
	assert.NoError(a.t, err)
	var patch struct{ Metadata metav1.ObjectMeta }
	assert.NoError(a.t, json.Unmarshal(data, &patch))
	unversioned := a.anyVersion && patch.Metadata.ResourceVersion == ""
	if patch.Metadata.ResourceVersion != a.app.ResourceVersion && !unversioned {
		assert.NotEmpty(a.t, patch.Metadata.ResourceVersion)
		fail(w, http.StatusConflict, "the object has been modified")
		return
	}
	assert.Equal(a.t, map[string]string{"argocd.argoproj.io/refresh": "normal"}, patch.Metadata.Annotations)
	assert.NotContains(a.t, a.app.Annotations, v1alpha1.AnnotationKeyRefresh, "somebody else's refresh is not taken over")
	a.set(func(app *v1alpha1.Application) {
		if app.Annotations == nil {
			app.Annotations = map[string]string{}
		}
		app.Annotations[v1alpha1.AnnotationKeyRefresh] = "normal"
	})
	reply(w, a.app)
	a.asked++
	if len(a.steps) > 0 {
		next := a.steps[0]
		a.steps = a.steps[1:]
		if next != nil {
			next(a)
		}
	}
}

func (a *api) watch(w http.ResponseWriter, r *http.Request, from string) {
	last, err := strconv.Atoi(from)
	assert.NoError(a.t, err)
	a.mu.Lock()
	a.watched = append(a.watched, from)
	kicked := a.kicked
	expired := a.expired > 0
	if expired {
		a.expired--
	}
	a.mu.Unlock()
	a.opened <- struct{}{}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	out := json.NewEncoder(w)
	if expired {
		_ = out.Encode(map[string]any{"type": "ERROR", "object": status(http.StatusGone, "too old resource version")})
		return
	}
	for {
		a.mu.Lock()
		more, history := a.more, a.history
		a.mu.Unlock()
		select {
		case <-kicked: // what came after is for the next watch
			return
		default:
		}
		for _, c := range history {
			if c.version > last {
				last = c.version
				_ = out.Encode(map[string]any{"type": c.kind, "object": c.object})
			}
		}
		w.(http.Flusher).Flush()
		select {
		case <-more:
		case <-kicked:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// objects serves what the Application is made of.
func (a *api) objects(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	byLabel, err := labels.Parse(query.Get("labelSelector"))
	assert.NoError(a.t, err)
	byField, err := fields.ParseSelector(query.Get("fieldSelector"))
	assert.NoError(a.t, err)
	parts := strings.Split(r.URL.Path, "/namespaces/hello-dev/")
	if len(parts) != 2 {
		fail(w, http.StatusNotFound, "not found")
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch resource, name, _ := strings.Cut(parts[1], "/"); resource {
	case "deployments":
		for _, d := range a.deployments {
			if d.Name == name {
				reply(w, d)
				return
			}
		}
		fail(w, http.StatusNotFound, "not found")
	case "replicasets":
		list := appsv1.ReplicaSetList{TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSetList"}}
		for _, s := range a.sets {
			if byLabel.Matches(labels.Set(s.Labels)) {
				list.Items = append(list.Items, s)
			}
		}
		reply(w, list)
	case "pods":
		list := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
		for _, p := range a.pods {
			if byLabel.Matches(labels.Set(p.Labels)) {
				list.Items = append(list.Items, p)
			}
		}
		reply(w, list)
		if a.listed != nil {
			a.listed()
		}
	case "events":
		list := corev1.EventList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "EventList"}}
		for _, e := range a.events {
			if byField.Matches(fields.Set{
				"involvedObject.kind": e.InvolvedObject.Kind, "involvedObject.name": e.InvolvedObject.Name,
				"involvedObject.uid": string(e.InvolvedObject.UID),
			}) {
				list.Items = append(list.Items, e)
			}
		}
		reply(w, list)
	default:
		fail(w, http.StatusNotFound, "not found")
	}
}

func reply(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(object)
}

func fail(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(status(code, message))
}

func status(code int, message string) metav1.Status {
	reasons := map[int]metav1.StatusReason{
		http.StatusNotFound: metav1.StatusReasonNotFound, http.StatusConflict: metav1.StatusReasonConflict,
		http.StatusGone: metav1.StatusReasonExpired, http.StatusForbidden: metav1.StatusReasonForbidden,
		http.StatusUnauthorized: metav1.StatusReasonUnauthorized,
	}
	return metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reasons[code], Message: message,
	}
}

// clock has short waits over at once, as if they had been slept through, and
// the one for the deadline when the test says so, or when the short ones add up
// to it.
type clock struct {
	mu       sync.Mutex
	now      time.Time
	due      time.Time
	deadline chan time.Time
}

func newClock() *clock {
	return &clock{now: second(0), deadline: make(chan time.Time, 1)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d > time.Minute {
		c.due = c.now.Add(d)
		return c.deadline
	}
	over := make(chan time.Time, 1)
	c.now = c.now.Add(d)
	over <- c.now
	if !c.due.IsZero() && !c.now.Before(c.due) {
		c.fire()
	}
	return over
}

func (c *clock) fire() {
	select {
	case c.deadline <- c.now:
	default:
	}
}

// expire makes the deadline come.
func (c *clock) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.due
	c.fire()
}

// log keeps what is written, and acts on lines.
type log struct {
	mu    sync.Mutex
	text  strings.Builder
	lines map[string]func() // by what they contain
}

func (l *log) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(data)
	for part, act := range l.lines {
		if strings.Contains(string(data), part) {
			act()
		}
	}
	return len(data), nil
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// second is a moment of the story, n seconds after its beginning.
func second(n int) time.Time {
	return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
}

func stampOf(n int) string { return second(n).Format(time.RFC3339) }

func moment(n int) *metav1.Time {
	t := metav1.NewTime(second(n))
	return &t
}
