// Package logs turns what a plugin prints into levelled records, whatever it prints:
// hclog JSON, slog JSON, logfmt, lines with a level in front, Go panics, rubbish.
//
// Read is called once for each output of a process and returns when the output ends.
// Everything it holds is bounded: the length of a line, the lines of a second, what a
// goroutine dump may add, and the tail that is kept as evidence. Text in a record is
// valid UTF-8 without control characters, so that no plugin can act on a terminal or
// forge a line of the manager's log.
package logs
