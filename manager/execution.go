package manager

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/antano/antano/manager/internal/account"
	"github.com/antano/antano/manager/internal/envfile"
	"github.com/antano/antano/manager/internal/launch"
	"github.com/antano/antano/manager/internal/params"
)

// LaunchHelper does what a process between fork and exec of a plugin does, when the
// program was started for that, and then never returns. A program that runs a Server
// calls it before anything else. Source: docs/decisions/0011-between-fork-and-exec.md.
func LaunchHelper() { launch.Help() }

// execution is that of a row, with its user and its files looked up.
type execution struct {
	params.Execution
	as  *account.Account // nil: our own
	env []string
}

// ownExecution is that of plugins that no row describes.
var ownExecution = execution{Execution: params.Execution{NoNewPrivs: true}}

// resolveExecutions looks up what the rows name. The error lists everything that is
// wrong.
func resolveExecutions(rows []params.Row, runtimeDir string) (map[int64]execution, params.Errors) {
	all := make(map[int64]execution)
	var issues params.Errors
	for _, row := range rows {
		e, more := resolveExecution(row, runtimeDir)
		all[row.ID] = e
		issues = append(issues, more...)
	}
	return all, issues
}

// resolveExecution looks up what a row names.
func resolveExecution(row params.Row, runtimeDir string) (execution, params.Errors) {
	e := execution{Execution: row.Execution}
	var issues params.Errors
	if e.User != "" {
		if a, err := account.Lookup(e.User, e.Group); err != nil {
			issues = append(issues, row.Issue("run_as", "%v", err))
		} else if issue := e.become(a, row, runtimeDir); issue != nil {
			issues = append(issues, *issue)
		}
	}
	if e.WorkingDir != "" {
		if st, err := os.Stat(e.WorkingDir); err != nil || !st.IsDir() {
			issues = append(issues, row.Issue("working_dir", "%s is not a directory; create it or change the key", e.WorkingDir))
		}
	}
	fromFile, issue := e.readFile(row)
	if issue != nil {
		issues = append(issues, *issue)
	}
	e.env = append(e.env, fromFile...)
	for _, name := range slices.Sorted(maps.Keys(e.Env)) {
		e.env = append(e.env, name+"="+e.Env[name])
	}
	return e, issues
}

// become makes e that of an account, if that can be.
func (e *execution) become(a account.Account, row params.Row, runtimeDir string) *params.Issue {
	uid, gid := os.Geteuid(), os.Getegid()
	own := int(a.UID) == uid && int(a.GID) == gid
	var issue params.Issue
	switch {
	case uid != 0 && !own:
		issue = row.Issue("run_as", "is uid %d, gid %d, and antano runs as uid %d, gid %d: only root can start processes of others; run antano as root or remove the key", a.UID, a.GID, uid, gid)
		return &issue
	case uid != 0:
		return nil
	}
	if err := a.MayEnter(existing(filepath.Dir(runtimeDir))); err != nil {
		issue = row.Issue("run_as", "cannot reach the runtime directory %s: %v", runtimeDir, err)
		return &issue
	}
	e.as = &a
	if a.Name != "" {
		e.env = append(e.env, "HOME="+a.Home, "USER="+a.Name, "LOGNAME="+a.Name)
	}
	return nil
}

// existing is the part of a path that there is.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || path == "/" {
			return path
		}
		path = filepath.Dir(path)
	}
}

func (e *execution) readFile(row params.Row) (env []string, _ *params.Issue) {
	if e.EnvFile == "" {
		return nil, nil
	}
	variables, err := envfile.Load(e.EnvFile)
	if err != nil {
		issue := row.Issue("env_file", "cannot be used: %v", err)
		return nil, &issue
	}
	for _, v := range variables {
		if fault := params.VariableFault(v.Name); fault != "" {
			issue := row.Issue("env_file", "%s:%d: %s", e.EnvFile, v.Line, fault)
			return nil, &issue
		}
		env = append(env, v.Name+"="+v.Value)
	}
	return env, nil
}

// launch is what a process of the row is launched with.
func (e execution) launch() launch.Execution {
	l := launch.Execution{Umask: e.Umask, WorkingDir: e.WorkingDir, NoNewPrivs: e.NoNewPrivs}
	if e.as != nil {
		l.As = &launch.User{UID: e.as.UID, GID: e.as.GID, Groups: e.as.Groups}
	}
	for name, limit := range e.Rlimits {
		if l.Rlimits == nil {
			l.Rlimits = make(map[string]launch.Rlimit)
		}
		l.Rlimits[name] = launch.Rlimit(limit)
	}
	return l
}

// ids are the user and group that processes of the row have.
func (e execution) ids() (uid, gid int) {
	if e.as != nil {
		return int(e.as.UID), int(e.as.GID)
	}
	return os.Getuid(), os.Getgid()
}

// settings tells by key what differs from antano itself; values of variables, which may
// be secrets, are only counted.
func (e execution) settings() map[string]string {
	all := make(map[string]string)
	if e.as != nil {
		all["run_as"] = fmt.Sprintf("%s (uid %d, gid %d)", e.User, e.as.UID, e.as.GID)
	}
	if e.Umask != nil {
		all["umask"] = fmt.Sprintf("%04o", *e.Umask)
	}
	if e.WorkingDir != "" {
		all["working_dir"] = e.WorkingDir
	}
	for name, limit := range e.Rlimits {
		all["rlimits."+name] = limitText(limit.Soft) + ":" + limitText(limit.Hard)
	}
	if !e.NoNewPrivs {
		all["no_new_privs"] = "false"
	}
	if n := len(e.Env); n > 0 {
		all["env"] = fmt.Sprintf("%d variables", n)
	}
	if e.EnvFile != "" {
		all["env_file"] = e.EnvFile
	}
	return all
}

func limitText(v uint64) string {
	if v == params.Unlimited {
		return "unlimited"
	}
	return strconv.FormatUint(v, 10)
}

// describe tells the same on one line; empty when nothing differs.
func (e execution) describe() string {
	all := e.settings()
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, key+" "+all[key])
	}
	return strings.Join(parts, ", ")
}

// executionChanges says what is different between two.
func executionChanges(a, b execution) (reasons []string) {
	was, is := a.settings(), b.settings()
	for _, key := range slices.Sorted(maps.Keys(merged(was, is))) {
		if was[key] != is[key] {
			reasons = append(reasons, fmt.Sprintf("%s: %s → %s", key, orDefault(was[key]), orDefault(is[key])))
		}
	}
	if len(reasons) == 0 && !slices.Equal(a.env, b.env) {
		reasons = append(reasons, "the values of env or env_file changed")
	}
	return reasons
}

func orDefault(text string) string {
	if text == "" {
		return "that of antano"
	}
	return text
}
