package wire

// Erlang's external term format, as far as erlpack speaks it. The tags are those of
// https://www.erlang.org/doc/apps/erts/erl_ext_dist.html.
const (
	etfVersion = 131 // Before the term of every message.

	etfNewFloat      = 70
	etfSmallInteger  = 97
	etfInteger       = 98
	etfFloat         = 99 // Text of 31 bytes, from before etfNewFloat.
	etfAtom          = 100
	etfSmallTuple    = 104
	etfLargeTuple    = 105
	etfNil           = 106 // The empty list, and the tail of every other.
	etfString        = 107 // A list of bytes, for which Erlang has a short form.
	etfList          = 108
	etfBinary        = 109
	etfSmallBig      = 110
	etfLargeBig      = 111
	etfSmallAtom     = 115
	etfMap           = 116
	etfAtomUTF8      = 118
	etfSmallAtomUTF8 = 119
)

// etfOldFloatBytes is the length of the text of an etfFloat.
const etfOldFloatBytes = 31
