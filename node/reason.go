package node

import "throng/wire"

// CloseReason says why a connection ended. The set is closed: each has a counter
// (throng_closes_total) and a row in the README.
type CloseReason uint8

const (
	// What the client or the network did.
	ClientDone CloseReason = iota
	ClientClosed
	ConnectionLost
	HandshakeRefused
	HandshakeTimeout
	OriginRefused
	AddressRefused
	ProxyRefused
	TLSFailed
	BadVersion
	BadEncoding
	ProtocolViolation
	BadUTF8
	MessageTooBig
	TooManyFragments
	PingFlood
	CommandFlood
	BadPayload
	UnknownOpcode
	NotIdentified
	IdentifyTimeout
	WrongToken
	AlreadyIdentified
	WrongSeq
	WrongShard
	TooManyGuilds
	WrongIntents
	DeniedIntents
	HeartbeatMissed
	SlowReader

	// What the node did.
	NodeFull
	NodeBusy
	NodeShort
	NodeDraining
	Superseded
	EndedByOperator
	Reconnected
	OversizedDispatch
	Panicked
	closeReasonCount
)

// closeRow is what there is to know about a reason.
type closeRow struct {
	name     string         // label of the metric
	code     wire.CloseCode // sent in the close frame; 0 = none is sent
	keeps    bool           // the session stays for the resume window
	sentence string
}

var closeRows = [closeReasonCount]closeRow{
	ClientDone: {"client_done", wire.CloseNormal, false,
		"The client closed with 1000 or 1001: it does not come back."},
	ClientClosed: {"client_closed", wire.CloseNormal, true,
		"The client closed with another code: it may resume."},
	ConnectionLost: {"connection_lost", 0, true,
		"The TCP connection ended without a close frame."},
	HandshakeRefused: {"handshake_refused", 0, false,
		"The upgrade request was malformed; it was answered with an HTTP status."},
	HandshakeTimeout: {"handshake_timeout", 0, false,
		"The upgrade request was not complete in time."},
	OriginRefused: {"origin_refused", 0, false,
		"A web page that -origin does not name; it was answered with 403."},
	AddressRefused: {"address_refused", 0, false,
		"More connections from one address than -address-connections or -address-rate allows."},
	ProxyRefused: {"proxy_refused", 0, false,
		"A connection of -proxy-from did not begin with a PROXY header of version 2."},
	TLSFailed: {"tls_failed", 0, false,
		"No TLS, none of version 1.3, or too many records that carry nothing."},
	BadVersion: {"bad_version", wire.CloseInvalidVersion, false,
		"v is neither 9 nor 10."},
	BadEncoding: {"bad_encoding", wire.CloseDecode, false,
		"encoding or compress names something the node does not speak."},
	ProtocolViolation: {"protocol_violation", wire.CloseProtocolError, true,
		"A frame broke RFC 6455."},
	BadUTF8: {"bad_utf8", wire.CloseInvalidPayload, true,
		"A text message or close reason was not UTF-8."},
	MessageTooBig: {"message_too_big", wire.CloseDecode, true,
		"A message was larger than a client may send."},
	TooManyFragments: {"too_many_fragments", wire.ClosePolicyViolation, true,
		"A message came in too many fragments."},
	PingFlood: {"ping_flood", wire.CloseRateLimited, true,
		"Too many pings in a second."},
	CommandFlood: {"command_flood", wire.CloseRateLimited, true,
		"Too many commands in a minute."},
	BadPayload: {"bad_payload", wire.CloseDecode, true,
		"A payload could not be decoded."},
	UnknownOpcode: {"unknown_opcode", wire.CloseUnknownOpcode, true,
		"The opcode is not known."},
	NotIdentified: {"not_identified", wire.CloseNotAuthenticated, false,
		"A command came before IDENTIFY or RESUME."},
	IdentifyTimeout: {"identify_timeout", wire.CloseSessionTimedOut, false,
		"Neither IDENTIFY nor RESUME came in time."},
	WrongToken: {"wrong_token", wire.CloseAuthenticationFailed, false,
		"The token is nobody's, or not the session's."},
	AlreadyIdentified: {"already_identified", wire.CloseAlreadyAuthenticated, true,
		"IDENTIFY or RESUME came twice."},
	WrongSeq: {"wrong_seq", wire.CloseInvalidSeq, true,
		"RESUME named a number that was never sent."},
	WrongShard: {"wrong_shard", wire.CloseInvalidShard, false,
		"The shard is not a pair [id, count] with id below count."},
	TooManyGuilds: {"too_many_guilds", wire.CloseShardingRequired, false,
		"More guilds than one shard may have."},
	WrongIntents: {"wrong_intents", wire.CloseInvalidIntents, false,
		"Intents are missing, no number, or have unknown bits."},
	DeniedIntents: {"denied_intents", wire.CloseDisallowedIntents, false,
		"A privileged intent that the application does not have."},
	HeartbeatMissed: {"heartbeat_missed", wire.CloseUnknown, true,
		"No heartbeat for one and a half intervals and a grace."},
	SlowReader: {"slow_reader", wire.CloseUnknown, true,
		"The client read too slowly, or not at all, for too long."},
	NodeFull: {"node_full", 0, false,
		"The node holds as many connections as it may; the handshake was answered with 503."},
	NodeBusy: {"node_busy", wire.CloseUnknown, true,
		"The node could not take the request now."},
	NodeShort: {"node_short", wire.CloseUnknown, false,
		"The node is short of memory; connect elsewhere, or later."},
	NodeDraining: {"node_draining", wire.CloseUnknown, true,
		"The node is shutting down; reconnect, and resume if another node has the session."},
	Superseded: {"superseded", wire.CloseUnknown, true,
		"The session was resumed on another connection."},
	EndedByOperator: {"ended_by_operator", wire.CloseSessionTimedOut, false,
		"An operator ended the session."},
	Reconnected: {"reconnected", wire.CloseUnknown, true,
		"The client was asked to reconnect and did not."},
	OversizedDispatch: {"oversized_dispatch", wire.CloseUnknown, false,
		"A dispatch for this session was larger than the journal takes."},
	Panicked: {"panic", wire.CloseInternalError, true,
		"Handling this connection failed inside the node."},
}

func (r CloseReason) String() string { return closeRows[r].name }

// reasonOf sorts a protocol fault that wire found.
func reasonOf(code wire.CloseCode) CloseReason {
	switch code {
	case wire.CloseProtocolError:
		return ProtocolViolation
	case wire.CloseInvalidPayload:
		return BadUTF8
	case wire.CloseMessageTooBig:
		return MessageTooBig
	case wire.ClosePolicyViolation:
		return TooManyFragments
	case wire.CloseUnknownOpcode:
		return UnknownOpcode
	case wire.CloseAuthenticationFailed:
		return WrongToken
	case wire.CloseInvalidSeq:
		return WrongSeq
	case wire.CloseInvalidShard:
		return WrongShard
	case wire.CloseInvalidIntents:
		return WrongIntents
	case wire.CloseDisallowedIntents:
		return DeniedIntents
	default:
		return BadPayload
	}
}

// DropReason says why something that was asked for was left undone, without closing anything.
type DropReason uint8

const (
	PresenceFlood DropReason = iota
	CommandBusy
	UnknownGuildCommand
	RefusedCommand
	dropReasonCount
)

var dropNames = [dropReasonCount]string{
	PresenceFlood: "presence_flood", CommandBusy: "command_busy",
	UnknownGuildCommand: "unknown_guild", RefusedCommand: "refused_command",
}

func (r DropReason) String() string { return dropNames[r] }
