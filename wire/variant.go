package wire

// Encoding is how a connection's payloads are written.
type Encoding uint8

const (
	EncodingJSON Encoding = iota
	EncodingETF           // Erlang's external term format.
)

// ParseEncoding reads the query value; a connection that does not say gets JSON.
func ParseEncoding(query string) (Encoding, bool) {
	switch query {
	case "", "json":
		return EncodingJSON, true
	case "etf":
		return EncodingETF, true
	}
	return EncodingJSON, false
}

func (e Encoding) String() string {
	if e == EncodingETF {
		return "etf"
	}
	return "json"
}

// Opcode is the WebSocket opcode of the encoding's data frames.
func (e Encoding) Opcode() Opcode {
	if e == EncodingETF {
		return OpcodeBinary
	}
	return OpcodeText
}

// Compression is how a connection's payloads are compressed on the way.
type Compression uint8

const (
	CompressionNone Compression = iota
	CompressionZlib             // One zlib stream for the connection.
	CompressionZstd             // One zstd stream for the connection.
)

// ParseCompression reads the query value; absent means none.
func ParseCompression(query string) (Compression, bool) {
	switch query {
	case "":
		return CompressionNone, true
	case "zlib-stream":
		return CompressionZlib, true
	case "zstd-stream":
		return CompressionZstd, true
	}
	return CompressionNone, false
}

func (c Compression) String() string {
	switch c {
	case CompressionZlib:
		return "zlib-stream"
	case CompressionZstd:
		return "zstd-stream"
	}
	return "none"
}

// Variant selects one encoding of a dispatch, as a set of bits.
type Variant uint8

const (
	VariantStripped Variant = 1 << iota // Without what MESSAGE_CONTENT opens.
	VariantETF

	// The two bits above are the Compression.
	variantCompressionShift = 2

	// VariantCount is the number of variants, and the length of an array over them.
	VariantCount = (int(CompressionZstd) + 1) << variantCompressionShift

	// VariantSealed marks a frame without a hole: its number was known when it was made.
	VariantSealed Variant = 1 << 7
)

// VariantOf is the variant of a connection that may see everything.
func VariantOf(e Encoding, c Compression) Variant {
	v := Variant(c) << variantCompressionShift
	if e == EncodingETF {
		v |= VariantETF
	}
	return v
}

// Compression is how v's frames are compressed.
func (v Variant) Compression() Compression {
	return Compression(v >> variantCompressionShift & 3)
}

// Encoding is the encoding of v's frames.
func (v Variant) Encoding() Encoding {
	if v&VariantETF != 0 {
		return EncodingETF
	}
	return EncodingJSON
}
