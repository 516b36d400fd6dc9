package dockerfile

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"slipway/step"
)

const commitID = "0123456789abcdef0123456789abcdef01234567"

// TestCheckRefusesWhatIsNotOnTheList: each of these builds, or could, if only
// BuildKit were asked.
func TestCheckRefusesWhatIsNotOnTheList(t *testing.T) {
	for name, tc := range map[string]struct {
		file         string
		detail, mend string
	}{
		"host network":              {"RUN --network=host curl x", "line 2: RUN --network=host: a build reaches no network", "RUN has no network"},
		"default network":           {"RUN --network=default curl x", "line 2: RUN --network=default: a build reaches no network", "RUN has no network"},
		"network by a variable":     {"RUN --network=$X curl x", "line 2: RUN --network=$X: a build reaches no network", ""},
		"network in quotes":         {"RUN --network=\"host\" curl x", "line 2: RUN --network=host: a build reaches no network", ""},
		"network on a further line": {"run \\\n# a note\n  --network=host \\\n curl x", "line 2: RUN --network=host: a build reaches no network", ""},
		"flag in upper case":        {"RUN --NETWORK=host curl x", "line 2: RUN --NETWORK=host: the flag is not allowed", "--mount, --network may be used"},
		"insecure security":         {"RUN --security=insecure mount x", "line 2: RUN --security=insecure: the flag is not allowed", "take it out"},
		"device":                    {"RUN --device=vendor.com/x true", "line 2: RUN --device=vendor.com/x: the flag is not allowed", ""},
		"flag of CMD":               {"CMD --x true", "line 2: CMD --x: the flag is not allowed", "CMD has no flags here"},
		"copy of parents":           {"COPY --parents a/b /", "line 2: COPY --parents: the flag is not allowed", "--chmod, --chown, --from, --link may be used"},
		"copy with exclusions":      {"COPY --exclude=x . /", "line 2: COPY --exclude=x: the flag is not allowed", ""},
		"quoted flag":               {"COPY --chown='a b' . /", "line 2: COPY --chown=a b: can't be read in one way only", "without quotes"},
		"trigger":                   {"ONBUILD COPY --from=alpine / /", "line 2: ONBUILD COPY --from=alpine / /: runs in a later build or stage, where its bases can't be told", "write its instruction into the Dockerfile"},
		"unknown instruction":       {"RUNN true", "line 2: unknown instruction: RUNN", "use the instructions ADD, ARG"},

		"agent":                       {"RUN --mount=type=ssh git clone x", "line 2: RUN --mount=type=ssh: a mount of type ssh is not allowed", "bind, cache, tmpfs or secret"},
		"agent in upper case":         {"RUN --mount=TYPE=SSH git clone x", "line 2: RUN --mount=TYPE=SSH: a mount of type ssh is not allowed", ""},
		"type by a variable":          {"ARG T=ssh\nRUN --mount=type=$T git clone x", "line 3: RUN --mount=type=$T: type: a variable can't be filled in here", "write the value out"},
		"cache of a stage":            {"RUN --mount=type=cache,from=base,target=/c true", "line 2: RUN --mount=type=cache,from=base,target=/c: a cache of another build or stage is not allowed", "take from out"},
		"cache of another's folder":   {"RUN --mount=type=cache,src=/x,target=/c true", "line 2: RUN --mount=type=cache,src=/x,target=/c: a cache of another build or stage is not allowed", "take source out"},
		"field that nobody knows":     {"RUN --mount=type=bind,target=/c,consistency=x true", "line 2: RUN --mount=type=bind,target=/c,consistency=x: a mount of type bind has no field consistency here", ""},
		"field twice":                 {"RUN --mount=type=bind,type=cache,target=/c true", "line 2: RUN --mount=type=bind,type=cache,target=/c: type is given twice", ""},
		"field twice by another name": {"RUN --mount=target=/c,dst=/dev/x true", "line 2: RUN --mount=target=/c,dst=/dev/x: target is given twice", ""},
		"over the box":                {"RUN --mount=type=bind,target=/~slipway true", "line 2: RUN --mount=type=bind,target=/~slipway: can't be read in one way only", "without quotes"},
		"over devices":                {"RUN --mount=type=bind,target=/dev/pipes true", "line 2: RUN --mount=type=bind,target=/dev/pipes: nothing may be mounted in /dev", "elsewhere"},
		"over devices, by a detour":   {"RUN --mount=type=tmpfs,target=/x/../dev true", "line 2: RUN --mount=type=tmpfs,target=/x/../dev: nothing may be mounted in /dev", ""},
		"target by a variable":        {"ARG T=/~slipway\nRUN --mount=target=$T true", "line 3: RUN --mount=target=$T: target: a variable can't be filled in here", ""},
		"relative target":             {"WORKDIR /dev\nRUN --mount=target=pipes true", "line 3: RUN --mount=target=pipes: target is not an absolute path", ""},
		"no target":                   {"RUN --mount=type=cache true", "line 2: RUN --mount=type=cache: target is not an absolute path", ""},
		"mount that is written to":    {"RUN --mount=target=/x,rw true", "line 2: RUN --mount=target=/x,rw: a mount that can be written to is not allowed", ""},
		"memory without an end":       {"RUN --mount=type=tmpfs,target=/x,size=1t true", "line 2: RUN --mount=type=tmpfs,target=/x,size=1t: size is not one of up to 2GiB", ""},
		"secret that nobody named":    {"RUN --mount=type=secret,id=token cat /run/secrets/token", "line 2: RUN --mount secret token: is not one of the build's secrets", "secrets: [token]"},
		"secret without an id":        {"RUN --mount=type=secret,target=/t cat /t", "line 2: RUN --mount=type=secret,target=/t: has no id", ""},

		"script and command at once": {"RUN [\"cat\", \"<<E\"]\nE", "", ""},

		"repository by a branch":      {"ADD https://example.org/x.git#main /src", "line 2: ADD https://example.org/x.git#main: is not pinned by a full commit id", "#<full commit id>"},
		"repository by a short id":    {"ADD https://example.org/x.git#0123456 /src", "line 2: ADD https://example.org/x.git#0123456: is not pinned by a full commit id", ""},
		"repository by nothing":       {"ADD https://example.org/x.git /src", "line 2: ADD https://example.org/x.git: is not pinned by a full commit id", ""},
		"repository by SSH":           {"ADD git@example.org:x.git#" + commitID + " /src", "line 2: ADD git@example.org:x.git#" + commitID + ": is not a plain https address", ""},
		"repository by git":           {"ADD git://example.org/x.git#" + commitID + " /src", "line 2: ADD git://example.org/x.git#" + commitID + ": is not a plain https address", ""},
		"repository by a query":       {"ADD https://example.org/x.git?ref=main#" + commitID + " /src", "line 2: ADD https://example.org/x.git?ref=main#" + commitID + ": is not pinned by a full commit id", ""},
		"file without a checksum":     {"ADD https://example.org/tool.tar.gz /", "line 2: ADD https://example.org/tool.tar.gz: is not pinned by a sha256 checksum", "--checksum=sha256:…"},
		"file by a weaker checksum":   {"ADD --checksum=md5:0123456789abcdef0123456789abcdef https://example.org/t /", "line 2: ADD https://example.org/t: is not pinned by a sha256 checksum", ""},
		"file in plain text":          {"ADD --checksum=" + sha[1:] + " http://example.org/t /", "line 2: ADD http://example.org/t: is not a plain https address", ""},
		"file with a password":        {"ADD --checksum=" + sha[1:] + " https://a:b@example.org/t /", "line 2: ADD https://a:b@example.org/t: is not a plain https address", ""},
		"scheme in upper case":        {"ADD HTTP://example.org/t /", "line 2: ADD HTTP://example.org/t: is not a plain https address", ""},
		"address by a variable":       {"ADD --checksum=" + sha[1:] + " https://example.org/$X /", "line 2: ADD https://example.org/$X: a variable can't be filled in here", ""},
		"address beside a file":       {"ADD a https://example.org/t /", "line 2: ADD: takes several sources, and not all are files of the app", "by an instruction of its own"},
		"address in COPY":             {"COPY https://example.org/t /", "line 2: COPY https://example.org/t: only ADD takes what is elsewhere", ""},
		"address without a name":      {"ADD --checksum=" + sha[1:] + " https://example.org/ /", "line 2: ADD https://example.org/: does not end in a plain file name", ""},
		"checksum of a file":          {"ADD --checksum=" + sha[1:] + " t /", "line 2: ADD --checksum: nothing here has an address", ""},
		"here-document beside a file": {"COPY <<E a /x/\nE", "line 2: COPY: mixes files and here-documents", ""},
		"name of two stages":          {"FROM scratch AS base", "line 2: FROM … AS base: another stage has that name", "a name of its own"},
		"platform that can't be":      {"FROM --platform=linux/s390x scratch", "line 2: FROM --platform=linux/s390x: is not a platform that can be built", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Check("Dockerfile", []byte("FROM scratch AS base\n"+tc.file+"\n"), both(nil))
			f, ok := step.AsFault(err)
			require.True(t, ok, "want a fault, got %+v, %v", got, err)
			if tc.detail == "" {
				return
			}
			assert.Equal(t, step.KindPolicy, f.Kind)
			assert.Equal(t, []string{tc.detail}, f.Details)
			assert.Equal(t, strings.SplitN(tc.detail, ": ", 2)[1], f.Reason)
			assert.Contains(t, f.Mend, tc.mend)
		})
	}
}

func TestCheckTakesWhatIsOnTheList(t *testing.T) {
	got, err := Check("Dockerfile", []byte("FROM scratch AS base\nFROM scratch\n"+
		"run --network=none --mount=type=cache,id=npm,target=/c,sharing=locked,uid=1000 --mount=type=tmpfs,target=/t,size=64m true\n"+
		"RUN --mount=type=secret,id=token,required,mode=0400,env=TOKEN --mount=target=/src,ro --mount=from=base,src=/a,dst=/b true\n"+
		"ADD --checksum="+sha[1:]+" https://example.org:8443/a/tool-1.2+b.tar.gz?x=1 /opt/\n"+
		"ADD [\"https://example.org/x.git#"+commitID+"\", \"/src\"]\n"+
		"ADD --chown=1:1 a*.tar b /\n"+
		"HEALTHCHECK --interval=5s CMD true\n"), Options{Platforms: []string{"linux/arm64"}, Secrets: []string{"token"}})
	require.NoError(t, err)
	assert.Equal(t, []Fetch{
		{Line: 5, URL: "https://example.org:8443/a/tool-1.2+b.tar.gz?x=1", Checksum: sha[1:], Name: "tool-1.2+b.tar.gz"},
		{Line: 6, URL: "https://example.org/x.git", Commit: commitID},
	}, got.Fetches)
}

// TestCheckFollowsThePlatforms: one pinned stage for each architecture, and the
// configs of those that the target is made of.
func TestCheckFollowsThePlatforms(t *testing.T) {
	file := "FROM amd" + sha + " AS base-amd64\nFROM arm" + sha + " AS base-arm64\n" +
		"FROM other" + sha + " AS unused\nFROM --platform=linux/amd64 tools" + sha + " AS tools\n" +
		"FROM base-${TARGETARCH} AS test\nFROM base-$TARGETARCH\nCOPY --from=tools /a /a\n"
	got, err := Check("Dockerfile", []byte(file), both(nil))
	require.NoError(t, err)
	assert.Equal(t, []Config{
		{Build: "linux/amd64", Platform: "linux/amd64", Reference: "amd" + sha}, {Build: "linux/amd64", Platform: "linux/amd64", Reference: "tools" + sha},
		{Build: "linux/arm64", Platform: "linux/arm64", Reference: "arm" + sha}, {Build: "linux/arm64", Platform: "linux/amd64", Reference: "tools" + sha},
	}, got.Configs)
	assert.Contains(t, got.Bases, Base{Line: 5, Instruction: "FROM", Reference: "base-arm64", Kind: KindStage})

	got, err = Check("Dockerfile", []byte(file), Options{Platforms: []string{"linux/amd64"}, Target: "Test"})
	require.NoError(t, err)
	assert.Equal(t, []Config{{Build: "linux/amd64", Platform: "linux/amd64", Reference: "amd" + sha}}, got.Configs)

	_, err = Check("Dockerfile", []byte(strings.ReplaceAll(file, "base-arm64", "other")), Options{Platforms: []string{"linux/amd64"}})
	require.NoError(t, err, "the stage for arm64 need not be there")
}

func TestCheckRefusesOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		options Options
		input   string
	}{
		"no platform":          {Options{}, "Dockerfile"},
		"platform twice":       {Options{Platforms: []string{"linux/arm64", "linux/arm64"}}, `Dockerfile: platform "linux/arm64"`},
		"unknown platform":     {Options{Platforms: []string{"windows/amd64"}}, `Dockerfile: platform "windows/amd64"`},
		"frontend by argument": {both(map[string]string{"BUILDKIT_SYNTAX": "evil/frontend"}), `Dockerfile: build argument "BUILDKIT_SYNTAX"`},
		"platform by argument": {both(map[string]string{"TARGETARCH": "x"}), `Dockerfile: build argument "TARGETARCH"`},
		"proxy by argument":    {both(map[string]string{"https_proxy": "x"}), `Dockerfile: build argument "https_proxy"`},
		"no name":              {both(map[string]string{"A=B": "x"}), `Dockerfile: build argument "A=B"`},
		"target that is none":  {Options{Platforms: []string{"linux/amd64"}, Target: "test"}, `Dockerfile: target "test"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Check("Dockerfile", []byte("FROM scratch\n"), tc.options)
			f, ok := step.AsFault(err)
			require.True(t, ok, "%v", err)
			assert.Equal(t, step.KindInput, f.Kind)
			assert.Equal(t, tc.input, f.Input)
			assert.NotEmpty(t, f.Mend)
		})
	}
}
