package host

import (
	"os"
	"testing"
	"time"
)

func TestProcessorTimeOfThisProcessGrows(t *testing.T) {
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for start := time.Now(); time.Since(start) < 5*time.Millisecond; {
		sum++
	}
	after, err := CPU(os.Getpid())
	if err != nil || after <= before || sum == 0 {
		t.Errorf("CPU went from %v to %v (%v), want more", before, after, err)
	}
}

func TestResidentMemoryIsPlausible(t *testing.T) {
	got, err := Resident(os.Getpid())
	if err != nil || got < 1<<20 || got > 1<<36 {
		t.Errorf("Resident is %d, %v, want megabytes", got, err)
	}
	if kernel, err := KernelMemory(); err != nil || kernel < 1<<20 {
		t.Errorf("KernelMemory is %d, %v, want megabytes", kernel, err)
	}
}

func TestFieldOfColonFiles(t *testing.T) {
	text := []byte("MemTotal:       24661616 kB\nmodel name\t: Some CPU: fast\n")
	for name, want := range map[string]string{
		"MemTotal": "24661616 kB", "model name": "Some CPU: fast", "none": "",
	} {
		if got := field(text, name); got != want {
			t.Errorf("field %s is %q, want %q", name, got, want)
		}
	}
	if got, err := kilobytes("24661616 kB"); err != nil || got != 24661616<<10 {
		t.Errorf("kilobytes is %d, %v", got, err)
	}
}

func TestDescribeKnowsThisMachine(t *testing.T) {
	m := Describe()
	if m.Cores < 1 || m.Go == "" || m.Kernel == "" || m.MemoryBytes == 0 {
		t.Errorf("Describe is %+v", m)
	}
}
