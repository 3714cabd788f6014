// Package matrix is what may go wrong with a node, row by row: the fault, what the node does then,
// the tests and benches that hold it to that, and the figure.
//
// The page of the benches shows it. A test of this package holds that every test and step that a
// row names is there, so that a row cannot outlive what proves it; the figures of benches are read
// from their results by package report, and those that a test holds are said in words. A row that
// lacks something says so. This package measures nothing and reads no file.
//
// Start reading at Rows.
package matrix

// Row is one fault.
type Row struct {
	Fault string
	// Then is what the node does.
	Then string
	// By are who holds it to that: "folder:Test", or a step: "ci:step", "nightly:step".
	By []string
	// Held is the figure that these hold, if they do.
	Held string
	// Benches are figures of benches, each as "bench:what" is in its result.
	Benches []string
}

// Rows are all faults. Their numbers are their places, from 1 on.
var Rows = append(append(append([]Row{}, peers...), hosts...), whole...)
