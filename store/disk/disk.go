// Package disk is the directory that survives the process: one bbolt file in a folder.
package disk

import (
	"errors"

	"throng/store"
)

// Open opens the directory kept in the folder, making both when they are not there.
func Open(folder string) (store.Directory, error) {
	return nil, errors.ErrUnsupported
}
