package tuning

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes as a flag takes it: digits, then nothing, K, M, G or T for powers of
// 1,024, with an optional B or iB after it. It is a flag.Value.
type Size int64

// sizeUnits from large to small, so that String finds the largest that divides.
var sizeUnits = []struct {
	letter string
	shift  uint
}{{"T", 40}, {"G", 30}, {"M", 20}, {"K", 10}}

// ParseSize reads a Size. Negative sizes and those above 2^63-1 are refused.
func ParseSize(text string) (Size, error) {
	digits := strings.ToUpper(strings.TrimSpace(text))
	digits = strings.TrimSuffix(strings.TrimSuffix(digits, "B"), "I")
	shift := uint(0)
	for _, unit := range sizeUnits {
		if rest, ok := strings.CutSuffix(digits, unit.letter); ok {
			digits, shift = rest, unit.shift
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n<<shift>>shift != n {
		return 0, fmt.Errorf("%q is no size such as 65536, 64K, 256M or 2G", text)
	}
	return Size(n << shift), nil
}

// Set reads the flag's text.
func (s *Size) Set(text string) error {
	size, err := ParseSize(text)
	if err == nil {
		*s = size
	}
	return err
}

// String is the shortest text that ParseSize reads back.
func (s Size) String() string {
	for _, unit := range sizeUnits {
		if s != 0 && s%(1<<unit.shift) == 0 {
			return strconv.FormatInt(int64(s>>unit.shift), 10) + unit.letter
		}
	}
	return strconv.FormatInt(int64(s), 10)
}
