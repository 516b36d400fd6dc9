#!/bin/sh
# The work of one deliver by the tools themselves, for the benchmarks to put
# beside it: build, scan, push, sign, provision, release.
#
# It leaves out what the pipeline is for: policy on the findings and on the
# plan, a stale database, checks of digest, blobs, signature and plan before
# each is relied on, the proof that only one image changed, lost races, retries,
# receipts, image labels, and a container for each step. What it prints is the released digest.
#
# Wants: RAW_TOOLS (folder of build, sign and trivy), RAW_WORK, RAW_SOURCE,
# RAW_APP, RAW_ENV, RAW_REGISTRY (host:port/path), RAW_IMAGE (the overlay's image
# name), RAW_USERNAME and RAW_REGISTRY_PASSWORD_FILE (of the registry), RAW_REMOTE,
# RAW_STATE, RAW_KEY, RAW_PASSWORD_FILE, RAW_CACHE (Trivy's), and Git's and Terraform's
# own settings of their accounts.
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
trivy fs --scanners secret "$app"
for folder in gitops/apps infra; do
	trivy fs --scanners misconfig,secret --skip-check-update "$RAW_SOURCE/$folder"
done

# Push and sign.
"$RAW_TOOLS/build" publish --out "$new/published" --layout "$layout" --digest "$digest" --repository "$RAW_REGISTRY/$RAW_APP" \
	--username "$RAW_USERNAME" --registry-password-file "$RAW_REGISTRY_PASSWORD_FILE"
"$RAW_TOOLS/sign" sign --out "$new/signed" --reference "$RAW_REGISTRY/$RAW_APP@$digest" \
	--key-file "$RAW_KEY" --password-file "$RAW_PASSWORD_FILE" \
	--username "$RAW_USERNAME" --registry-password-file "$RAW_REGISTRY_PASSWORD_FILE"

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
