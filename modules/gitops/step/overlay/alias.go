package overlay

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway/step"
)

// maxValues bounds what the aliases of one YAML document may stand for: a few
// lines can stand for more than fits into memory.
const maxValues = 1 << 20

// checkAliases refuses files whose aliases Kustomize could not write out: it
// neither notices one that holds itself nor counts. What is no YAML is left to
// Kustomize.
func (t Tree) checkAliases() error {
	for _, name := range slices.Sorted(maps.Keys(t.Files)) {
		data := t.Files[name]
		if !bytes.Contains(data, []byte("&")) || !bytes.Contains(data, []byte("*")) {
			continue
		}
		for decoder := yaml.NewDecoder(bytes.NewReader(data)); ; {
			var document yaml.Node
			if decoder.Decode(&document) != nil {
				break
			}
			c := counter{open: map[*yaml.Node]bool{}, known: map[*yaml.Node]int{}}
			if n := c.count(&document); c.itself != nil || n >= maxValues {
				reason := fmt.Sprintf("has aliases that stand for more than %d values", maxValues)
				if c.itself != nil {
					reason = fmt.Sprintf("line %d: has an alias that holds itself", c.itself.Line)
				}
				return step.Input(Stage, name, reason, "write the values out, without aliases")
			}
		}
	}
	return nil
}

// counter counts the values of a document with its aliases written out.
type counter struct {
	open  map[*yaml.Node]bool
	known map[*yaml.Node]int
	// itself is an alias of something that it is in.
	itself *yaml.Node
}

// count is at most maxValues.
func (c *counter) count(n *yaml.Node) int {
	if n.Kind == yaml.AliasNode {
		if c.open[n.Alias] {
			c.itself = n
			return maxValues
		}
		return c.count(n.Alias)
	}
	if known, ok := c.known[n]; ok {
		return known
	}
	c.open[n] = true
	total := 1
	for _, child := range n.Content {
		total = min(maxValues, total+c.count(child))
	}
	delete(c.open, n)
	c.known[n] = total
	return total
}
