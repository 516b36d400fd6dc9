package packages

import (
	"os"
	"strings"

	"slipway/step"
)

// Netrc are logins by host.
type Netrc map[string]Login

// Login is who asks a host.
type Login struct{ Login, Password string }

// ReadNetrc reads a file in .netrc's format. What stands below default is for no
// registry: a password goes only to the host that it names. A fault, KindInput, shows
// nothing of the file.
func ReadNetrc(path string) (Netrc, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, step.Input(Stage, "--netrc", "can't be read", "give a file in .netrc's format").Because(err)
	}
	return parseNetrc(string(content))
}

func parseNetrc(content string) (Netrc, error) {
	all := Netrc{}
	host := ""
	macro := false
	for line := range strings.Lines(content) {
		words := strings.Fields(line)
		if macro && len(words) > 0 {
			continue
		}
		macro = false
		for i := 0; i < len(words); i++ {
			if strings.HasPrefix(words[i], "#") && i == 0 {
				break
			}
			if words[i] == "default" {
				host = ""
				continue
			}
			if words[i] == "macdef" {
				macro = true
				break
			}
			key := words[i]
			if i++; i == len(words) {
				return nil, step.Input(Stage, "--netrc", "has a word without a value at the end of a line", "write machine HOST login NAME password TOKEN")
			}
			who := all[host]
			switch key {
			case "machine":
				host, who = words[i], Login{}
			case "login":
				who.Login = words[i]
			case "password":
				who.Password = words[i]
			case "account":
			default:
				return nil, step.Input(Stage, "--netrc", "has a word that .netrc's format does not know", "write machine HOST login NAME password TOKEN")
			}
			if host != "" {
				all[host] = who
			}
		}
	}
	return all, nil
}
