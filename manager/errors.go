package manager

import (
	"errors"

	"github.com/antano/antano/shared"
)

var (
	// ErrUsage is wrapped by errors about the command line: exit code 2.
	ErrUsage = errors.New("wrong usage")
	// ErrConfig is wrapped by errors in params, plugins, Describe or settings: exit
	// code 78.
	ErrConfig = errors.New("configuration")
)

// configError marks err as one that only a change of configuration mends, without
// changing what people read.
type configError struct{ error }

func (e configError) Unwrap() error        { return e.error }
func (e configError) Is(target error) bool { return target == ErrConfig }

type usageError struct{ error }

func (e usageError) Unwrap() error        { return e.error }
func (e usageError) Is(target error) bool { return target == ErrUsage }

// ExitCode is the exit code of a command that ended with err. Source:
// docs/control.md "Exit codes".
func ExitCode(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrUsage):
		return 2
	case errors.Is(err, ErrConfig):
		return shared.ExitConfig
	}
	return 1
}
