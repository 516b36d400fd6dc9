package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"slipway/ci/config"
	"slipway/step"
	"slipway/step/result/scan"
)

// judge decides about what a scan of the GitOps folder found, and returns what
// the policy lets pass. An exception for one of its files that no finding needs
// is refused too: it would hide the next one.
func judge(settings, findings string, now time.Time) (string, error) {
	if findings == "" {
		return "", errors.New("--findings is missing")
	}
	text, err := os.ReadFile(settings)
	if err != nil {
		return "", err
	}
	c, err := config.Parse(text)
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(findings)
	if err != nil {
		return "", err
	}
	var found scan.Findings
	if err := step.Decode(data, &found); err != nil {
		return "", err
	}
	verdict, err := c.Scan.Policy.EvaluateManifests(stage, "", "folder "+c.GitOps.Root, found, now)
	if err != nil {
		return "", err
	}
	lines := verdict.Reported
	for _, e := range c.Scan.Policy.Exceptions {
		needed := slices.Contains(verdict.Excepted, e)
		if !needed && e.App == "" && strings.HasPrefix(e.Path, c.GitOps.Root+"/") {
			return "", step.Policy(stage, fmt.Sprintf("exception %s of %s in %s", e.ID, e.Owner, e.Path), "is needed by no finding", "remove it from slipway.yaml")
		}
		if needed {
			lines = append(lines, fmt.Sprintf("excepted until %s: %s in %s: %s", e.Expires, e.ID, e.Path, e.Reason))
		}
	}
	return strings.Join(append(lines, fmt.Sprintf("%d scanned, none refuses at %s", verdict.Scanned, c.Scan.Policy.Threshold)), "\n"), nil
}
