package config

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"slipway/step"
)

// Registration is an app whose code lies in a repository of its own.
type Registration struct {
	// Repository is the http(s) URL of the app's Git repository.
	Repository string `yaml:"repository"`
	// Folder is the app's folder in it; "." unless said.
	Folder string `yaml:"folder"`
	// Environments that the app may be released to.
	Environments []string `yaml:"environments"`
	// Packaging says what the app's overlays are built from; app.yaml can't.
	Packaging Packaging `yaml:"packaging"`
}

// Folder is where an app lies in the repository that it comes from: the platform's, or
// the one that it is registered with.
func (c *Config) Folder(app string) string {
	if r, ok := c.Apps[app]; ok {
		return path.Clean(r.Folder)
	}
	return "apps/" + app
}

// Origin is the repository that the app of an image is registered with; empty for one of
// the platform's own.
func (c *Config) Origin(image string) string {
	for app, r := range c.Apps {
		if c.Image(app) == image {
			return r.Repository
		}
	}
	return ""
}

// Goes returns an environment, and refuses one that an app may not be released to.
func (c *Config) Goes(stage, app, env string) (Environment, error) {
	to, err := c.Environment(stage, env)
	if err != nil {
		return to, err
	}
	if r, ok := c.Apps[app]; ok && !slices.Contains(r.Environments, env) {
		return to, step.Policy(stage, fmt.Sprintf("app %s in environment %s", app, env), "is not registered for it",
			fmt.Sprintf("release it to %s, or add the environment to apps.%s.environments in %s", strings.Join(r.Environments, " or "), app, File))
	}
	return to, nil
}

func (c *Config) validateApps() error {
	for _, app := range slices.Sorted(maps.Keys(c.Apps)) {
		at, r := File+": apps."+app, c.Apps[app]
		if err := step.Name(stage, File+": apps", app); err != nil {
			return err
		}
		switch {
		case !cleanURL(r.Repository):
			return step.Input(stage, fmt.Sprintf("%s.repository %q", at, Shown(r.Repository)), "is not an http(s) URL without credentials", "give the address of the app's Git repository, such as https://github.com/acme/shop")
		case r.Folder != "" && r.Folder != "." && !pathPattern.MatchString(r.Folder):
			return step.Input(stage, fmt.Sprintf("%s.folder %q", at, r.Folder), "is not a folder inside the repository", "give a relative path, or leave it out for the repository's root")
		case r.Packaging != "" && !r.Packaging.valid():
			return step.Input(stage, fmt.Sprintf("%s.packaging %q", at, r.Packaging), "is not a kind of packaging", "use kustomize or helm, or leave it out for kustomize")
		case len(r.Environments) == 0:
			return step.Input(stage, at+".environments", "is empty", "name the environments that the app may be released to")
		}
		for _, env := range r.Environments {
			if _, ok := c.Environments[env]; !ok {
				return step.Input(stage, fmt.Sprintf("%s.environments %q", at, env), "is not configured", "use one of "+strings.Join(c.EnvironmentNames(), ", "))
			}
		}
	}
	return nil
}
