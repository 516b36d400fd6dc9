package inventory

import "runtime/debug"

// Module is a module of a Go program that Trivy judges under another name than
// the one that advisories have for it, or under no version.
type Module struct {
	// Program is the program's path in the image, and SHA256 its content's.
	Program, SHA256 string
	// Path and Version are the module's, as the program's build requires it;
	// Version is empty when the build does not say.
	Path, Version string
	// Replacement is what was built instead: a folder, or another module with its
	// version; empty when it is the module itself.
	Replacement string
}

// goProgram says why a Go program does not say what it is built of, or why Trivy
// has not listed all of that; empty when it does and has.
func (k *known) goProgram(p place) string {
	info, packages := p.goInfo, k.listed.goPrograms[p.path]
	switch {
	case packages == nil && !p.runnable:
		return "is a Go program without an executable bit, which Trivy does not open"
	case packages == nil:
		return "is a Go program that Trivy does not list"
	case info.Main.Path == "" && len(info.Deps) == 0:
		return "is a Go program whose build information names no module"
	}
	const missing = "is a Go program of which Trivy does not list the module "
	if main := info.Main.Path; main != "" && !packages[main] {
		return missing + main
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Path != "" && !packages[m.Path+"@"+version(m.Version)] {
			return missing + m.Path
		}
	}
	return ""
}

// modules are those of a Go program that Trivy does not judge as advisories name
// them.
func modules(p place) []Module {
	if p.goInfo == nil {
		return nil
	}
	var list []Module
	add := func(m *debug.Module, replacement string) {
		list = append(list, Module{p.path, p.sha256, m.Path, version(m.Version), replacement})
	}
	if main := p.goInfo.Main; main.Path != "" && version(main.Version) == "" {
		add(&main, "")
	}
	for _, m := range p.goInfo.Deps {
		switch {
		case m.Path == "":
		case m.Replace == nil:
			if version(m.Version) == "" {
				add(m, "")
			}
		case m.Replace.Path != m.Path:
			replacement := m.Replace.Path
			if v := version(m.Replace.Version); v != "" {
				replacement += "@" + v
			}
			add(m, replacement)
		case version(m.Replace.Version) == "":
			add(&debug.Module{Path: m.Path, Version: m.Version}, m.Replace.Path)
		}
	}
	return list
}

// version is a module's version, empty for none.
func version(v string) string {
	if v == "(devel)" {
		return ""
	}
	return v
}
