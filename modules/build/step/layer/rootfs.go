package layer

import (
	"encoding/pem"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// CABundle is the Mozilla root program's TLS roots as PEM, in the order of the
// pinned golang.org/x/crypto/x509roots/fallback module, so that it is the same
// on every machine. A root that Mozilla trusts only under a constraint (a
// distrust date) is left out: PEM can't carry the constraint.
func CABundle() []byte {
	var out []byte
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})...)
	}
	return out
}

const (
	// NonRoot is the user and group id that an assembled image runs as; the
	// number that distroless images made customary.
	NonRoot = 65532
	// CAFile is where Go and OpenSSL look for roots on Debian.
	CAFile = "etc/ssl/certs/ca-certificates.crt"
	// ZoneinfoFile holds the time zones; the image names it in ZONEINFO,
	// since a binary built with -trimpath knows no GOROOT to look in.
	ZoneinfoFile = "usr/share/zoneinfo.zip"
)

// Base is the content of the layer below the binary: accounts, CA roots, time
// zones and a /tmp.
func Base(zoneinfo []byte) []Entry {
	return []Entry{
		File("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")),
		File("etc/group", 0o644, []byte("root:x:0:\nnonroot:x:65532:\n")),
		File(CAFile, 0o644, CABundle()),
		File(ZoneinfoFile, 0o644, zoneinfo),
		Folder("tmp", 0o1777, 0),
		Folder("home/nonroot", 0o755, NonRoot),
	}
}
