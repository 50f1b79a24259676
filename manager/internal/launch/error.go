package launch

import (
	"errors"
	"fmt"

	"github.com/antano/antano/manager/internal/event"
)

// What a failed start or call can be tested for with errors.Is.
var (
	// ErrExited: the process is gone.
	ErrExited = errors.New("process exited")
	// ErrTimeout: no answer within the time given. It may still have been done.
	ErrTimeout = errors.New("no answer in time")
	// ErrHandshake: the file is not a plugin that this version can use.
	ErrHandshake = errors.New("not a usable plugin")
	// ErrRefused: the plugin answered with an error of its own.
	ErrRefused = errors.New("refused by the plugin")
)

// Error is why a plugin could not be launched. Nothing of it is left running.
type Error struct {
	Path string
	Err  error
	// Exit is how the process ended; nil when there never was one. Its Stderr has the
	// last lines.
	Exit *event.Exit
}

func (e *Error) Error() string { return fmt.Sprintf("start plugin %s: %v", e.Path, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
