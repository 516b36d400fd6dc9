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

// goProgram says why a Go program does not say what it is built of; empty when
// it does.
func (k *known) goProgram(p place) string {
	info := p.goInfo
	switch {
	case !k.listed.goPrograms[p.path] && !p.runnable:
		return "is a Go program without an executable bit, which Trivy does not open"
	case !k.listed.goPrograms[p.path]:
		return "is a Go program that Trivy does not list"
	case info.Main.Path == "" && len(info.Deps) == 0:
		return "is a Go program whose build information names no module"
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
