// Command bent is a plugin for tests of the conformance kit: it runs the plugin `real`
// beside it and stands between that and the manager. The file `bends` there says what it
// bends, one word a line; without any it passes everything on as it is.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/antano/antano/shared"
)

// bent is the process between the manager and the real plugin.
type bent struct {
	bends      []string
	dir        string // of the real plugin's sockets
	relay      string // of the manager
	line       string // the real plugin's handshake
	pid        int    // of the real plugin
	continued  atomic.Bool
	generation atomic.Uint32
	drained    atomic.Bool
	describes  atomic.Uint32
	stopped    atomic.Bool
	greeted    chan struct{} // gets one value for each hello
	frames     frames
}

func main() {
	home := filepath.Dir(os.Args[0])
	text, err := os.ReadFile(filepath.Join(home, "bends"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "bent:", err)
		os.Exit(1)
	}
	b := &bent{bends: strings.Fields(string(text)), dir: filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "c"), greeted: make(chan struct{}, 8)}
	if os.Getenv(shared.CookieKey) != shared.CookieValue {
		b.byHand()
	}
	b.startle()
	if err := b.run(filepath.Join(home, "real")); err != nil {
		fmt.Fprintln(os.Stderr, "bent:", err)
		os.Exit(1)
	}
}

// is reports whether something is to be bent.
func (b *bent) is(bend string) bool { return slices.Contains(b.bends, bend) }

func (b *bent) byHand() {
	switch {
	case b.is("cookie-ignored"):
		time.Sleep(time.Hour)
	case b.is("cookie-zero"):
		fmt.Fprintln(os.Stderr, "started by hand")
		os.Exit(0)
	case b.is("cookie-silent"):
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "this is a plugin of antano; put it into the plugin directory")
	os.Exit(1)
}

// startle is what goes wrong before there is a control plane.
func (b *bent) startle() {
	switch {
	case b.is("noise"):
		fmt.Println("starting …")
	case b.is("other-version"):
		fmt.Printf("1|99|unix|%s/plugin1|grpc||false\n", os.Getenv("PLUGIN_UNIX_SOCKET_DIR"))
		time.Sleep(time.Hour)
	case b.is("other-network"):
		fmt.Println("1|1|tcp|127.0.0.1:1|grpc||false")
		time.Sleep(time.Hour)
	case b.is("no-handshake"):
		fmt.Fprintln(os.Stderr, "I forgot my line")
		os.Exit(0)
	}
}

func (b *bent) run(real string) error {
	signal.Ignore(syscall.SIGPIPE)
	if !b.is("interruptible") {
		signal.Ignore(os.Interrupt)
	}
	terminate, again := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	signal.Notify(again, syscall.SIGCONT)
	go func() {
		for range again {
			b.continued.Store(true)
		}
	}()
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		return err
	}
	if err := b.launch(real); err != nil {
		return err
	}
	go func() {
		for range terminate {
			_ = syscall.Kill(b.pid, syscall.SIGTERM)
		}
	}()
	if err := b.serve(); err != nil {
		return err
	}
	b.exit(b.wait())
	return nil
}

// wait waits for the end of the real plugin.
func (b *bent) wait() (status syscall.WaitStatus) {
	for {
		if _, err := syscall.Wait4(b.pid, &status, 0, nil); err != syscall.EINTR {
			return status
		}
	}
}

// exit ends as the real plugin did, or nearly.
func (b *bent) exit(status syscall.WaitStatus) {
	code := status.ExitStatus()
	if b.is("wrong-exit") && b.stopped.Load() && !b.drained.Load() && b.generation.Load() == 1 {
		code = 3
	}
	if b.is("shuts-down") && b.generation.Load() == 2 {
		for i, name := range inherited() {
			if name == "tcp" {
				_ = syscall.Shutdown(3+i, syscall.SHUT_RDWR)
			}
		}
	}
	time.Sleep(20 * time.Millisecond) // for the answer to Stop
	os.Exit(code)
}

// inherited are the names of the descriptors from 3 on.
func inherited() []string { return strings.Split(os.Getenv("LISTEN_FDNAMES"), ":") }

// launch starts the real plugin with raw descriptors, which stay as they are.
func (b *bent) launch(real string) error {
	var out [2]int
	if err := syscall.Pipe2(out[:], syscall.O_CLOEXEC); err != nil {
		return err
	}
	files, names := []uintptr{0, uintptr(out[1]), 2}, []string{}
	for i, name := range inherited() {
		if name == "share" && b.is("counts-alone") {
			continue
		}
		files, names = append(files, uintptr(3+i)), append(names, name)
	}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "LISTEN_FD") || strings.HasPrefix(kv, "PLUGIN_UNIX_SOCKET_DIR=") ||
			b.is("any-version") && strings.HasPrefix(kv, "PLUGIN_PROTOCOL_VERSIONS=")
	})
	if b.is("any-version") {
		env = append(env, "PLUGIN_PROTOCOL_VERSIONS=1")
	}
	env = append(env, "PLUGIN_UNIX_SOCKET_DIR="+b.dir, "LISTEN_FDS="+strconv.Itoa(len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	var err error
	if b.pid, err = syscall.ForkExec(real, []string{real}, &syscall.ProcAttr{Env: env, Files: files}); err != nil {
		return fmt.Errorf("start %s: %w", real, err)
	}
	_ = syscall.Close(out[1])
	r := bufio.NewReader(os.NewFile(uintptr(out[0]), "stdout of the real plugin"))
	if b.line, err = r.ReadString('\n'); err != nil {
		os.Exit(b.wait().ExitStatus()) // it has said why
	}
	go io.Copy(os.Stdout, r)
	return nil
}
