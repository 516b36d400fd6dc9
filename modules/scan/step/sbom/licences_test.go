package sbom

import (
	"strings"
	"testing"

	ftypes "github.com/aquasecurity/trivy/pkg/fanal/types"
	"github.com/aquasecurity/trivy/pkg/types"
	"github.com/stretchr/testify/assert"
)

// Of several licences all hold. What can't be read must not take the others along,
// and alternatives keep their brackets.
func TestLicences(t *testing.T) {
	long := strings.TrimSuffix(strings.Repeat("BSD-3-Clause OR ", 500), " OR ")
	for _, c := range []struct {
		found     []string
		cyclonedx []string
		spdx      string
	}{
		{[]string{"MIT"}, []string{"expression MIT"}, "MIT"},
		{[]string{"GPL-2.0"}, []string{"expression GPL-2.0-only"}, "GPL-2.0-only"},
		{[]string{"GPL-2.0-or-later"}, []string{"expression GPL-2.0-or-later"}, "GPL-2.0-or-later"},
		{[]string{"FSL-1.1-MIT"}, []string{"expression FSL-1.1-MIT"}, "FSL-1.1-MIT"},
		{[]string{"MIT or Apache-2.0"}, []string{"expression MIT OR Apache-2.0"}, "MIT OR Apache-2.0"},
		{[]string{"GPL-3.0 WITH GCC-exception-3.1"}, []string{"expression GPL-3.0-only WITH GCC-exception-3.1"}, "GPL-3.0-only WITH GCC-exception-3.1"},
		{[]string{"MIT AND unheard-of"}, []string{"name MIT AND unheard-of"}, "MIT AND other"},
		{[]string{"see  the\nfile"}, []string{"name see-the-file"}, "other"},
		{[]string{"(("}, []string{"name (("}, "other"},
		{[]string{"((\n\tof  two\n\rlines"}, []string{"name (( of two lines"}, "other"},
		{[]string{"((", "MIT"}, []string{"id MIT", "name (("}, "MIT AND other"},
		{[]string{"MIT) OR (GPL-2.0"}, []string{"name MIT) OR (GPL-2.0"}, "other"},
		{[]string{"text://All rights\nreserved"}, []string{"name All rights\nreserved"}, "other"},
		{[]string{"ISC", "MIT OR Apache-2.0", "", "ISC"}, []string{"expression ISC AND (MIT OR Apache-2.0)"}, "ISC AND (MIT OR Apache-2.0)"},
		{[]string{"GPL-2.0", "GPL-2.0-only"}, []string{"expression GPL-2.0-only"}, "GPL-2.0-only"},
		{[]string{"GPL-2.0-with-classpath-exception-2.0", "ISC or MIT"}, []string{"expression GPL-2.0-only WITH Classpath-exception-2.0 AND (ISC OR MIT)"},
			"GPL-2.0-only WITH Classpath-exception-2.0 AND (ISC OR MIT)"},
		{[]string{long, "MIT"}, []string{"id MIT", "name " + long}, "MIT AND other"},
		{[]string{"", " ", "text://", "text:// "}, nil, "NOASSERTION"},
	} {
		b := bill(t, Subject{Name: "apps/sample"}, &types.Report{Results: types.Results{
			{Class: types.ClassLangPkg, Type: "node-pkg", Packages: ftypes.Packages{{Name: "a", Licenses: c.found}}},
		}})
		_, components, _ := readCycloneDX(t, b)
		var stated []string
		if all := components["a"].Licenses; all != nil {
			for _, l := range *all {
				switch {
				case l.Expression != "":
					stated = append(stated, "expression "+l.Expression)
				case l.License.ID != "":
					stated = append(stated, "id "+l.License.ID)
				default:
					stated = append(stated, "name "+l.License.Name)
				}
			}
		}
		assert.ElementsMatch(t, c.cyclonedx, stated, c.found)
		d, packages, _ := readSPDX(t, b)
		declared := packages["a"].PackageLicenseDeclared
		for _, other := range d.OtherLicenses {
			declared = strings.ReplaceAll(declared, other.LicenseIdentifier, "other")
		}
		assert.Equal(t, c.spdx, declared, c.found)
		follows(t, b)
	}
}
