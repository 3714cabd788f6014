package api

import (
	"context"
	"time"

	"throng/wire"
)

// Node is what the doors ask of the node. Every method that takes a context may block until the
// owner of the state has answered, and returns its error when the context ends first. What was
// asked for is durable when a method returns nil.
//
// Refusals are *Error values; any other error is answered with 500 and logged. Byte slices given
// to a method belong to the node afterwards: the doors neither change nor reuse them. All of them
// are valid JSON, at most Limits.Depth deep.
type Node interface {
	Provisioning
	Publishing
	Watching
	Clients
	Voice
	Clustering
	Seeing
	Tuning
}

// Provisioning is what a backend keeps on the node: users, tokens, guilds and members.
//
// The methods that take many inputs return one error per input, nil where it was accepted, or a
// nil slice when all were; the last error is for the call as a whole, and then nothing in it counts
// as accepted. A call without inputs only asks whether what the path names is there.
type Provisioning interface {
	PutUsers(ctx context.Context, users []UserInput) ([]error, error)
	// PutToken registers a token for a user that exists: UnknownUser, or a conflict when the
	// token is another user's.
	PutToken(ctx context.Context, user wire.Snowflake, token string) error
	RevokeTokens(ctx context.Context, user wire.Snowflake) error

	PutGuild(ctx context.Context, guild wire.Snowflake, doc []byte) error
	DeleteGuild(ctx context.Context, guild wire.Snowflake) error
	// PutMembers takes one JSON object per member, as it was given.
	PutMembers(ctx context.Context, guild wire.Snowflake, lines [][]byte, announce bool) (
		[]error, error)
	RemoveMember(ctx context.Context, guild, user wire.Snowflake) error
	// ExportMembers calls f with all members as they are at one moment, some lines at a time, and
	// stops at f's first error, which it returns. Each line is an object that PutMembers takes.
	ExportMembers(ctx context.Context, guild wire.Snowflake, f func(lines []byte) error) error
}

// Publishing is what a backend sends through the node.
type Publishing interface {
	// Publish gives events to a guild in their order. The index is the guild's event index after
	// the last of them.
	Publish(ctx context.Context, guild wire.Snowflake, events []EventInput) (
		index uint64, rejected []error, err error)
	// PublishUser gives events to all sessions of a user and says how many those were.
	PublishUser(ctx context.Context, user wire.Snowflake, events []EventInput) (
		sessions int, rejected []error, err error)
}

// Watching is what an operator asks and orders.
type Watching interface {
	Guild(ctx context.Context, guild wire.Snowflake) (GuildInfo, error)
	// TopGuilds is the guilds with the most sessions, most first.
	TopGuilds(ctx context.Context, limit int) ([]GuildInfo, error)
	Session(ctx context.Context, id string) (SessionInfo, error)
	SessionsOf(ctx context.Context, user wire.Snowflake) ([]SessionInfo, error)
	// CloseSession ends a session for good: it cannot be resumed.
	CloseSession(ctx context.Context, id string) error
	// ReconnectSession asks the session's client to reconnect and resume.
	ReconnectSession(ctx context.Context, id string) error
	Info(ctx context.Context) (NodeInfo, error)
	// Drain starts what SIGTERM starts, and returns at once.
	Drain()
	// Ready is nil while the node takes new sessions, else the reason in one sentence.
	Ready() error
	// Check is the first invariant over live state that does not hold.
	Check(ctx context.Context) error
}

// Clients is what client libraries ask for. `as` is the user that Authenticate returned; the node
// decides what that user may see and answers UnknownGuild, UnknownChannel, MissingAccess or
// MissingPermissions.
type Clients interface {
	// Authenticate resolves a token, already without its "Bot " prefix: Unauthorized when it is
	// nobody's.
	Authenticate(ctx context.Context, token string) (User, error)
	// StartLimits is what GET gateway/bot tells a bot about its shards and identifies.
	StartLimits(ctx context.Context, as wire.Snowflake) (StartLimits, error)
	// GuildDoc and ChannelDoc are the objects as Discord's REST returns them.
	GuildDoc(ctx context.Context, guild, as wire.Snowflake) ([]byte, error)
	ChannelDoc(ctx context.Context, channel, as wire.Snowflake) ([]byte, error)
	// PostMessage publishes MESSAGE_CREATE and returns the message; see MessageInput.Append.
	PostMessage(ctx context.Context, channel, as wire.Snowflake, m MessageInput) ([]byte, error)
	Typing(ctx context.Context, channel, as wire.Snowflake) error
}

// Voice is the table of media servers, which the node chooses from for who connects to voice.
type Voice interface {
	// PutVoiceServer adds a server or changes one. One whose endpoint changes is another one.
	PutVoiceServer(ctx context.Context, name string, s VoiceServerInput) error
	// ReportVoiceServer is a server's word that it lives. Unless it comes again within expiresIn,
	// 0 being what the node finds right, the server is lost.
	ReportVoiceServer(ctx context.Context, name string, load int, expiresIn time.Duration) error
	RemoveVoiceServer(ctx context.Context, name string) error
	VoiceServers(ctx context.Context) ([]VoiceServerInfo, error)
}

// Clustering is what an operator asks of the nodes together.
type Clustering interface {
	// Cluster is all nodes as this one sees them. One that is alone sees itself.
	Cluster(ctx context.Context) (ClusterInfo, error)
	// MoveGuild has a node own a guild whatever the ring says, or, with no name, as the ring says.
	MoveGuild(ctx context.Context, guild wire.Snowflake, node string) error
}

// ClusterInfo is what the nodes of a cluster are and do.
type ClusterInfo struct {
	Name       string            `json:"name,omitempty"`
	Self       string            `json:"self"`
	Generation uint64            `json:"generation"`
	Nodes      []ClusterNode     `json:"nodes"`
	Pins       map[string]string `json:"pins,omitempty"` // Guild to node.
}

// ClusterNode is one of them.
type ClusterNode struct {
	Node        string  `json:"node"`
	Incarnation uint64  `json:"incarnation,omitempty"`
	Gateway     string  `json:"gateway,omitempty"`
	Door        string  `json:"door,omitempty"`
	Version     string  `json:"version,omitempty"`
	Weight      int     `json:"weight"`
	Draining    bool    `json:"draining,omitempty"`
	LeaseMilli  int64   `json:"lease_ms,omitempty"` // That is left, of the node that answers.
	Counts      *Counts `json:"counts,omitempty"`   // Nil when it did not answer.
	Error       string  `json:"error,omitempty"`    // Why.
}

// Counts are those of GET /v1/node.
type Counts = map[string]int64

// UserInput is a user to create or replace.
type UserInput struct {
	ID wire.Snowflake
	// Doc is the user object as it was given, less "token".
	Doc []byte
	// Token is registered for the user when it is not empty.
	Token string
}

// EventInput is one event to publish: a valid event name and d, which is an object for a guild's
// events and any value for a user's.
type EventInput struct {
	Type string
	Data []byte
}

// User is who a token belongs to.
type User struct {
	ID  wire.Snowflake
	Bot bool
	Doc []byte // The user object.
}

// StartLimits is the part of GET gateway/bot that differs from bot to bot.
type StartLimits struct {
	Shards           int
	Total, Remaining int
	ResetAfter       time.Duration
	MaxConcurrency   int
}

// GuildInfo is what the node knows of a guild.
type GuildInfo struct {
	ID           wire.Snowflake `json:"id"`
	Name         string         `json:"name"`
	MemberCount  int            `json:"member_count"`
	SessionCount int            `json:"session_count"`
	ActiveCount  int            `json:"active_count"`
	PassiveCount int            `json:"passive_count"`
	EventIndex   uint64         `json:"event_index"`
	OwnerNode    string         `json:"owner_node"`
	// Doc is the guild's object, an optional addition: its fields are answered before the counts.
	// TopGuilds leaves it nil.
	Doc []byte `json:"-"`
}

// SessionInfo is what the node knows of a session.
type SessionInfo struct {
	ID          string           `json:"id"`
	User        wire.Snowflake   `json:"user_id"`
	State       string           `json:"state"` // "live" or "detached".
	Loop        int              `json:"loop"`
	Guilds      []wire.Snowflake `json:"guilds"`
	Intents     wire.Intents     `json:"intents"`
	Shard       [2]int           `json:"shard"`
	Encoding    string           `json:"encoding"`
	Compression string           `json:"compression"`
	SeqSent     uint32           `json:"seq_sent"`
	SeqAcked    uint32           `json:"seq_acknowledged"`
	LagFrames   int              `json:"lag"`
	LagBytes    int64            `json:"lag_bytes"`
	SentBytes   int64            `json:"bytes"`
	AgeSeconds  float64          `json:"age_seconds"`
	Remote      string           `json:"remote,omitempty"`
}

// NodeInfo is what the node says of itself.
type NodeInfo struct {
	Node          string           `json:"node"`
	Version       string           `json:"version"`
	State         string           `json:"state"` // "starting", "ready" or "draining".
	UptimeSeconds float64          `json:"uptime_seconds"`
	Loops         int              `json:"loops"`
	Limits        map[string]int64 `json:"limits"`
	Counts        map[string]int64 `json:"counts"`
	// Tuned is the settings that have been changed since the node began.
	Tuned map[string]int64 `json:"tuned,omitempty"`
}
