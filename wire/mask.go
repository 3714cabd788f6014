package wire

import "encoding/binary"

// Mask masks or unmasks b in place: octet i is combined with octet i mod 4 of the key (RFC 6455
// 5.3).
//
// Octet by octet this is the most expensive part of reading a frame. The key repeats every four
// octets, so it is the same for every group of eight, and the compiler turns each group into one
// load, one exclusive or and one store. See BenchmarkMask.
func Mask(b []byte, key [4]byte) {
	word := uint64(binary.LittleEndian.Uint32(key[:]))
	word |= word << 32
	for len(b) >= 32 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^word)
		binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^word)
		binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^word)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^word)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= key[i&3]
	}
}
