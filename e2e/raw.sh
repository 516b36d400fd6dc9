#!/bin/sh
# The work of one deliver by the tools themselves, for the benchmarks to put
# beside it: build, scan, push, sign, provision, release.
#
# It leaves out what the pipeline is for: policy on the findings and on the
# plan, a stale database, checks of digest, blobs, signature and plan before
# each is relied on, the proof that only one image changed, lost races, retries,
# receipts, image labels, and a container for each step. What it prints is the released digest.
#
# Without RAW_COSIGN it also leaves out what those checks stand on. With it, it does
# that as well: the app's tests, a bill of materials in each of two formats, the six
# statements (the signature, the scan, the tests, the provenance and the bills), and
# their verification by the stock cosign, which is a process for each.
#
# Wants: RAW_TOOLS (folder of build, sign and trivy), RAW_WORK, RAW_SOURCE,
# RAW_APP, RAW_ENV, RAW_REGISTRY (host:port/path), RAW_IMAGE (the overlay's image
# name), RAW_USERNAME and RAW_REGISTRY_PASSWORD_FILE (of the registry), RAW_REMOTE,
# RAW_STATE, RAW_KEY, RAW_PASSWORD_FILE, RAW_CACHE (Trivy's), and Git's and Terraform's
# own settings of their accounts. RAW_COSIGN (the program, or nothing) also wants
# RAW_PUBLIC_KEY.
set -eu

app="$RAW_SOURCE/apps/$RAW_APP"
new="$RAW_WORK/new"
rm -rf "$new"
mkdir -p "$new"

# Build: two static binaries, one index.
for arch in amd64 arm64; do
	CGO_ENABLED=0 GOOS=linux GOARCH=$arch GOFLAGS=-buildvcs=false \
		go build -C "$app" -trimpath -ldflags='-s -w -buildid=' -o "$new/$arch" "./cmd/$RAW_APP"
done
"$RAW_TOOLS/build" assemble --out "$new/image" --name "$RAW_APP" --tree "$app" \
	--binary "linux/amd64=$new/amd64" --binary "linux/arm64=$new/arm64" \
	--zoneinfo "$(go env GOROOT)/lib/time/zoneinfo.zip" --port 8080
layout="$new/image/layout"
digests() { grep -o 'sha256:[0-9a-f]\{64\}' "$1"; }
blob() { echo "$layout/blobs/sha256/${1#sha256:}"; }
digest=$(digests "$layout/index.json")

# Test.
statements="$new/statements"
mkdir "$statements"
statement() { printf '{"predicateType":"%s","predicateFile":"%s"}' "$1" "$2" >"$statements/$2.statement.json"; }
scan=https://in-toto.io/attestation/vulns/v0.2
tests=https://in-toto.io/attestation/test-result/v0.1
provenance=https://slsa.dev/provenance/v1
cyclonedx=https://cyclonedx.org/bom
spdx=https://spdx.dev/Document
if [ -n "$RAW_COSIGN" ]; then
	go vet -C "$app" ./...
	go test -C "$app" -vet=off -json ./... >"$new/tests.json"
	printf '{"result":"PASSED","count":%d}' "$(grep -c '"Action":"pass"' "$new/tests.json")" >"$statements/tests"
	statement "$tests" tests
fi

# Scan: each image by itself, since Trivy takes only the first of a layout;
# then the source, the manifests and the Terraform code.
trivy() {
	"$RAW_TOOLS/trivy" "$@" --cache-dir "$RAW_CACHE" --cache-backend memory --quiet --no-progress --offline-scan \
		--skip-db-update --skip-java-db-update --skip-version-check --disable-telemetry --format json --output "$new/report.json"
}
for image in $(digests "$(blob "$digest")"); do
	view="$new/view-${image#sha256:}"
	mkdir "$view"
	ln -s "$layout/blobs" "$view/blobs"
	echo '{"imageLayoutVersion":"1.0.0"}' >"$view/oci-layout"
	printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":%d}]}' \
		"$image" "$(wc -c <"$(blob "$image")")" >"$view/index.json"
	trivy image --input "$view" --scanners vuln --list-all-pkgs
done
if [ -n "$RAW_COSIGN" ]; then
	cp "$new/report.json" "$statements/scan"
	statement "$scan" scan
	for format in cyclonedx spdx-json; do
		"$RAW_TOOLS/trivy" convert --cache-dir "$RAW_CACHE" --quiet --format "$format" --output "$statements/$format" "$new/report.json"
	done
	statement "$cyclonedx" cyclonedx
	statement "$spdx" spdx-json
fi
trivy fs --scanners secret "$app"
for folder in gitops/apps infra; do
	trivy fs --scanners misconfig,secret --skip-check-update "$RAW_SOURCE/$folder"
done

# Push and sign.
"$RAW_TOOLS/build" publish --out "$new/published" --layout "$layout" --digest "$digest" --repository "$RAW_REGISTRY/$RAW_APP" \
	--username "$RAW_USERNAME" --registry-password-file "$RAW_REGISTRY_PASSWORD_FILE"
if [ -n "$RAW_COSIGN" ]; then
	printf '{"buildDefinition":{"buildType":"raw.sh","resolvedDependencies":[{"digest":{"gitCommit":"%s"}}]},"runDetails":{"builder":{"id":"raw.sh"}}}' \
		"$(git -C "$RAW_SOURCE" rev-parse HEAD)" >"$statements/provenance"
	statement "$provenance" provenance
	# Another run's statements about the same image differ from the first one's by their
	# times. They would pile up, and each more would have to be verified.
	[ -e "$RAW_WORK/$digest" ] || cp -R "$statements" "$RAW_WORK/$digest"
	statements="$RAW_WORK/$digest"
fi
"$RAW_TOOLS/sign" sign --out "$new/signed" --reference "$RAW_REGISTRY/$RAW_APP@$digest" --statements "$statements" \
	--key-file "$RAW_KEY" --password-file "$RAW_PASSWORD_FILE" \
	--username "$RAW_USERNAME" --registry-password-file "$RAW_REGISTRY_PASSWORD_FILE"

# Verify.
verify() {
	HOME="$RAW_WORK" "$RAW_COSIGN" "$@" --key "$RAW_PUBLIC_KEY" --insecure-ignore-tlog=true --allow-http-registry \
		"$RAW_REGISTRY/$RAW_APP@$digest" >/dev/null
}
if [ -n "$RAW_COSIGN" ]; then
	verify verify
	for type in "$scan" "$tests" "$provenance" "$cyclonedx" "$spdx"; do
		verify verify-attestation --type "$type"
	done
fi

# Provision.
export TF_DATA_DIR="$RAW_WORK/terraform" CHECKPOINT_DISABLE=1
infra="$RAW_SOURCE/infra/builtin"
terraform -chdir="$infra" init -input=false -no-color -backend-config="address=$RAW_STATE" \
	-backend-config="lock_address=$RAW_STATE" -backend-config="unlock_address=$RAW_STATE" \
	-backend-config="lock_method=LOCK" -backend-config="unlock_method=UNLOCK" >&2
code=0
terraform -chdir="$infra" plan -input=false -no-color -detailed-exitcode -out="$new/plan" \
	-var="environment=$RAW_ENV" -var-file="environments/$RAW_ENV.tfvars.json" >&2 || code=$?
case $code in
0) ;;
2) terraform -chdir="$infra" apply -input=false -no-color "$new/plan" >&2 ;;
*) exit "$code" ;;
esac

# Release.
git clone --quiet --depth 1 "$RAW_REMOTE" "$new/gitops"
overlay="gitops/apps/$RAW_APP/overlays/$RAW_ENV/kustomization.yaml"
sed -i "\\|name: $RAW_IMAGE\$|{n;s|digest: .*|digest: $digest|;}" "$new/gitops/$overlay"
if ! git -C "$new/gitops" diff --quiet; then
	git -C "$new/gitops" -c user.name=raw -c user.email=raw@localhost commit --quiet --all --message "Release $RAW_APP to $RAW_ENV"
	git -C "$new/gitops" push --quiet
fi
echo "$digest"
