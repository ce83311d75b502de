package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
)

// Sizes of the plot in pixels.
const (
	plotLabels = 330 // width of the rows' names
	plotWidth  = 560 // of the scale
	plotTop    = 70
	plotLine   = 26 // height of a row
	plotRight  = 20
)

// plotColours of the targets, in their order; they differ also to the colour-blind.
func plotColours() []string {
	return []string{"#000000", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#999999"}
}

// scale maps ratios to pixels, by their logarithm.
type scale struct{ low, high float64 }

func (s scale) x(ratio float64) float64 {
	ratio = min(max(ratio, s.low), s.high)
	return plotLabels + plotWidth*math.Log(ratio/s.low)/math.Log(s.high/s.low)
}

// plot draws the ratios: a dot is a median, its line the least and the greatest, a bar an aim.
func (r report) plot() []byte {
	var b bytes.Buffer
	s := r.scale()
	height := plotTop + plotLine*len(r.Rows) + 30
	width := plotLabels + plotWidth + plotRight
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	text(&b, 10, 20, "start", fmt.Sprintf("time as a ratio to plain files (log scale), %s, %d cores", r.Machine.Date, r.Machine.Cores))
	r.legend(&b)
	r.grid(&b, s, height)
	for i, row := range r.Rows {
		r.plotRow(&b, s, row, float64(plotTop+plotLine*i)+plotLine/2)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// scale holds all medians; what lies outside is drawn at the edge.
func (r report) scale() scale {
	s := scale{0.5, 4}
	for _, row := range r.Rows {
		for _, t := range r.columns() {
			if m, ok := row.ratios(t.Name); ok {
				s.high = max(s.high, m.median*1.2)
			}
		}
	}
	return s
}

func (r report) legend(b *bytes.Buffer) {
	x := 10.0
	for i, t := range r.columns() {
		if t.Name == plainName {
			continue
		}
		fmt.Fprintf(b, `<circle cx="%.0f" cy="40" r="5" fill="%s"/>`+"\n", x+5, plotColours()[i%len(plotColours())])
		text(b, x+15, 44, "start", t.Name)
		x += 130
	}
	fmt.Fprintf(b, `<path d="M%.0f 33v14M%.0f 33v14" stroke="#d55e00" stroke-width="3"/>`+"\n", x+4, x+4)
	text(b, x+15, 44, "start", "aim (of its colour)")
}

func (r report) grid(b *bytes.Buffer, s scale, height int) {
	for _, ratio := range []float64{0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000} {
		if ratio > s.high {
			break
		}
		colour, wide := "#dddddd", 1.0
		if ratio == 1 {
			colour, wide = "#000000", 1.5
		}
		fmt.Fprintf(b, `<path d="M%.1f %dV%d" stroke="%s" stroke-width="%.1f"/>`+"\n", s.x(ratio), plotTop-6, height-24, colour, wide)
		text(b, s.x(ratio), float64(height-10), "middle", fmt.Sprintf("%g", ratio))
	}
}

func (r report) plotRow(b *bytes.Buffer, s scale, row Result, y float64) {
	text(b, plotLabels-8, y+4, "end", row.Name)
	for i, t := range r.columns() {
		colour := plotColours()[i%len(plotColours())]
		if aim := row.aim(t.Name); aim > 0 {
			fmt.Fprintf(b, `<path d="M%.1f %.1fv16" stroke="%s" stroke-width="3" opacity="0.45"/>`+"\n", s.x(aim), y-8, colour)
		}
		m, ok := row.ratios(t.Name)
		if !ok {
			continue
		}
		level := y + 3*float64(i-1) - 6 // so that equal ones are all seen
		fmt.Fprintf(b, `<path d="M%.1f %.1fH%.1f" stroke="%s"/>`+"\n", s.x(m.min), level, s.x(m.max), colour)
		fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"><title>%s: %.2f</title></circle>`+"\n", s.x(m.median), level, colour, t.Name, m.median)
	}
}

func text(b *bytes.Buffer, x, y float64, anchor, content string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="#000000">`, x, y, anchor)
	_ = xml.EscapeText(b, []byte(content)) // a buffer takes everything
	b.WriteString("</text>\n")
}
