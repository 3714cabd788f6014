package wire

import (
	"errors"
	"strconv"
)

// SnowflakeEpochMilli is the first moment a Snowflake can name: 2015-01-01, in unix ms.
const SnowflakeEpochMilli = 1420070400000

// Bits below the timestamp: five of worker, five of process and twelve of increment.
const (
	snowflakeTimeShift   = 22
	snowflakeWorkerShift = 12
	snowflakeWorkerMask  = 1<<10 - 1
	snowflakeSeqMask     = 1<<12 - 1
)

// Snowflake is an id: 42 bits of milliseconds since SnowflakeEpochMilli, then who made it. In
// JSON it is a decimal string, since 64 bits do not survive a JavaScript number. Numbers are
// read too, because some clients send them. Zero stands for no id.
type Snowflake uint64

var errSnowflake = errors.New("an id must be a decimal number of 64 bits")

// SnowflakeAt makes the id of a moment. Worker and sequence are cut to 10 and 12 bits, and a
// moment before the epoch counts as the epoch.
func SnowflakeAt(unixMilli int64, worker, sequence int) Snowflake {
	since := max(unixMilli-SnowflakeEpochMilli, 0)
	return Snowflake(since)<<snowflakeTimeShift |
		Snowflake(worker&snowflakeWorkerMask)<<snowflakeWorkerShift |
		Snowflake(sequence&snowflakeSeqMask)
}

// ParseSnowflake reads digits and nothing else.
func ParseSnowflake(s string) (Snowflake, error) {
	n, ok := parseDigits(s)
	if !ok {
		return 0, errSnowflake
	}
	return Snowflake(n), nil
}

// ParseSnowflakeBytes is ParseSnowflake for a slice of a buffer.
func ParseSnowflakeBytes(b []byte) (Snowflake, bool) {
	n, ok := parseDigits(b)
	return Snowflake(n), ok
}

// parseDigits reads a whole decimal number that fits 64 bits. strconv wants a string, accepts
// signs and makes an error value; ids come by the hundred in one command.
func parseDigits[T string | []byte](s T) (uint64, bool) {
	const digitsMax = 20 // 18446744073709551615
	if len(s) == 0 || len(s) > digitsMax {
		return 0, false
	}
	var n uint64
	for i := range len(s) {
		digit := uint64(s[i] - '0')
		if digit > 9 || n > (1<<64-1)/10 {
			return 0, false
		}
		next := n*10 + digit
		if next < n*10 {
			return 0, false
		}
		n = next
	}
	return n, true
}

// Append appends the decimal digits without quotes.
func (s Snowflake) Append(dst []byte) []byte { return strconv.AppendUint(dst, uint64(s), 10) }

// AppendJSON appends the id as a JSON string.
func (s Snowflake) AppendJSON(dst []byte) []byte {
	dst = append(dst, '"')
	dst = s.Append(dst)
	return append(dst, '"')
}

func (s Snowflake) String() string { return strconv.FormatUint(uint64(s), 10) }

// Milli is the moment of the id in unix milliseconds.
func (s Snowflake) Milli() int64 { return int64(s>>snowflakeTimeShift) + SnowflakeEpochMilli }

// Shard says which of count shards gets the events of guild s. REQUIRES: count > 0.
func (s Snowflake) Shard(count int) int {
	return int(uint64(s>>snowflakeTimeShift) % uint64(count))
}

func (s Snowflake) MarshalJSON() ([]byte, error) { return s.AppendJSON(nil), nil }

// UnmarshalJSON reads a string or a number. Null leaves s as it is, as encoding/json asks.
func (s *Snowflake) UnmarshalJSON(raw []byte) error {
	if IsNull(raw) {
		return nil
	}
	id, ok := DecodeSnowflake(raw)
	if !ok {
		return errSnowflake
	}
	*s = id
	return nil
}

func (s Snowflake) MarshalText() ([]byte, error) { return s.Append(nil), nil }

func (s *Snowflake) UnmarshalText(text []byte) error {
	id, ok := ParseSnowflakeBytes(text)
	if !ok {
		return errSnowflake
	}
	*s = id
	return nil
}
