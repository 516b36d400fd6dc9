package image

import (
	"fmt"
	"strconv"
	"strings"

	"slipway/step"
)

// checkUser refuses an image that would run as root, or whose user nobody can
// tell: user is the config's, passwd the image's /etc/passwd (nil when it has
// none that can be read).
func checkUser(platform, user string, passwd []byte) error {
	input := fmt.Sprintf("image for %s: USER %.80q", platform, user)
	const mend = "end the Dockerfile's last stage with USER and a number other than 0, such as USER 65532:65532"
	account, _, _ := strings.Cut(user, ":")
	if account == "" {
		return step.Policy(Stage, input, "is not set, so the image runs as root", mend)
	}
	id := account
	if strings.Trim(account, "0123456789") != "" {
		var found bool
		if id, found = lookup(account, passwd); !found {
			return step.Policy(Stage, input, "is a name that the image's /etc/passwd doesn't have", mend)
		}
	}
	// User ids are 32 bits wide; the highest half is where runtimes
	// disagree and -1 means "no change".
	n, err := strconv.ParseUint(id, 10, 31)
	if err != nil {
		return step.Policy(Stage, input, "has no valid user id", mend)
	}
	if n == 0 {
		return step.Policy(Stage, input, "is root", mend)
	}
	return nil
}

// lookup finds a name's user id in a passwd(5) file. A name with two lines is
// not found: which one counts depends on the reader.
func lookup(name string, passwd []byte) (string, bool) {
	var id string
	var matches int
	for line := range strings.Lines(string(passwd)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) >= 3 && fields[0] == name {
			id = fields[2]
			matches++
		}
	}
	return id, matches == 1
}
