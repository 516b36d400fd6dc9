package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"slipway/ci/render"
	"slipway/ci/rules"
	"slipway/step/result/argocd"
)

// Standing is where an app stands in each environment.
type Standing struct {
	// App that it is about.
	App  string
	Rows []row // +private
}

// row is one environment's line.
type row struct {
	Environment string `json:"environment"`
	// Digest, Commit, Author and At are the last release's, from Git; empty when
	// there was none.
	Digest string `json:"digest"`
	Commit string `json:"commit"`
	Author string `json:"author"`
	At     string `json:"at"`
	// Sync and Health are Argo CD's; empty without a cluster. Running says
	// whether the last release's digest is what runs.
	Sync    string `json:"sync"`
	Health  string `json:"health"`
	Running bool   `json:"running"`
	// Scanned is when the vulnerability database that decided was made; empty
	// when no scan is attested.
	Scanned string `json:"scanned"`
	// Revoked is the revocation of the digest for the environment, if there is one.
	Revoked *Revocation `json:"revoked,omitempty"`
}

// Status shows where an app stands in every environment: what Git says was released, by
// whom and when; what Argo CD has synced and found healthy, when a kubeconfig is given;
// and how old the advisories of its last scan are.
//
// Example: dagger call status --app hello text
//
// +cache="never"
func (s *Slipway) Status(
	ctx context.Context,
	// The app.
	app string,
) (*Standing, error) {
	const stage = "status"
	if err := s.known(stage, app); err != nil {
		return nil, err
	}
	envs := s.Config.EnvironmentNames()
	var standing map[string]argocd.Status
	if s.Kubeconfig != nil {
		var err error
		if standing, err = s.standing(ctx, stage, app, envs...); err != nil {
			return nil, err
		}
	}
	rows, failures := make([]row, len(envs)), make([]error, len(envs))
	var all sync.WaitGroup
	for n, env := range envs {
		all.Go(func() {
			rows[n], failures[n] = s.row(ctx, stage, app, env, standing[env])
		})
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return &Standing{App: app, Rows: rows}, nil
}

func (s *Slipway) row(ctx context.Context, stage, app, env string, now argocd.Status) (row, error) {
	r := row{Environment: env, Sync: now.Sync, Health: now.Health}
	releases, err := s.history(ctx, stage, app, env)
	if err != nil || len(releases) == 0 {
		return r, err
	}
	last := releases[0]
	image := s.signed(app, last.Digest)
	r.Digest, r.Commit, r.Author, r.At, r.Running = last.Digest, last.Commit, last.Author, last.At.Format(time.RFC3339), runs(now, image.Reference)
	r.Revoked = rules.Revoked(s.Revocations, last.Digest, env)
	at, err := s.signing(ctx, stage, image.Reference.Repository())
	if err != nil {
		return r, err
	}
	// Scans can only be shown where it is known whose of them count.
	if must, err := s.trust(ctx, at.Sign, stage, env); err == nil {
		scan, err := image.newestScan(ctx, verifier{must, at.reached})
		if err != nil {
			return r, err
		}
		if scan != nil && !scan.Scanner.DB.LastUpdate.IsZero() {
			r.Scanned = scan.Scanner.DB.LastUpdate.UTC().Format(time.RFC3339)
		}
	}
	return r, nil
}

// Json is the table as JSON.
//
// +cache="168h"
func (s *Standing) Json() (string, error) { return render.JSON(s.Rows) }

// Text is the table for people.
//
// +cache="never"
func (s *Standing) Text() string {
	var revoked []string
	table := [][]string{{"ENVIRONMENT", "DIGEST", "COMMIT", "WHO", "WHEN", "SYNCED", "HEALTHY", "SCAN"}}
	for _, r := range s.Rows {
		health := or(r.Health, "-")
		if r.Digest != "" && r.Health != "" && !r.Running {
			health += " (another digest runs)"
		}
		scan := "-"
		if at, err := time.Parse(time.RFC3339, r.Scanned); err == nil {
			scan = fmt.Sprintf("%s old", time.Since(at).Round(time.Minute))
		}
		digest := or(short(r.Digest), "never released")
		if r.Revoked != nil {
			digest += " (revoked)"
			revoked = append(revoked, r.Environment+": "+r.Digest+" "+r.Revoked.String())
		}
		table = append(table, []string{r.Environment, digest,
			fmt.Sprintf("%.12s", or(r.Commit, "-")), or(r.Author, "-"), or(r.At, "-"), or(r.Sync, "-"), health, scan})
	}
	return render.Table(table...) + render.Lines("", revoked...)
}

// short is a digest as people compare it.
func short(digest string) string {
	return digest[:min(len(digest), len("sha256:")+12)]
}
