package pip

import (
	"encoding/hex"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step/steptest"
)

// FuzzParse asserts that a file is refused as a whole, or pins every requirement: each
// logical line of an accepted file is an option that is known, or NAME==VERSION with
// at least one sha256.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"a==1 " + hashed("a"), "A_b.c[d,e]==1.0rc1+x ; os_name == 'nt' \\\n  " + hashed("a") + " \\\n" + hashed("b") + " # via c\n",
		"-r base.txt\n--constraint=../c.txt\n--require-hashes\n--only-binary :all:\n", "-e .\n", "a @ https://example.org/a.whl", "git+https://example.org/a",
		"--index-url https://example.org/simple\na==1 " + hashed("a"), "a>=1", "a==1", "a==1 \\\n# no\n" + hashed("a"), "--require-hashes -i x", "\ufeffa==${V}\\", "a==1\u2028-i x",
		"a==1 " + hashed("a")[:40] + "\\\n" + hashed("a")[40:],
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		all, includes, err := parse("x/requirements.txt", []byte(content), 100)
		if err != nil {
			steptest.Refused(t, err)
			assert.Empty(t, all)
			assert.Empty(t, includes)
			return
		}
		// A line goes on after a backslash, in the middle of a word too.
		joined := strings.NewReplacer(`\`, "", "\r", "", "\n", "").Replace(content)
		for _, r := range all {
			assert.Regexp(t, `\A[a-z0-9]+(-[a-z0-9]+)*\z`, r.name)
			assert.Regexp(t, `\A[0-9A-Za-z][0-9A-Za-z.!+_-]*\z`, r.version)
			require.NotEmpty(t, r.hashes)
			for _, sum := range r.hashes {
				bytes, err := hex.DecodeString(sum)
				require.NoError(t, err)
				assert.Len(t, bytes, 32)
				assert.Contains(t, joined, "--hash=sha256:"+sum)
			}
		}
		for _, i := range includes {
			assert.True(t, !path.IsAbs(i.file) && i.file == path.Clean(i.file) && !strings.HasPrefix(i.file, "..") && strings.HasSuffix(i.file, ".txt"), i.file)
		}
		// Nothing that chooses a source, and no code of the app's folder, is in what counts.
		required := 0
		for _, l := range logical(strings.TrimPrefix(strings.ReplaceAll(content, "\r\n", "\n"), "\ufeff")) {
			for _, word := range []string{"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--trusted-host", "-e", "--editable"} {
				assert.False(t, strings.HasPrefix(l.text, word+" ") || strings.HasPrefix(l.text, word+"="), l.text)
			}
			if l.text != "" && !strings.HasPrefix(l.text, "-") {
				required++
			}
		}
		assert.Len(t, all, required)
	})
}

// FuzzPage asserts that whatever a page says, it is read or refused, and an address on
// it is one that can be judged.
func FuzzPage(f *testing.F) {
	from, err := url.Parse("https://index.example/simple/a/")
	require.NoError(f, err)
	for _, seed := range []string{
		`<a href="a-1.tar.gz#sha256=` + sum("a") + `">a</a>`, `<base href="//evil.example"><a href=x>`, `<meta name="pypi:repository-version" content="1.9">`,
		`{"meta":{"api-version":"1.0"},"files":[{"filename":"a-1.tar.gz","url":"../f","hashes":{"sha256":"00"}}]}`, `{"files":[null]}`, `<a href="javascript:x">`,
	} {
		f.Add("text/html", []byte(seed))
		f.Add("application/vnd.pypi.simple.v1+json", []byte(seed))
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		files, err := readPage(contentType, body, from)
		if err != nil {
			assert.Empty(t, files)
			return
		}
		for _, file := range files {
			require.NotNil(t, file.url)
			assert.Empty(t, file.url.Fragment)
			if fileName.MatchString(file.name) {
				assert.Equal(t, path.Base(file.name), file.name)
				assert.NotEqual(t, "..", file.name)
			}
		}
	})
}
