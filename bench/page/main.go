// Command page writes the results in bench/results into bench/README.md, and the table of a session
// into README.md.
//
//	go run ./bench/page
//
// Every bench does so by itself when it has a result; this is for when a result was taken back or
// the way they are shown has changed. It measures nothing and keeps everything that stands between
// the sections, which is written by hand. A test of package report fails while the page is not
// what the results say.
package main

import (
	"fmt"
	"os"

	"throng/bench/internal/host"
	"throng/bench/internal/report"
)

func main() {
	tree, err := host.ReadTree()
	if err == nil {
		err = report.UpdatePages(tree.Root)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "page: %v\n", err)
		os.Exit(1)
	}
}
