package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

// wellFormed fails the test unless the picture is XML, and returns how many of an element it has.
func wellFormed(t *testing.T, svg []byte, element string) (count int) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return count
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == element {
			count++
		}
	}
}

func TestBarsDrawEveryValueAndLeaveGaps(t *testing.T) {
	b := Bars{Title: "a < b & c", Unit: "µs", Groups: []string{"1", "2", "3"},
		Series: []string{"one", "two"}, Limit: 9, LimitName: "the floor",
		Values: [][]float64{{1, 2, 3}, {4, math.NaN(), 6}}}
	svg := b.SVG()
	if got, want := wellFormed(t, svg, "rect"), 5+2; got != want {
		t.Errorf("%d rectangles, want %d: five bars, two of the legend", got, want)
	}
	if !strings.Contains(string(svg), "a &lt; b &amp; c") {
		t.Error("the title is not escaped")
	}
	if !bytes.Equal(svg, b.SVG()) {
		t.Error("the same chart gives different bytes")
	}
}

func TestLinesDrawEveryPoint(t *testing.T) {
	l := Lines{Title: "growth", XName: "receivers", YName: "µs", LogX: true, LogY: true,
		Lines: []Line{{"one", []float64{1, 10, 9000}, []float64{0.5, 0.5, 70}}}}
	svg := l.SVG()
	if got := wellFormed(t, svg, "circle"); got != 3 {
		t.Errorf("%d points, want 3", got)
	}
	if strings.Contains(string(svg), "NaN") || strings.Contains(string(svg), "Inf") {
		t.Errorf("a place is no number:\n%s", svg)
	}
}

func TestPicturesWithoutExtentAreStillPictures(t *testing.T) {
	for _, svg := range [][]byte{
		Bars{Title: "nothing"}.SVG(),
		Bars{Title: "zero", Groups: []string{"a"}, Series: []string{"s"},
			Values: [][]float64{{0}}}.SVG(),
		Lines{Title: "a point", Lines: []Line{{"p", []float64{3}, []float64{0}}}}.SVG(),
	} {
		wellFormed(t, svg, "svg")
		if strings.Contains(string(svg), "NaN") {
			t.Errorf("a place is no number:\n%s", svg)
		}
	}
}

func TestTicksAreRoundAndFew(t *testing.T) {
	for _, high := range []float64{0.7, 1, 3.2, 9, 11, 60, 730, 18000} {
		ticks := newAxis(0, high, false).ticks()
		if len(ticks) < 3 || len(ticks) > 10 {
			t.Errorf("up to %v: %d ticks, want 3 to 10: %v", high, len(ticks), ticks)
		}
	}
}

func TestShortNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.25: "0.25", 7.204: "7.2", 17.34: "17.3", 129: "129", 9000: "9000",
		118000: "118k", 1.5e6: "1.5M",
	} {
		if got := short(v); got != want {
			t.Errorf("short(%v) is %s, want %s", v, got, want)
		}
	}
}
