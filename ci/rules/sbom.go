package rules

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"slipway/ci/evidence"
	"slipway/step/result/scan"
)

// document is the part of a CycloneDX or SPDX document that the rules read.
type document struct {
	BOMFormat string `json:"bomFormat"`
	Metadata  struct {
		Component struct {
			Properties []struct {
				Name  string `json:"name"`
				Value string `json:"value"`
			} `json:"properties"`
		} `json:"component"`
	} `json:"metadata"`
	Components []struct {
		Type     string `json:"type"`
		Name     string `json:"name"`
		Version  string `json:"version"`
		Licenses []struct {
			License struct {
				ID   string `json:"id"`
				Name string `json:"name"`
			} `json:"license"`
			Expression string `json:"expression"`
		} `json:"licenses"`
	} `json:"components"`
	SPDXVersion string `json:"spdxVersion"`
	Packages    []struct {
		Purpose     string `json:"primaryPackagePurpose"`
		Annotations []struct {
			Comment string `json:"comment"`
		} `json:"annotations"`
	} `json:"packages"`
}

// platform is the one whose image the document is about; empty for a source's.
func (d document) platform() string {
	for _, p := range d.Metadata.Component.Properties {
		if p.Name == scan.PlatformProperty {
			return p.Value
		}
	}
	for _, p := range d.Packages {
		for _, a := range p.Annotations {
			if value, ok := strings.CutPrefix(a.Comment, scan.PlatformProperty+": "); ok && p.Purpose == "CONTAINER" {
				return value
			}
		}
	}
	return ""
}

// documents are the bills of materials of one type that are what they say.
func (in Evidence) documents(predicateType string) []document {
	var all []document
	for _, s := range evidence.OfType(in.Statements, predicateType) {
		var d document
		if json.Unmarshal(s.Predicate, &d) != nil {
			continue
		}
		if predicateType == evidence.CycloneDXType && d.BOMFormat == "CycloneDX" || predicateType == evidence.SPDXType && strings.HasPrefix(d.SPDXVersion, "SPDX-2.") {
			all = append(all, d)
		}
	}
	return all
}

// platforms are those that the image is for, as its provenance says.
func (in Evidence) platforms() []string {
	var all []string
	for _, p := range in.provenances() {
		if named := p.BuildDefinition.InternalParameters.Platforms; named != "" {
			all = append(all, strings.Split(named, ",")...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (in Evidence) sbom(Rule) (finding, time.Time) {
	cyclonedx, spdx := in.documents(evidence.CycloneDXType), in.documents(evidence.SPDXType)
	if len(cyclonedx) == 0 || len(spdx) == 0 {
		return finding{fmt.Sprintf("%d CycloneDX and %d SPDX documents are attested", len(cyclonedx), len(spdx)), rebuild}, time.Time{}
	}
	platforms := in.platforms()
	if len(platforms) == 0 {
		return finding{"no provenance says which platforms must have CycloneDX and SPDX documents", rebuild}, time.Time{}
	}
	for _, platform := range platforms {
		about := func(d document) bool { return scan.Is(d.platform(), platform) }
		if !slices.ContainsFunc(cyclonedx, about) || !slices.ContainsFunc(spdx, about) {
			return finding{"no CycloneDX and SPDX documents are about its image for " + platform, rebuild}, time.Time{}
		}
	}
	most := 0
	for _, d := range cyclonedx {
		most = max(most, len(d.Components))
	}
	return finding{reason: fmt.Sprintf("CycloneDX and SPDX documents of %d components", most)}, time.Time{}
}

func (in Evidence) licences(rule Rule) (finding, time.Time) {
	all := in.documents(evidence.CycloneDXType)
	if len(all) == 0 {
		return finding{"no CycloneDX document says which licences are in it", rebuild}, time.Time{}
	}
	var refused []string
	// The same package may be in the bills of several platforms.
	unknown, known := map[string]bool{}, map[string]bool{}
	for _, d := range all {
		for _, c := range d.Components {
			var expressions []string
			for _, l := range c.Licenses {
				if text := cmp.Or(l.Expression, l.License.ID, l.License.Name); text != "" {
					expressions = append(expressions, text)
				}
			}
			if len(expressions) == 0 {
				// A distribution, or a file that names packages, has no licence of its own.
				if c.Type != "operating-system" && c.Type != "application" {
					unknown[c.Name+" "+c.Version] = true
				}
				continue
			}
			known[c.Name+" "+c.Version] = true
			for _, e := range expressions {
				if line := fmt.Sprintf("%s %s (%s)", c.Name, c.Version, e); !rule.permits(e) && !slices.Contains(refused, line) {
					refused = append(refused, line)
				}
			}
		}
	}
	switch {
	case len(refused) > 0:
		return finding{"it holds " + strings.Join(refused, ", "), "replace the named packages, or allow their licences"}, time.Time{}
	case len(unknown) > 0 && rule.Unknown != ActionReport:
		return finding{fmt.Sprintf("the licences of %d components are not known", len(unknown)), "use packages that state their licence, or give the rule unknown: report"}, time.Time{}
	}
	return finding{reason: fmt.Sprintf("the licences of %d components are allowed, those of %d are not known", len(known), len(unknown))}, time.Time{}
}

// permits says whether a licence expression (SPDX specification, annex D) can be
// met by permitted licences: of alternatives one is enough.
func (r Rule) permits(expression string) bool {
	flat := strings.NewReplacer("(", " ", ")", " ").Replace(expression)
	alternatives := []string{flat}
	if strings.Contains(flat, " OR ") {
		if strings.Contains(flat, " AND ") {
			// Not taken apart: each licence in it has to be permitted.
			flat = strings.ReplaceAll(flat, " OR ", " AND ")
			alternatives = []string{flat}
		} else {
			alternatives = strings.Split(flat, " OR ")
		}
	}
	return slices.ContainsFunc(alternatives, func(all string) bool {
		for _, id := range strings.Split(all, " AND ") {
			id, _, _ = strings.Cut(strings.TrimSpace(id), " WITH ")
			if matches(r.Deny, id) || len(r.Allow) > 0 && !matches(r.Allow, id) {
				return false
			}
		}
		return true
	})
}
