package main

import "testing"

func TestSamplesOfTheGuest(t *testing.T) {
	name, value, ok := sample("sample\trest B/connection\t1234.5")
	if !ok || name != "rest B/connection" || value != 1234.5 {
		t.Errorf("got %q, %v, %v", name, value, ok)
	}
	for _, line := range []string{"", "12 s  5000 sessions are there", "sample\tno value",
		"sample\tname\tword"} {
		if _, _, ok := sample(line); ok {
			t.Errorf("%q was taken for a sample", line)
		}
	}
}
