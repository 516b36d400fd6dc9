package drill

import (
	_ "embed"
	"path"
	"strings"

	"slipway/step"
)

// BoxAttack is an app that attacks from what it brings along. It is App with other
// files.
type BoxAttack struct {
	Attack
	// Files are by their path in the app's folder.
	Files map[string]string
	// Test says that the attack is in the app's tests, not in its build.
	Test bool
}

// noWayOut is what an attacker says who has found none. One who has found any says
// nothing, so that its app goes on.
const noWayOut = "found no way out of the box"

// notAllowed is a host that no platform allows: its name is nobody's (RFC 2606).
const notAllowed = "exfiltration.invalid:443"

// BoxAttacks are made from an app's test, from its build and from the commands of its
// Dockerfile.
func BoxAttacks() []BoxAttack {
	attacker := strings.Replace(attackerSource, "NOWAYOUT", noWayOut, 1)
	command := path.Join("cmd", App, "main.go")
	test := func(body string) map[string]string {
		return map[string]string{path.Join("cmd", App, "attack_test.go"): body}
	}
	dockerfile := func(run string) map[string]string {
		return map[string]string{
			"app.yaml":   "name: " + App + "\nbuild: {kind: dockerfile, package: ./cmd/" + App + "}\nplatforms: [linux/amd64]\nlimits: {time: 1m, processes: 200}\nport: 8080\n",
			"Dockerfile": "FROM scratch\nARG TARGETARCH\nCOPY bin/${TARGETARCH}/" + App + " /attacker\n" + run + "\nUSER 65532\nENTRYPOINT [\"/attacker\"]\n",
			command:      attacker + "\nfunc main() {\n\tif len(os.Args) > 1 {\n\t\tbomb()\n\t}\n\tif !found() {\n\t\tfmt.Fprintln(os.Stderr, noWayOut)\n\t\tos.Exit(1)\n\t}\n}\n",
			// Its own would test the program that is gone.
			path.Join("cmd", App, "main_test.go"): "package main\n\nimport \"testing\"\n\nfunc TestNothing(*testing.T) {}\n",
		}
	}
	tests := func(says string) Expected { return Expected{Stage: "test", Kind: step.KindPolicy, Says: says} }
	build := func(kind step.Kind, says string) Expected { return Expected{Stage: "build", Kind: kind, Says: says} }
	inTest := strings.Replace(attacker, "import (", "import (\n\t\"testing\"", 1)
	return []BoxAttack{
		{Attack{"test", "test that looks for a way out", tests(noWayOut)}, test(inTest + "\nfunc TestAttack(t *testing.T) {\n\tif !found() {\n\t\tt.Fatal(noWayOut)\n\t}\n}\n"), true},
		{Attack{"test", "test that starts processes without end", tests("hits the limit of processes")}, map[string]string{
			"app.yaml":                              "name: " + App + "\nbuild: {kind: go, package: ./cmd/" + App + "}\nlimits: {processes: 200}\nport: 8080\n",
			path.Join("cmd", App, "attack_test.go"): inTest + "\nfunc TestAttack(*testing.T) { bomb() }\n",
		}, true},
		{Attack{"test", "test that nobody wrote", tests("has no test that ran")}, map[string]string{path.Join("cmd", App, "main_test.go"): "package main\n"}, true},
		{Attack{"test", "code that a generator would run", tests("the generator did not run")}, map[string]string{
			path.Join("cmd", App, "generate.go"):      "package main\n\n//go:generate go run ./hook\n",
			"cmd/" + App + "/hook/main.go":            "package main\n\nimport \"os\"\n\nfunc main() { _ = os.WriteFile(\"generated\", nil, 0o644) }\n",
			path.Join("cmd", App, "generate_test.go"): "package main\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestGenerated(t *testing.T) {\n\tif _, err := os.Stat(\"generated\"); err != nil {\n\t\tt.Fatal(\"the generator did not run\")\n\t}\n}\n",
		}, true},
		{Attack{"build", "RUN with the host's network", build(step.KindPolicy, "--network=host")}, dockerfile(`RUN --network=host ["/attacker"]`), false},
		{Attack{"build", "RUN that asks for a host that is not allowed", build(step.KindPolicy, "is not a host that the platform lets apps reach")}, map[string]string{
			"app.yaml":   "name: " + App + "\nbuild: {kind: dockerfile, package: ./cmd/" + App + ", network: [\"" + notAllowed + "\"]}\nport: 8080\n",
			"Dockerfile": "FROM scratch\n",
		}, false},
		{Attack{"build", "RUN with all capabilities", build(step.KindPolicy, "--security=insecure")}, dockerfile(`RUN --security=insecure ["/attacker"]`), false},
		{Attack{"build", "RUN with the pipeline's own cache", build(step.KindInput, noWayOut)}, dockerfile(`RUN --mount=type=cache,id=slipway-program-modules,target=/others ["/attacker"]`), false},
		{Attack{"build", "RUN that looks for a way out", build(step.KindInput, noWayOut)}, dockerfile(`RUN ["/attacker"]`), false},
		{Attack{"build", "RUN that starts processes without end", build(step.KindPolicy, "processes")}, dockerfile(`RUN ["/attacker", "bomb"]`), false},
	}
}

// attackerSource is Go code that tries what leads out of a box. Its file's name ends in
// .txt, so that it is no part of this module.
//
//go:embed attacker.go.txt
var attackerSource string
