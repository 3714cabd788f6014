// Package plot draws the two kinds of picture that the benches need, grouped bars and lines, as
// SVG text.
//
// A picture is shown on a page whose background it does not know, light or dark. So it has no
// background of its own, its text and axes are a grey that reads on both and that is sharpened
// where the viewer says which it is, and its colours are of middle lightness. Pictures are
// deterministic: the same values give the same bytes, so that a result that has not changed does
// not show in a diff. There are no scripts and no fonts from elsewhere. Start at Bars and Lines.
package plot

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strconv"
)

// The picture's geometry, in pixels.
const (
	width        = 760
	height       = 340
	marginLeft   = 64
	marginRight  = 16
	marginTop    = 64
	marginBottom = 48
	plotWidth    = width - marginLeft - marginRight
	plotHeight   = height - marginTop - marginBottom
)

// colours are told apart by people who see red and green alike, on white and on black.
var colours = []string{"#3987e5", "#d9822b", "#2a9d6f", "#c2559d", "#8a6fd1", "#8f9a34"}

// Bars is a chart of groups of bars, one bar of each group for each series. A NaN leaves a gap.
type Bars struct {
	Title, Unit string
	Groups      []string
	Series      []string
	Values      [][]float64 // By series, then group.
	// Limit draws a line across at this value, unless it is 0; LimitName says what it is.
	Limit     float64
	LimitName string
}

// SVG draws the chart.
func (b Bars) SVG() []byte {
	top := b.Limit
	for _, row := range b.Values {
		for _, v := range row {
			if !math.IsNaN(v) {
				top = max(top, v)
			}
		}
	}
	c := newCanvas(b.Title, b.Series)
	y := newAxis(0, top*1.08, false)
	c.vertical(y, b.Unit)
	slot := float64(plotWidth) / float64(max(len(b.Groups), 1))
	bar := slot * 0.8 / float64(max(len(b.Series), 1))
	for g, name := range b.Groups {
		left := marginLeft + slot*float64(g)
		c.text(left+slot/2, height-marginBottom+20, "middle", name)
		for s, row := range b.Values {
			if g >= len(row) || math.IsNaN(row[g]) {
				continue
			}
			x := left + slot*0.1 + bar*float64(s)
			at := y.place(row[g])
			fmt.Fprintf(&c.out, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" `+
				`fill="%s"/>`+"\n", x, at, bar*0.92, height-marginBottom-at,
				colours[s%len(colours)])
			if bar > 22 {
				c.small(x+bar*0.46, at-4, short(row[g]))
			}
		}
	}
	if b.Limit > 0 {
		c.limit(y.place(b.Limit), b.LimitName)
	}
	return c.done()
}

// Line is one line of a chart. X and Y have the same length.
type Line struct {
	Name string
	X, Y []float64
}

// Lines is a chart of lines. Logarithmic axes need positive values.
type Lines struct {
	Title, XName, YName string
	Lines               []Line
	LogX, LogY          bool
}

// SVG draws the chart.
func (l Lines) SVG() []byte {
	var names []string
	lowX, highX, highY := math.Inf(1), math.Inf(-1), 0.0
	lowY := math.Inf(1)
	for _, line := range l.Lines {
		names = append(names, line.Name)
		for i := range line.X {
			lowX, highX = min(lowX, line.X[i]), max(highX, line.X[i])
			lowY, highY = min(lowY, line.Y[i]), max(highY, line.Y[i])
		}
	}
	if !l.LogY {
		lowY, highY = 0, highY*1.08
	}
	c := newCanvas(l.Title, names)
	x, y := newAxis(lowX, highX, l.LogX), newAxis(lowY, highY, l.LogY)
	x.pixelsLow, x.pixelsHigh = marginLeft+12, width-marginRight-24
	c.vertical(y, l.YName)
	c.horizontal(x, l.XName)
	for i, line := range l.Lines {
		colour := colours[i%len(colours)]
		var points bytes.Buffer
		for j := range line.X {
			fmt.Fprintf(&points, "%.1f,%.1f ", x.place(line.X[j]), y.place(line.Y[j]))
			fmt.Fprintf(&c.out, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>`+"\n",
				x.place(line.X[j]), y.place(line.Y[j]), colour)
		}
		fmt.Fprintf(&c.out, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n",
			bytes.TrimSpace(points.Bytes()), colour)
	}
	return c.done()
}

// axis places values between two pixels.
type axis struct {
	low, high             float64
	pixelsLow, pixelsHigh float64
	log                   bool
}

// newAxis is an axis from the bottom to the top. A range without extent gets one.
func newAxis(low, high float64, log bool) axis {
	a := axis{low, high, height - marginBottom, marginTop, log}
	if log {
		a.low = math.Pow(10, math.Floor(math.Log10(a.low)))
		a.high = math.Pow(10, math.Ceil(math.Log10(a.high)))
	}
	if !(a.high > a.low) {
		a.high = a.low + 1
	}
	return a
}

func (a axis) place(v float64) float64 {
	share := (v - a.low) / (a.high - a.low)
	if a.log {
		share = math.Log10(v/a.low) / math.Log10(a.high/a.low)
	}
	return a.pixelsLow + share*(a.pixelsHigh-a.pixelsLow)
}

// ticks are round values along the axis: the powers of ten, or four to eight steps of 1, 2 or 5.
func (a axis) ticks() (at []float64) {
	if a.log {
		for v := a.low; v <= a.high*1.0001; v *= 10 {
			at = append(at, v)
		}
		return at
	}
	step := math.Pow(10, math.Floor(math.Log10(a.high-a.low)))
	for _, divide := range []float64{5, 2, 1} {
		if (a.high-a.low)/(step/divide) <= 8 {
			step /= divide
			break
		}
	}
	for v := math.Ceil(a.low/step) * step; v <= a.high*1.0001; v += step {
		at = append(at, v)
	}
	return at
}

// canvas collects the picture's text.
type canvas struct{ out bytes.Buffer }

func newCanvas(title string, series []string) *canvas {
	c := &canvas{}
	fmt.Fprintf(&c.out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" `+
		`width="%d" height="%d" role="img" aria-label="%s">`+"\n", width, height, width, height,
		html.EscapeString(title))
	c.out.WriteString(`<style>
text { font: 13px system-ui, sans-serif; fill: #6e7781 }
.title { font-size: 15px; font-weight: 600 }
.small { font-size: 11px }
.grid { stroke: #8c959f; stroke-opacity: 0.3 }
.limit { stroke: #d1242f; stroke-dasharray: 6 4 }
@media (prefers-color-scheme: light) { text { fill: #424a53 } }
@media (prefers-color-scheme: dark) { text { fill: #b1bac4 } .limit { stroke: #ff7b72 } }
</style>
`)
	fmt.Fprintf(&c.out, `<text class="title" x="%d" y="20">%s</text>`+"\n", marginLeft,
		html.EscapeString(title))
	x := marginLeft
	for i, name := range series {
		fmt.Fprintf(&c.out, `<rect x="%d" y="33" width="12" height="12" fill="%s"/>`+"\n", x,
			colours[i%len(colours)])
		c.text(float64(x+18), 44, "start", name)
		x += 34 + 7*len(name)
	}
	return c
}

func (c *canvas) text(x, y float64, anchor, text string) {
	fmt.Fprintf(&c.out, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor,
		html.EscapeString(text))
}

func (c *canvas) small(x, y float64, text string) {
	fmt.Fprintf(&c.out, `<text class="small" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`+"\n",
		x, y, html.EscapeString(text))
}

func (c *canvas) vertical(a axis, name string) {
	for _, v := range a.ticks() {
		y := a.place(v)
		fmt.Fprintf(&c.out, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`+"\n",
			marginLeft, width-marginRight, y, y)
		c.text(marginLeft-8, y+4, "end", short(v))
	}
	c.text(8, marginTop-8, "start", name)
}

func (c *canvas) horizontal(a axis, name string) {
	for _, v := range a.ticks() {
		c.text(a.place(v), height-marginBottom+18, "middle", short(v))
	}
	c.text(marginLeft+plotWidth/2, height-8, "middle", name)
}

func (c *canvas) limit(y float64, name string) {
	fmt.Fprintf(&c.out, `<line class="limit" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`+"\n",
		marginLeft, width-marginRight, y, y)
	c.text(width-marginRight, y-5, "end", name)
}

func (c *canvas) done() []byte {
	c.out.WriteString("</svg>\n")
	return c.out.Bytes()
}

// short writes a number in few characters: 1.25, 17.3, 120k, 1.5M.
func short(v float64) string {
	suffix := ""
	switch {
	case math.Abs(v) >= 1e6:
		v, suffix = v/1e6, "M"
	case math.Abs(v) >= 1e4:
		v, suffix = v/1e3, "k"
	}
	digits := 2
	switch {
	case math.Abs(v) >= 100:
		digits = 0
	case math.Abs(v) >= 10:
		digits = 1
	}
	scale := math.Pow10(digits)
	return strconv.FormatFloat(math.Round(v*scale)/scale, 'f', -1, 64) + suffix
}
