package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"slipway/ci/internal/dagger"

	"slipway/ci/config"
	"slipway/ci/testsummary"
	"slipway/step"
	"slipway/step/result/build"
)

// recipe is a build of an app's Dockerfile: of its image or of its tests.
type recipe struct {
	app      *App
	settings *config.App
	// binaries are those of build.package, a folder for each architecture; nil
	// without one.
	binaries *dagger.Directory
	// target is the stage that is built; the last one if empty.
	target string
	// stage is the pipeline's: build or test.
	stage string
	// network is the id of the mount of the box's gateway; empty without one.
	network string
}

// recipe is the one of the app's image.
func (a *App) recipe(settings *config.App, binaries *dagger.Directory) recipe {
	return recipe{app: a, settings: settings, binaries: binaries, target: settings.Build.Target, stage: "build"}
}

func (r recipe) dockerfile() (*dagger.BuildDockerfile, error) {
	c := r.app.Slipway.Config
	b := r.settings.Build
	return dag.Build().Dockerfile(r.app.source(), b.File, dagger.BuildDockerfileOpts{
		Args: b.Arguments(), Target: r.target, Secrets: b.Secrets, Bases: c.Build.Images(),
	}), nil
}

// checked is what the Dockerfile takes from elsewhere.
func (r recipe) checked(ctx context.Context) (build.Dockerfile, error) {
	dockerfile, err := r.dockerfile()
	if err != nil {
		return build.Dockerfile{}, err
	}
	return resultIn[build.Dockerfile](ctx, dockerfile.Check(r.settings.Platforms))
}

// images builds the Dockerfile for some of its platforms.
func (r recipe) images(ctx context.Context, platforms []string) (map[string]*dagger.Container, error) {
	checked, err := r.checked(ctx)
	if err != nil {
		return nil, err
	}
	fetched, err := r.fetched(ctx, checked.Fetches)
	if err != nil {
		return nil, err
	}
	packages, _, err := r.packages(ctx, checked)
	if err != nil {
		return nil, err
	}
	secrets, err := r.secrets(ctx)
	if err != nil {
		return nil, err
	}
	built := make([]*dagger.Container, len(platforms))
	var works []func() error
	for i, platform := range platforms {
		works = append(works, func() error {
			missing := r.app.Slipway.holdBases(ctx, checked, platform)
			folder, err := r.context(ctx, checked, platform, packages)
			if err == nil {
				built[i], err = r.image(ctx, folder.WithDirectory(build.FetchedFolder, fetched), platform, secrets)
			}
			if err != nil && missing != nil {
				return r.fault(platform, missing)
			}
			return err
		})
	}
	if err := sideBySide(works...); err != nil {
		return nil, err
	}
	images := map[string]*dagger.Container{}
	for i, platform := range platforms {
		images[platform] = built[i]
	}
	return images, nil
}

// archives builds the image for each platform, as OCI tarballs, and notes in the box
// what its network was used for.
func (r recipe) archives(ctx context.Context, held *Box) (map[string]*dagger.File, error) {
	archives := map[string]*dagger.File{}
	err := networked(ctx, held, func(id string) error {
		r.network = id
		images, err := r.images(ctx, r.settings.Platforms)
		if err != nil {
			return err
		}
		for platform, image := range images {
			archive := ociTarball(image)
			if len(r.settings.Build.Secrets) > 0 || id != "" {
				// A secret and a gateway are others in each session, and so is what was
				// built with them. As a plain file the image is known by its content
				// again.
				name := strings.ReplaceAll(platform, "/", "-") + ".tar"
				if _, err := archive.Export(ctx, name); err != nil {
					return err
				}
				archive = dag.CurrentModule().WorkdirFile(name)
			}
			archives[platform] = archive
		}
		return nil
	})
	return archives, err
}

// context is what the builder gets: the app's build context in a folder of its
// own, so that none of its names, ignored or not, can be one of the pipeline's.
// Packages are those that each RUN is served; nil for none.
func (r recipe) context(ctx context.Context, checked build.Dockerfile, platform string, packages *dagger.Directory) (*dagger.Directory, error) {
	arch := strings.TrimPrefix(platform, "linux/")
	source := r.app.source()
	if r.binaries != nil {
		source = source.WithDirectory("bin/"+arch, r.binaries.Directory(arch))
	}
	var images []string
	var archives []*dagger.File
	for _, c := range checked.Configs {
		if c.Build != platform {
			continue
		}
		base := r.app.Slipway.from(c.Reference, c.Platform).
			WithRootfs(dag.Directory().WithNewFile("empty", "")) // its config is enough
		archive, err := ociTarball(base).Sync(ctx)
		if err != nil {
			return nil, r.fault(platform, err)
		}
		images, archives = append(images, c.Reference+"="+c.Platform), append(archives, archive)
	}
	limits, err := r.app.limits(r.settings)
	if err != nil {
		return nil, err
	}
	box := []string{"run", "--keep-user"}
	for _, limit := range limits.Flags() {
		box = append(box, "--"+limit)
	}
	dockerfile, err := r.dockerfile()
	if err != nil {
		return nil, err
	}
	rewritten := dockerfile.Rewrite(platform, box, dagger.BuildDockerfileRewriteOpts{Images: images, Archives: archives, Packages: packages != nil, Network: r.network})
	if err := passedIn(ctx, rewritten); err != nil {
		return nil, err
	}
	folder := dag.Directory()
	if packages != nil {
		folder = folder.WithDirectory(build.PackagesFolder, packages)
	}
	return folder.
		WithDirectory(build.ContextFolder, source.Filter(dagger.DirectoryFilterOpts{Exclude: checked.Ignore})).
		WithDirectory(build.ScriptsFolder, rewritten.Directory(build.ScriptsFolder)).
		WithFile("Dockerfile", rewritten.File("Dockerfile")).
		WithFile(build.BoxFolder+"/amd64", dag.Build().Box("amd64")).
		WithFile(build.BoxFolder+"/arm64", dag.Build().Box("arm64")), nil
}

// fetched is a folder of what the Dockerfile adds from elsewhere, by number.
func (r recipe) fetched(ctx context.Context, fetches []build.Fetch) (*dagger.Directory, error) {
	folder := dag.Directory()
	for i, f := range fetches {
		at := strconv.Itoa(i)
		subject := fmt.Sprintf("app %s: %s:%d: ADD %s", r.app.Name, r.settings.Build.File, f.Line, f.URL)
		if f.Commit != "" {
			tree, err := dag.Git(f.URL).Commit(f.Commit).Tree(dagger.GitRefTreeOpts{DiscardGitDir: true}).Sync(ctx)
			if err != nil {
				return nil, step.Infrastructure("build", subject, "can't be fetched: "+err.Error(), "see that the repository answers and has the commit "+f.Commit)
			}
			folder = folder.WithDirectory(at, tree)
			continue
		}
		file, err := dag.HTTP(f.URL, dagger.HTTPOpts{Name: f.Name, Checksum: f.Checksum}).Sync(ctx)
		if err != nil && strings.Contains(err.Error(), "checksum mismatch") {
			return nil, step.Policy("build", subject, "is not what the checksum says: "+err.Error(), "find out what was changed there, and then name its checksum")
		}
		if err != nil {
			return nil, step.Infrastructure("build", subject, "can't be fetched: "+err.Error(), "see that the address answers")
		}
		folder = folder.WithFile(at+"/"+f.Name, file)
	}
	return folder, nil
}

// secrets are those that app.yaml names, by the id that a mount has.
func (r recipe) secrets(ctx context.Context) ([]*dagger.Secret, error) {
	var all []*dagger.Secret
	for _, id := range r.settings.Build.Secrets {
		i := slices.Index(r.app.Slipway.BuildSecretNames, id)
		if i < 0 {
			return nil, step.Input("build", "app "+r.app.Name+": build.secrets: "+id, "is not given", "give it: dagger call with-build-secret --name "+id+" --value env:…")
		}
		value, err := r.app.Slipway.BuildSecrets[i].Plaintext(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, dag.SetSecret(id, value))
	}
	return all, nil
}

func ociTarball(image *dagger.Container) *dagger.File {
	return image.AsTarball(dagger.ContainerAsTarballOpts{MediaTypes: dagger.ImageMediaTypesOcimediaTypes})
}

// image builds for one platform.
//
// The engine forgets the platform of a build whose base is scratch: the files
// are the right ones, but the image says that it is for the engine's own
// platform. Its settings are then moved onto a container of the right one.
func (r recipe) image(ctx context.Context, folder *dagger.Directory, platform string, secrets []*dagger.Secret) (*dagger.Container, error) {
	var args []dagger.BuildArg
	for _, arg := range r.settings.Build.Arguments() {
		key, value, _ := strings.Cut(arg, "=")
		args = append(args, dagger.BuildArg{Name: key, Value: value})
	}
	wanted := dagger.Platform(platform)
	// The box is the first process, so that what it runs can't outlive it.
	built, err := folder.DockerBuild(dagger.DirectoryDockerBuildOpts{Platform: wanted, BuildArgs: args, Target: r.target, Secrets: secrets, NoInit: true}).Sync(ctx)
	if err != nil {
		return nil, r.fault(platform, err)
	}
	says, err := built.Platform(ctx)
	if err != nil || says == wanted {
		return built, err
	}
	image := dag.Container(dagger.ContainerOpts{Platform: wanted}).WithRootfs(built.Rootfs())
	for _, move := range []func(context.Context, *dagger.Container, *dagger.Container) (*dagger.Container, error){
		moveUser, moveEntrypoint, moveArgs, moveWorkdir, moveEnv, moveLabels, movePorts,
	} {
		if image, err = move(ctx, built, image); err != nil {
			return nil, err
		}
	}
	return image, nil
}

// dockerfileTest runs an app's tests: it builds the stage that app.yaml names for
// them, and returns how they went and what its last command printed. A command that
// fails is a refusal, and so is a summary without a test that has passed. A stage whose
// last command prints no summary that is known counts as one test.
func (a *App) dockerfileTest(ctx context.Context, settings *config.App, held *Box) (tests build.TestPackage, output string, err error) {
	tests = build.TestPackage{Name: settings.Build.File + " --target " + settings.Test.Target, Counts: build.Counts{Passed: 1}}
	binaries, err := a.binaries(ctx, settings, "")
	if err != nil {
		return tests, "", err
	}
	r := recipe{app: a, settings: settings, binaries: binaries, target: settings.Test.Target, stage: "test"}
	platform := settings.Platforms[0]
	var stdout, stderr string
	err = networked(ctx, held, func(id string) error {
		r.network = id
		images, err := r.images(ctx, []string{platform})
		if err != nil {
			return err
		}
		if stdout, err = images[platform].Stdout(ctx); err != nil {
			return err
		}
		stderr, err = images[platform].Stderr(ctx)
		return err
	})
	if err != nil {
		return tests, "", err
	}
	output = strings.TrimLeft(strings.TrimRight(stdout, "\n")+"\n"+stderr, "\n")
	counts, known := testsummary.Counts(stdout, stderr)
	if !known {
		return tests, output, nil
	}
	tests.Counts = counts
	subject, said := "app "+a.Name+": "+settings.Build.File, strings.Split(strings.TrimSpace(output), "\n")
	said = said[max(0, len(said)-20):]
	switch {
	case counts.Failed > 0:
		return tests, "", step.Policy(r.stage, subject, fmt.Sprintf("its own tests fail: %d of them, says the summary of a command that did not fail", counts.Failed), "mend them, and let the command fail with them", said...)
	case counts.Passed == 0:
		return tests, "", step.Policy(r.stage, subject, fmt.Sprintf("has no test that ran: %d skip themselves, says the summary of stage %s", counts.Skipped, settings.Test.Target), "write one, and see that the command finds it", said...)
	}
	return tests, output, nil
}

// limits are how each limit of the box is mended.
var limits = map[string]string{
	"time":      "make it shorter, or build it in stages",
	"memory":    "let it do less at once",
	"processes": "let it start fewer at once",
	"output":    "let it print less",
	"disk":      "let it write less, and remove what the image doesn't need",
}

// fault is what an error of a Dockerfile's build means: a command that fails or
// runs into a limit, or that the Dockerfile wants what is not there; otherwise it
// is the engine's or a registry's.
func (r recipe) fault(platform string, err error) error {
	subject := "app " + r.app.Name + ": " + r.settings.Build.File
	mend := "see the reason; docker build --platform " + platform + " apps/" + r.app.Name + " shows it by hand"
	var failed *dagger.ExecError
	if errors.As(err, &failed) {
		command := failed.Cmd
		if i := slices.Index(command, "--"); i > 0 && strings.HasSuffix(command[0], "/box") {
			command = command[i+1:]
		}
		what := strings.Join(command, " ")
		said := strings.Split(strings.TrimSpace(failed.Stdout+"\n"+failed.Stderr), "\n")
		last, lines := said[len(said)-1], said[max(0, len(said)-20):]
		if said, ok := strings.CutPrefix(last, "slipway-box: "); ok && failed.ExitCode == 125 {
			limit, ok := strings.CutPrefix(said, "limit: ")
			if !ok {
				return step.Infrastructure(r.stage, subject, "the box can't run "+what+" for "+platform+": "+said, "use an engine that runs a command without a network, as the first process of its container")
			}
			name, _, _ := strings.Cut(limit, ":")
			return step.Policy(r.stage, subject, what+" runs into a limit for "+platform+": "+limit, or(limits[name], mend), lines...)
		}
		// It may be one of the Dockerfile, or the compilation of what it copies.
		reason := what + " fails for " + platform + " with exit code " + strconv.Itoa(failed.ExitCode)
		if last != "" {
			reason += ": " + last
		}
		if strings.Contains(failed.Stderr, "exec format error") {
			return step.Input("build", subject, reason, "run no program that is for another platform, use an engine that emulates "+platform+", or leave the platform out of app.yaml", lines...)
		}
		if r.stage == "test" {
			return step.Policy(r.stage, subject, "its own tests fail: "+reason, "mend them: docker build --target "+r.target+" apps/"+r.app.Name, lines...)
		}
		return step.Input("build", subject, reason, mend, lines...)
	}
	reason := "can't be built for " + platform + ": " + err.Error()
	for _, wants := range []string{"no such file or directory", "not found", "failed to convert Dockerfile"} {
		if strings.Contains(err.Error(), wants) {
			return step.Input("build", subject, reason, mend)
		}
	}
	return step.Infrastructure("build", subject, reason, mend)
}
