package wire

import "time"

// timeLayout is ISO 8601 with six digits and a numeric zone, which is how the protocol writes
// every moment. Some clients match the text, so Z and shorter fractions are not an option.
const timeLayout = "2006-01-02T15:04:05.000000-07:00"

// The moments that four digits of a year can say.
const (
	timeMilliMin = -62167219200000 // 0000-01-01T00:00:00
	timeMilliMax = 253402300799999 // 9999-12-31T23:59:59.999
)

// AppendTime appends a moment without quotes: 2024-01-01T00:00:00.000000+00:00. A moment out of
// the range of four-digit years is brought into it.
func AppendTime(dst []byte, unixMilli int64) []byte {
	unixMilli = min(max(unixMilli, timeMilliMin), timeMilliMax)
	return time.UnixMilli(unixMilli).UTC().AppendFormat(dst, timeLayout)
}

// ParseTime reads a moment in any zone with any fraction, cut to milliseconds.
func ParseTime(s string) (unixMilli int64, ok bool) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, false
	}
	return t.UnixMilli(), true
}
