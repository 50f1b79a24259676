package catalog

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/antano/antano/shared"
)

// A file whose stamp is known is not read; one that another file has replaced, or that
// may have been written since its stamp was taken, is.
func TestKnownFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plugin")
	if err := os.WriteFile(path, []byte("one"), 0o755); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stamp, settled := stampOf(info, time.Now().Add(time.Hour))
	if !settled {
		t.Fatal("a file of an hour ago is not settled")
	}
	if _, settled := stampOf(info, time.Unix(0, stamp.Changed)); settled {
		t.Error("a file of this moment is settled")
	}
	want := Known{Path: path, Stamp: stamp, Sum: Sum{1}, Description: shared.Description{Name: "one"}}
	var c Cache
	c.Learn([]Known{want})
	if got := c.Known(); len(got) != 1 || got[0].Sum != want.Sum || got[0].Stamp != stamp || got[0].Description.Name != "one" {
		t.Errorf("learned %+v", got)
	}
	sum := func() Sum {
		b, err := c.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		return b.Sum
	}
	eventuallySettled(t, info)
	if sum() != want.Sum {
		t.Error("a known file was read")
	}
	d, err := c.Describe(&Binary{Path: path, Sum: want.Sum}, func() (shared.Description, error) { panic("a known plugin was asked") })
	if err != nil || d.Name != "one" {
		t.Errorf("described as %+v, %v", d, err)
	}
	if err := os.WriteFile(path+".next", []byte("two"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".next", path); err != nil {
		t.Fatal(err)
	}
	if sum() == want.Sum {
		t.Error("another file was taken for the known one")
	}
	if len(c.Known()) != 1 { // too young, and nobody described it
		t.Errorf("known: %+v", c.Known())
	}
}

// eventuallySettled moves the time of a file's last change into the past: it waits.
func eventuallySettled(t *testing.T, info os.FileInfo) {
	t.Helper()
	timer := time.NewTicker(5 * time.Millisecond)
	defer timer.Stop()
	for range timer.C {
		if _, ok := stampOf(info, time.Now()); ok {
			return
		}
	}
}
