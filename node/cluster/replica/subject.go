package replica

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// The subjects of the log, and why the last message of each is enough:
//
//	u.<user>           The user.
//	t.<hash, hex>      Whose token has this hash. The token itself is never written.
//	r.<user>           The tokens of the user that were put before this message are void. Messages
//	                   of tokens stay, and whoever reads them reads this one behind them. One that
//	                   is put later has its message later, and counts.
//	g.<guild>.doc      The guild's document and channels, or that it is deleted.
//	g.<guild>.doc.<n>  Part n of a document that is too large for one message. The message with
//	                   the rest comes behind them in their batch, and tells by a checksum whether
//	                   these are its parts.
//	g.<guild>.m.<user> The members from this user on, up to the last user that the message tells.
//	                   One that is full is split: its own message gets a narrower range, in the
//	                   batch in which the new pages come. So the last messages of all of them are
//	                   one partition, and none that was wider is left.
//	n.<node>           Which incarnation of the node may write, or none; see fence.go.
//	s.<node>           Nothing: its sequence tells where the log ends.
//	i                  Who brings data into the cluster, or has; see import.go.
//
// A guild's messages carry its incarnation, greater each time the guild is made again: whatever is
// left of an earlier one is void. To overwrite all pages of a deleted guild at once is impossible,
// for a batch has its limit.
type subject struct {
	kind kind
	id   uint64 // Of user or guild.
	part uint64 // Of a document, or first user of a page.
	name string // Of a node; or a hash.
}

type kind uint8

const (
	kindUser kind = iota + 1
	kindToken
	kindRevocation
	kindDocument
	kindPart
	kindPage
	kindNode
	kindSync
	kindImport
)

func userSubject(user uint64) string       { return "u." + decimal(user) }
func revocationSubject(user uint64) string { return "r." + decimal(user) }
func documentSubject(guild uint64) string  { return "g." + decimal(guild) + ".doc" }
func nodeSubject(node string) string       { return "n." + node }
func syncSubject(node string) string       { return "s." + node }

func tokenSubject(hash [sha256.Size]byte) string { return "t." + hex.EncodeToString(hash[:]) }

func partSubject(guild uint64, part int) string {
	return documentSubject(guild) + "." + strconv.Itoa(part)
}

func pageSubject(guild, first uint64) string {
	return "g." + decimal(guild) + ".m." + decimal(first)
}

func decimal(id uint64) string { return strconv.FormatUint(id, 10) }

// parseSubject takes a subject apart; ok is false when it is none of ours.
func parseSubject(text string) (s subject, ok bool) {
	what, rest, _ := strings.Cut(text, ".")
	switch what {
	case "u":
		s.kind = kindUser
		s.id, ok = parseID(rest)
	case "r":
		s.kind = kindRevocation
		s.id, ok = parseID(rest)
	case "t":
		s.kind = kindToken
		hash, err := hex.DecodeString(rest)
		s.name, ok = string(hash), err == nil && len(hash) == sha256.Size
	case "n":
		s.kind, s.name, ok = kindNode, rest, rest != ""
	case "s":
		s.kind, s.name, ok = kindSync, rest, rest != ""
	case importSubject:
		s.kind, ok = kindImport, rest == ""
	case "g":
		return parseGuildSubject(rest)
	}
	return s, ok
}

func parseGuildSubject(text string) (s subject, ok bool) {
	guild, rest, _ := strings.Cut(text, ".")
	if s.id, ok = parseID(guild); !ok {
		return s, false
	}
	what, part, more := strings.Cut(rest, ".")
	switch {
	case what == "doc" && !more:
		s.kind = kindDocument
		return s, true
	case what == "doc":
		s.kind = kindPart
	case what == "m":
		s.kind = kindPage
	default:
		return s, false
	}
	s.part, ok = parseDecimal(part)
	return s, ok
}

func parseID(text string) (id uint64, ok bool) {
	id, ok = parseDecimal(text)
	return id, ok && id != 0
}

// parseDecimal takes an id as decimal writes it, and in no other form.
func parseDecimal(text string) (id uint64, ok bool) {
	id, err := strconv.ParseUint(text, 10, 64)
	return id, err == nil && text == decimal(id)
}
