package manager

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// settleTime is how long a new generation must be ready before the next process is
// replaced.
const settleTime = 2 * time.Second

// member is a process in a rolling replacement.
type member interface {
	String() string
	// replace starts a new generation beside the old one and hands over to it. With an
	// error the old one serves on.
	replace(ctx context.Context) error
	// lasts returns nil once the new generation was ready for d without a break.
	lasts(ctx context.Context, d time.Duration) error
	// restore goes back to what ran before replace.
	restore(ctx context.Context) error
}

// roll replaces the members one after another. The first one that does not become
// ready, or does not last, ends it: what was to follow stays as it is.
func roll[M member](ctx context.Context, members []M) error {
	var done []string
	for i, m := range members {
		err := m.replace(ctx)
		if err == nil {
			if err = m.lasts(ctx, settleTime); err != nil && ctx.Err() == nil {
				if back := m.restore(ctx); back != nil {
					err = fmt.Errorf("%w; going back failed, too: %v", err, back)
				}
			}
		}
		if err != nil {
			return abort(err, done, members[i:])
		}
		done = append(done, m.String())
	}
	return nil
}

// abort says who was replaced and who was not.
func abort[M member](err error, done []string, rest []M) error {
	var old []string
	for _, m := range rest {
		old = append(old, m.String())
	}
	if len(done) == 0 {
		return fmt.Errorf("nothing was replaced: %w", err)
	}
	return fmt.Errorf("stopped at %s (replaced: %s; as before: %s): %w", rest[0].String(), strings.Join(done, ", "), strings.Join(old, ", "), err)
}
