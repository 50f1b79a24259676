// Package plot draws bars as SVG: each group has a scale of its own, since what is
// compared stands in one group.
package plot

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Chart is one picture.
type Chart struct {
	Title  string
	Unit   string
	Groups []Group
}

// Group is bars that are compared with each other.
type Group struct {
	Label string
	Bars  []Bar
}

// Bar is a median and what it was at least and at most.
type Bar struct {
	Name           string
	Mid, Low, High float64
	Ours           bool
}

const (
	width     = 760
	left      = 150 // of the bars
	right     = 110 // for the figures
	barHeight = 16
	barGap    = 4
	groupGap  = 14
	labelRoom = 20
	titleRoom = 34
)

const style = `text{font:12px sans-serif;fill:#24292f}.title{font-size:15px;font-weight:bold}.group{font-weight:bold}` +
	`.name{text-anchor:end}.ours{fill:#1a7f5a}.other{fill:#9aa5b1}.spread{stroke:#24292f;stroke-width:1}`

// Write draws the chart.
func (c Chart) Write(w io.Writer) error {
	var b strings.Builder
	y := titleRoom
	for _, g := range c.Groups {
		y = g.draw(&b, y)
	}
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">
<style>%s</style>
<rect width="100%%" height="100%%" fill="#ffffff"/>
<text class="title" x="10" y="22">%s, %s</text>
%s</svg>
`, width, y, width, y, style, escape(c.Title), escape(c.Unit), b.String())
	return err
}

// draw adds a group below y and returns where it ends.
func (g Group) draw(b *strings.Builder, y int) int {
	most := 0.0
	for _, bar := range g.Bars {
		most = max(most, bar.High)
	}
	if g.Label != "" {
		fmt.Fprintf(b, `<text class="group" x="10" y="%d">%s</text>`+"\n", y+14, escape(g.Label))
		y += labelRoom
	}
	x := func(v float64) float64 { return left + v/max(most, 1e-12)*(width-left-right) }
	for _, bar := range g.Bars {
		class := "other"
		if bar.Ours {
			class = "ours"
		}
		middle := float64(y) + barHeight/2
		fmt.Fprintf(b, `<text class="name" x="%d" y="%d">%s</text>`, left-6, y+13, escape(bar.Name))
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`, class, left, y, x(bar.Mid)-left, barHeight)
		fmt.Fprintf(b, `<path class="spread" d="M%.1f %.1fH%.1fM%.1f %.1fv6M%.1f %.1fv6"/>`,
			x(bar.Low), middle, x(bar.High), x(bar.Low), middle-3, x(bar.High), middle-3)
		fmt.Fprintf(b, `<text x="%.1f" y="%d">%s</text>`+"\n", x(bar.High)+6, y+13, Number(bar.Mid))
		y += barHeight + barGap
	}
	return y + groupGap
}

// Number is a figure for people.
func Number(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1f k", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder does not fail
	return b.String()
}
