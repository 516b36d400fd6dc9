package embedded

import (
	"bytes"
	"context"
	"io"
)

// DemoCluster releases the app hello until it is healthy in the cluster.
func (p *Platform) DemoCluster(ctx context.Context, out io.Writer) error {
	if err := p.ClusterUp(ctx, out); err != nil {
		return err
	}
	var receipt bytes.Buffer
	err := p.Progress.Do("dagger call deliver --app hello --env dev text", func() error {
		return p.Dagger(ctx, &receipt, "call", "deliver", "--app", "hello", "--env", "dev", "text")
	})
	if err != nil {
		return err
	}
	_, err = receipt.WriteTo(out)
	return err
}
