package plot

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
)

func TestChartIsXMLWithEveryBar(t *testing.T) {
	c := Chart{"a < b & c", "µs", []Group{
		{"one", []Bar{{"ours", 5, 4, 9, true}, {"theirs", 10, 10, 10, false}}},
		{"nothing", []Bar{{"zero", 0, 0, 0, false}}},
	}}
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	d := xml.NewDecoder(&b)
	rects := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			rects++
		}
	}
	if rects != 1+3 {
		t.Errorf("%d rectangles, not the ground and 3 bars", rects)
	}
	// The longest spread ends where the figures begin, half of it in the middle.
	for _, want := range []string{`width="500.0"`, `class="ours" x="150"`, `width="250.0"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{2_345_678: "2.35 M", 23_456: "23.5 k", 2345: "2345", 23.456: "23.5", 0.0123: "0.0123"} {
		if got := Number(v); got != want {
			t.Errorf("Number(%v) = %q, not %q", v, got, want)
		}
	}
}
