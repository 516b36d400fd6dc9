//go:build browser

package receipt_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"html"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/ci/receipt"
)

var screenshots = flag.String("screenshots", "", "folder that keeps the screenshots")

// wrapper holds the page in a frame of the wanted width, which a window of a
// headless browser can't always have, and measures it: the page itself allows no
// script.
const wrapper = `<!DOCTYPE html><html><head><link rel="icon" href="data:,"><style>html,body{margin:0}iframe{display:block;border:0}</style></head>
<body><iframe id="page" src="/receipt" width="%d" height="%d"></iframe><pre id="measured" hidden></pre><script>
const frame = document.getElementById("page");
frame.addEventListener("load", () => {
  const w = frame.contentWindow, d = frame.contentDocument;
  const shown = e => e.getClientRects().length > 0;
  const boxes = [...d.querySelectorAll("body *")].filter(shown).map(e => [e, e.getBoundingClientRect()]);
  const texts = [...d.querySelectorAll("svg.journey text")].filter(e => shown(e) && e.textContent).map(e => [e.textContent, e.getBoundingClientRect()]);
  const overlaps = [];
  texts.forEach(([a, p], n) => texts.slice(n + 1).forEach(([b, q]) => {
    if (p.left < q.right && q.left < p.right && p.top + 1 < q.bottom && q.top + 1 < p.bottom) overlaps.push(a + " | " + b);
  }));
  const pictures = [...d.querySelectorAll("svg.journey")].filter(shown);
  const edge = pictures[0].getBoundingClientRect();
  document.getElementById("measured").textContent = JSON.stringify({
    innerWidth: w.innerWidth, scrollWidth: d.documentElement.scrollWidth, height: d.documentElement.scrollHeight,
    dark: w.matchMedia("(prefers-color-scheme: dark)").matches,
    wide: boxes.filter(([e, b]) => b.width > 1 && (b.right > w.innerWidth + .5 || b.left < -.5)).map(([e]) => e.outerHTML.slice(0, 120)),
    hashes: [...d.querySelectorAll(".hash")].filter(shown).map(e => e.innerText),
    pictures: pictures.map(e => e.classList[1]), overlaps,
    outside: texts.filter(([, b]) => b.left < edge.left - 1 || b.right > edge.right + 1 || b.bottom > edge.bottom + 1).map(([t]) => t),
    smallest: Math.min(...texts.map(([, b]) => b.height)),
    scripts: d.scripts.length,
  });
});
</script></body></html>`

type measured struct {
	InnerWidth, ScrollWidth, Height int
	Dark                            bool
	Wide, Hashes, Pictures          []string
	Overlaps, Outside               []string
	Smallest                        float64
	Scripts                         int
}

var measurement = regexp.MustCompile(`<pre id="measured"[^>]*>([^<]*)</pre>`)

func TestTheBrowserShowsThePage(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	require.NoError(t, err, "this test needs chromium on the PATH: apt-get install chromium")
	for name, document := range map[string]*receipt.Document{"sample": sample(t), "hostile": hostile(), "long": long(t)} {
		content, err := document.HTML()
		require.NoError(t, err)
		for _, width := range []int{360, 768, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				if scheme == "dark" && (name != "sample" || width == 768) {
					continue
				}
				t.Run(fmt.Sprintf("%s %d %s", name, width, scheme), func(t *testing.T) {
					seen, shot, asked := look(t, chromium, content, width, scheme)
					assert.Equal(t, width, seen.InnerWidth)
					assert.LessOrEqual(t, seen.ScrollWidth, seen.InnerWidth, "scrolls sideways")
					assert.Empty(t, seen.Wide, "reaches out of the page")
					assert.Equal(t, scheme == "dark", seen.Dark)
					assert.Zero(t, seen.Scripts)
					assert.Subset(t, []string{"/", "/receipt"}, asked, "nothing else is loaded")
					picture := "tall"
					if width == 1280 {
						picture = "wide"
					}
					assert.Equal(t, []string{picture}, seen.Pictures)
					assert.Empty(t, seen.Outside, "outside of the picture")
					if name != "hostile" {
						assert.Empty(t, seen.Overlaps)
						assert.Greater(t, seen.Smallest, 12.0, "the picture's smallest line, in pixels")
						for _, hash := range hashes(t, document) {
							assert.Contains(t, seen.Hashes, hash)
						}
					}
					notBlank(t, shot, scheme)
					if *screenshots != "" {
						require.NoError(t, os.WriteFile(filepath.Join(*screenshots, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), shot, 0o644))
					}
				})
			}
		}
	}
}

// look opens the page twice: to measure it, and to photograph its whole height.
func look(t *testing.T, chromium string, content []byte, width int, scheme string) (seen measured, shot []byte, asked []string) {
	t.Helper()
	var mu sync.Mutex
	height := 800
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if !slices.Contains(asked, r.URL.Path) {
			asked = append(asked, r.URL.Path)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/":
			fmt.Fprintf(w, wrapper, width, height)
		case "/receipt":
			_, _ = w.Write(content)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	folder := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		preferred := map[string]string{"dark": "0", "light": "1"}[scheme]
		args = append([]string{
			"--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking", "--disable-component-update",
			"--disable-sync", "--disable-extensions", "--user-data-dir=" + filepath.Join(folder, "profile"),
			"--blink-settings=preferredColorScheme=" + preferred,
			// The frame may be larger than the window that a screen allows.
			fmt.Sprintf("--window-size=%d,%d", max(width, 500), max(height, 800)),
		}, args...)
		if os.Getuid() == 0 {
			args = append([]string{"--no-sandbox"}, args...)
		}
		cmd := exec.CommandContext(ctx, chromium, append(args, server.URL+"/")...)
		// Its children may outlive it and hold the pipes.
		cmd.WaitDelay = 10 * time.Second
		var out, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &stderr
		require.NoError(t, cmd.Run(), "%s", stderr.String())
		return out.Bytes()
	}
	found := measurement.FindSubmatch(run("--dump-dom"))
	require.NotNil(t, found, "the wrapper has measured nothing")
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(string(found[1]))), &seen))
	mu.Lock()
	height = seen.Height
	mu.Unlock()
	file := filepath.Join(folder, "shot.png")
	run("--screenshot=" + file)
	shot, err := os.ReadFile(file)
	require.NoError(t, err)
	mu.Lock()
	defer mu.Unlock()
	return seen, shot, slices.Clone(asked)
}

// notBlank wants many colours, and a background of the scheme.
func notBlank(t *testing.T, shot []byte, scheme string) {
	t.Helper()
	picture, err := png.Decode(bytes.NewReader(shot))
	require.NoError(t, err)
	colours := map[[3]uint32]int{}
	size := picture.Bounds()
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			r, g, b, _ := picture.At(x, y).RGBA()
			colours[[3]uint32{r >> 8, g >> 8, b >> 8}]++
		}
	}
	assert.Greater(t, len(colours), 100, "the screenshot is blank")
	r, _, _, _ := picture.At(2, 2).RGBA()
	assert.Equal(t, scheme == "dark", r>>8 < 64, "the page's background")
}
