package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"throng/node/cluster/replica"
	"throng/store/disk"
)

// importData brings the data of -import into the cluster, before anybody is served. Once that is
// done, -import says nothing any more, and its folder need not be there.
func (c *clustered) importData(ctx context.Context) error {
	folder := c.node.cfg.Import
	if folder == "" || c.dir.HasImported() {
		return nil
	}
	// Opening a folder makes one, and an empty one would be a success.
	if _, err := os.Stat(filepath.Join(folder, disk.FileName)); err != nil {
		return err
	}
	from, err := disk.Open(folder)
	if err != nil {
		return err
	}
	began := time.Now()
	c.node.log.Info("bringing data into the cluster", "folder", folder)
	// Others may have tried before, under another name.
	if err = c.sealOthers(ctx, c.node.core.mesh.view.Load()); err == nil {
		err = c.dir.Import(ctx, from)
	}
	if err = errors.Join(err, from.Close()); err != nil {
		return err
	}
	c.node.log.Info("the data is in the cluster", "folder", folder, "after", time.Since(began))
	return nil
}

// adviseImport says what to do with data that is no cluster's.
func adviseImport(folder string, err error) error {
	if errors.Is(err, replica.ErrAlone) {
		return fmt.Errorf("%w; to bring it into a cluster that has none, start with another -data "+
			"and -import %s", err, folder)
	}
	return err
}
