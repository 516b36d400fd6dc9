package greeting_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/apps/legacy/greeting"
)

func TestHandler(t *testing.T) {
	for header, want := range map[string]string{"": "Hello\n", "de-CH": "Hallo\n", "fr": "Hello\n"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Accept-Language", header)
		w := httptest.NewRecorder()
		greeting.Handler().ServeHTTP(w, r)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, want, w.Body.String(), "%q", header)
	}
}

// The app's whole purpose: an update would make every test of the refusal pass
// for nothing.
func TestDependencyIsStillVulnerable(t *testing.T) {
	content, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	assert.Contains(t, string(content), "golang.org/x/text v0.3.7\n")
}
