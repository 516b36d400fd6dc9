//go:build e2e && languages

package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A Java service is built by Maven, without a network, from the repository of artifacts
// that its base image has of Debian; tested, scanned and released. An artifact with a
// known vulnerability is refused by name, and so is a jar that does not say what it is.
func TestLanguageJava(t *testing.T) {
	t.Parallel()
	p := shared
	runtime := debianBase(t, p, "bases/java", "openjdk-17-jre-headless")
	maven := debianBase(t, p, "bases/maven", "openjdk-17-jdk-headless", "maven", "libmaven-compiler-plugin-java", "libmaven-resources-plugin-java",
		"libmaven-jar-plugin-java", "libsurefire-java", "junit4", "libcommons-codec-java", "libyaml-snake-java")
	s := newService(t, p, "sums")
	dockerfile := strings.NewReplacer("FROM maven ", "FROM "+maven+" ", "FROM java\n", "FROM "+runtime+"\n").Replace(s.read(t, "Dockerfile"))
	s.commit(t, map[string]string{"Dockerfile": dockerfile})

	out, err := s.app(p, "test")
	require.NoError(t, err)
	assert.Contains(t, out, "Tests run: 1, Failures: 0, Errors: 0, Skipped: 0")
	assert.Contains(t, out, "Dockerfile --target test\t1 passed, 0 skipped\n")

	packages := s.bill(t, p)
	assert.Contains(t, packages, "pkg:maven/slipway.test/sums@1.0.0")
	assert.Contains(t, packages, "pkg:maven/commons-codec/commons-codec@1.15")
	s.release(t, p)

	const codec = "COPY --from=package /usr/share/java/commons-codec.jar /app/lib/\n"
	require.Contains(t, dockerfile, codec)
	s.commit(t, map[string]string{"Dockerfile": strings.Replace(dockerfile, codec, codec+"COPY --from=package /usr/share/java/snakeyaml.jar /app/lib/\n", 1)})
	_, err = s.app(p, "build", "scan", "digest")
	refused(t, err, "scan: refused by policy: app sums at sha256:", "HIGH: CVE-2022-1471 in org.yaml:snakeyaml 1.33", "fixed in 2.0")

	const built = "RUN mvn -DskipTests package\n"
	require.Contains(t, dockerfile, built)
	s.commit(t, map[string]string{"Dockerfile": strings.NewReplacer(built, built+"RUN jar --create --file stranger.jar -C target/classes .\n",
		codec, codec+"COPY --from=package /app/stranger.jar /app/lib/\n").Replace(dockerfile)})
	_, err = s.app(p, "build", "scan", "digest")
	refused(t, err, "scan: refused by policy: app sums at sha256:", "unknown-executable: app/lib/stranger.jar (Java archive, linux/amd64",
		"does not say which artifact it is")

	// There is no network to take another artifact from.
	pom := s.read(t, "pom.xml")
	s.commit(t, map[string]string{"Dockerfile": dockerfile, "pom.xml": strings.Replace(pom, "<version>1.15</version>", "<version>1.14</version>", 1)})
	_, err = s.app(p, "build", "digest")
	refused(t, err, "build: bad input: app sums: Dockerfile: ", "mvn -DskipTests package fails for linux/amd64", "commons-codec:jar:1.14")
	assert.True(t, p.pushed(t, "sums"))
}
