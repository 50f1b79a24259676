package logs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
)

// readAll returns the records of an input.
func readAll(t *testing.T, r io.Reader, o Options) []Record {
	t.Helper()
	var records []Record
	o.Emit = func(r Record) { records = append(records, r) }
	if err := Read(r, o); err != nil {
		t.Fatal(err)
	}
	return records
}

func messages(records []Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, r.Level.String()+" "+r.Message)
	}
	return out
}

func TestReadSplitsLines(t *testing.T) {
	defer goleak.VerifyNone(t)
	const in = "one\r\n\n[WARN] two\nlast without end"
	want := []string{"info one", "warn two", "info last without end"}
	for name, r := range map[string]io.Reader{
		"at once": strings.NewReader(in), "byte by byte": iotest.OneByteReader(strings.NewReader(in)), "with the end": iotest.DataErrReader(strings.NewReader(in)),
	} {
		if got := messages(readAll(t, r, Options{})); !slices.Equal(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestReadCutsLongLines(t *testing.T) {
	in := strings.Repeat("x", 1<<20) + "\nnext\n"
	records := readAll(t, strings.NewReader(in), Options{})
	if len(records) != 2 || len(records[0].Message) != 64<<10 || records[1].Message != "next" {
		t.Fatalf("%d records", len(records))
	}
	if got := fmt.Sprint(records[0].Fields); got != fmt.Sprintf("[cut_bytes %d]", 1<<20-64<<10) {
		t.Errorf("fields %s", got)
	}
}

func TestReadReportsFailure(t *testing.T) {
	broken := errors.New("broken")
	if err := Read(iotest.ErrReader(broken), Options{Emit: func(Record) {}}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := Read(iotest.ErrReader(os.ErrClosed), Options{Emit: func(Record) {}}); err != nil {
		t.Errorf("a closed input is %v", err)
	}
}

func TestFloodIsLimitedAndSaidSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		var mu sync.Mutex
		var kept []Record
		emitted := func() []Record {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(kept)
		}
		tail := &Tail{}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := Read(r, Options{Tail: tail, Emit: func(r Record) {
				mu.Lock()
				defer mu.Unlock()
				kept = append(kept, r)
			}}); err != nil {
				t.Error(err)
			}
		}()
		begin := time.Now()
		for i := range 2500 {
			fmt.Fprintf(w, "line %d\n", i)
		}
		synctest.Wait()
		if n := len(emitted()); n != 1000 {
			t.Errorf("%d lines of the burst came through", n)
		}
		time.Sleep(time.Second) // on the fake clock
		synctest.Wait()
		records := emitted()
		if len(records) != 1001 {
			t.Fatalf("%d records after a second", len(records))
		}
		notice := records[1000]
		if notice.Level != hclog.Warn || !strings.HasPrefix(notice.Message, "dropped 1500 lines") || time.Since(begin) != time.Second {
			t.Errorf("after %v: %+v", time.Since(begin), notice)
		}
		for range 300 {
			fmt.Fprintln(w, "more")
		}
		w.Close()
		<-done
		records = emitted()
		if got := len(records) - 1001; got != 201 {
			t.Errorf("%d records of the next second, want 200 and a notice", got)
		}
		if last := records[len(records)-1]; !strings.HasPrefix(last.Message, "dropped 100 lines") {
			t.Errorf("at the end: %q", last.Message)
		}
		if lines := tail.Lines(); len(lines) != 20 || lines[19] != "more" {
			t.Errorf("tail %q", lines)
		}
	})
}

// TestFloodIsHeldBack: a flood costs us a bounded number of lines a second.
func TestFloodIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		begin := time.Now()
		go func() {
			for range 21000 {
				io.WriteString(w, "flood\n")
			}
			w.Close()
		}()
		records := readAll(t, r, Options{Rate: 1})
		if took := time.Since(begin); took < 900*time.Millisecond || took > 1100*time.Millisecond {
			t.Errorf("20000 lines over the burst took %v", took)
		}
		var dropped int
		for _, r := range records {
			var n int
			fmt.Sscanf(r.Message, "dropped %d lines", &n)
			dropped += n
		}
		if dropped+len(records) < 21000 {
			t.Errorf("%d records and %d dropped of 21000", len(records), dropped)
		}
	})
}

func TestLongLinesCostMore(t *testing.T) {
	in := strings.Repeat(strings.Repeat("x", 64<<10-1)+"\n", 100)
	through := 0
	for _, r := range readAll(t, strings.NewReader(in), Options{Rate: 1}) { // among them what was dropped
		if strings.HasPrefix(r.Message, "x") {
			through++
		}
	}
	if through != 1000/64 {
		t.Errorf("%d lines of 64 KiB came through", through)
	}
}

const panicText = `[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48f1a2]

goroutine 7 gp=0xc000002380 m=0 mp=0x5e0 [running]:
main.(*server).handle(0x0, {0xc00001c0a8, 0x5})
	/src/main.go:42 +0x1d
created by main.main in goroutine 1
	/src/main.go:20 +0x85

rax    0x0
exit status 2
`

func TestPanicKeepsTogether(t *testing.T) {
	tail := &Tail{}
	in := "starting\n" + "panic: runtime error: invalid memory address\n\tmore of it\n" + panicText
	records := readAll(t, strings.NewReader(in), Options{Tail: tail})
	if records[0].Level != hclog.Info {
		t.Errorf("first line is %v", records[0].Level)
	}
	for _, r := range records[1:] {
		if r.Level != hclog.Error {
			t.Errorf("%q is %v", r.Message, r.Level)
		}
	}
	if got, want := tail.Panic(), "panic: runtime error: invalid memory address more of it"; got != want {
		t.Errorf("panic text %q, want %q", got, want)
	}
	if lines := tail.Lines(); len(lines) == 0 || !strings.HasPrefix(lines[0], "panic: ") {
		t.Errorf("tail %q", lines)
	}
}

func TestStackOverflowIsReported(t *testing.T) {
	tail := &Tail{}
	readAll(t, strings.NewReader("runtime: goroutine stack exceeds 1000000000-byte limit\nfatal error: stack overflow\n\nruntime stack:\nx(1)\n"), Options{Tail: tail})
	if got := tail.Panic(); got != "fatal error: stack overflow" {
		t.Errorf("panic text %q", got)
	}
}

func TestOtherGoroutinesLogInBetween(t *testing.T) {
	in := "panic: boom\n" + `{"level":"debug","msg":"between"}` + "\n\ngoroutine 1 [running]:\nmain.main()\n"
	got := messages(readAll(t, strings.NewReader(in), Options{}))
	want := []string{"error panic: boom", "debug between", "error ", "error goroutine 1 [running]:", "error main.main()"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestRecoveredPanicIsForgotten(t *testing.T) {
	tail := &Tail{}
	in := "panic: recovered\n\ngoroutine 1 [running]:\nmain.main()\n" + strings.Repeat("serving on\n", 30)
	records := readAll(t, strings.NewReader(in), Options{Tail: tail})
	if r := records[len(records)-1]; r.Level != hclog.Info {
		t.Errorf("%q is %v", r.Message, r.Level)
	}
	if tail.Panic() != "" || tail.Lines()[0] != "serving on" {
		t.Errorf("kept %q, %q", tail.Panic(), tail.Lines())
	}
}

// TestGoroutineDumpPassesTheLimit: evidence of a hang is kept, up to its own bound.
func TestGoroutineDumpPassesTheLimit(t *testing.T) {
	var in strings.Builder
	for range 2000 {
		in.WriteString("noise\n")
	}
	in.WriteString("SIGABRT: abort\nPC=0x46e3c1 m=0 sigcode=0\n\n")
	for i := range 5000 {
		fmt.Fprintf(&in, "goroutine %d [chan receive, 2 minutes]:\nmain.worker(0xc000100000)\n\t/src/main.go:42 +0x1d\n\n", i)
	}
	tail := &Tail{}
	n := 0
	for _, r := range readAll(t, strings.NewReader(in.String()), Options{Tail: tail, Rate: 1}) {
		if strings.HasPrefix(r.Message, "goroutine ") {
			n++
		}
	}
	if n != 5000 || tail.Panic() != "SIGABRT: abort PC=0x46e3c1 m=0 sigcode=0" && tail.Panic() != "SIGABRT: abort" {
		t.Errorf("%d goroutines of 5000, panic %q", n, tail.Panic())
	}
	n = len(readAll(t, strings.NewReader(in.String()), Options{MaxDump: 1000, Rate: 1}))
	if n > 1100 {
		t.Errorf("%d records though a dump is bounded by 1000 bytes", n)
	}
}
