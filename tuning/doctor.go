package tuning

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Diagnosis is what doctor has to say.
type Diagnosis struct {
	Connections int // That are wanted.
	Findings    []Finding
	Ceilings    []Ceiling
	Rate        float64 // Deliveries a second to each, as in Demand.
}

// Write prints it for people: what the host has and should have, the commands that mend that, and
// what it can hold as it is.
func (d Diagnosis) Write(out io.Writer) {
	fmt.Fprintf(out, "For %s connections on this host:\n\n", Grouped(int64(d.Connections)))
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "\twhat\thave\twant")
	for _, f := range d.Findings {
		fmt.Fprintf(table, "%v\t%s\t%s\t%s\n", f.State, f.Name, f.Have, f.Want)
	}
	table.Flush()
	d.prescribe(out)
	d.capacity(out)
}

// prescribe lists the commands, those for what blocks first.
func (d Diagnosis) prescribe(out io.Writer) {
	for _, part := range []struct {
		state State
		title string
	}{
		{StateBlocks, "To reach that number:"},
		{StateAdvice, "To be better under load:"},
		{StateUnknown, "Could not be read; when in doubt:"},
	} {
		title := "\n" + part.title + "\n"
		for _, f := range d.Findings {
			if f.State == part.state && f.Mend != "" {
				fmt.Fprintf(out, "%s  %s\n", title, f.Mend)
				title = ""
			}
		}
	}
	if !Blocked(d.Findings) {
		fmt.Fprintln(out, "\nNothing blocks.")
	}
}

// capacity is the table of ceilings, and a sentence about the tightest.
func (d Diagnosis) capacity(out io.Writer) {
	fmt.Fprintf(out, "\nWhat this host can hold, with %g a second delivered to each:\n\n", d.Rate)
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "by\thave\tconnections")
	var unknown []string
	for _, c := range d.Ceilings {
		if c.Unknown {
			unknown = append(unknown, c.Name)
			fmt.Fprintf(table, "%s\t%s\tunknown\n", c.Name, c.Have)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", c.Name, c.Have, number(c.Connections))
	}
	table.Flush()
	if len(d.Ceilings) == 0 || d.Ceilings[0].Unknown {
		fmt.Fprintln(out, "\nNothing here says how many connections it can hold.")
		return
	}
	tightest := d.Ceilings[0]
	rest := ""
	if len(unknown) > 0 {
		rest = ", unless " + strings.Join(unknown, " or ") + " is tighter"
	}
	fmt.Fprintf(out, "\nThe tightest limit is %s, %s connections%s; what raises it: %s.\n",
		tightest.Name, number(tightest.Connections), rest, tightest.Raise)
}
