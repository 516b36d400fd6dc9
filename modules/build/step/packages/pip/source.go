package pip

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"path"
	"slices"

	"slipway/build/step/packages"
	"slipway/step"
	"slipway/step/result/build"
)

// Source is the app's requirements files: those of build.Requirements' names in any
// folder, and what they include.
type Source struct {
	// Index is the base of a simple index (PEP 503 or 691); empty for none.
	Index string
}

// Origin is of packages.Source.
func (s Source) Origin() packages.Origin {
	return packages.Origin{Manager: build.Pip, What: "pip index", Address: s.Index, Setting: "build.pip.index", Anew: anew}
}

// Pin is of packages.Source. Faults are parse's, and KindInput where the platform has
// no index or the index not the release.
func (s Source) Pin(ctx context.Context, app *packages.App, client *packages.Client) ([]packages.Pinned, error) {
	wanted, err := read(app)
	if err != nil || len(wanted) == 0 {
		return nil, err
	}
	if client == nil {
		return nil, s.Origin().Missing(wanted[0].at)
	}
	found := make([][]packages.Pinned, len(wanted))
	pages := &pages{client: client}
	err = packages.Each(ctx, len(wanted), func(ctx context.Context, i int) (err error) {
		found[i], err = pages.files(ctx, wanted[i])
		return err
	})
	return slices.Concat(found...), err
}

// read are the releases that the app's files pin, in the order of the files.
func read(app *packages.App) ([]requirement, error) {
	var files []include
	for _, file := range app.Files {
		if ok, _ := path.Match(build.Requirements, path.Base(file)); ok {
			files = append(files, include{file: file})
		}
	}
	var all []requirement
	for i := 0; i < len(files); i++ {
		if slices.ContainsFunc(files[:i], func(f include) bool { return f.file == files[i].file }) {
			continue
		}
		if at := files[i].at; at != "" && !slices.Contains(app.Files, files[i].file) {
			return nil, step.Input(packages.Stage, at, "includes "+files[i].file+", which is not in the app", "commit it, or take the line out; .dockerignore may leave it out")
		}
		content, err := app.Lock(files[i].file)
		if err != nil {
			return nil, err
		}
		pinned, includes, err := parse(files[i].file, content, app.Packages)
		if err != nil {
			return nil, err
		}
		all, files = append(all, pinned...), append(files, includes...)
	}
	return all, nil
}

// pinned is a file of a release.
func (r requirement) pinned(f file) packages.Pinned {
	sum, _ := hex.DecodeString(f.sum) // it is one of the requirement's
	return packages.Pinned{
		Name: r.name, Version: r.version, Path: build.PipFiles + f.sum + "/" + f.name, Integrity: "sha256-" + base64.StdEncoding.EncodeToString(sum),
		URL: f.url.String(), Algorithm: "sha256", Sums: []string{string(sum)}, At: r.at,
	}
}
