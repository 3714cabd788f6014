package wire

// Intents is the set of event groups a session asked for when it identified.
type Intents uint32

// Intents of bots. A DIRECT twin means the same events outside guilds.
const (
	IntentGuilds                 Intents = 1 << 0
	IntentGuildMembers           Intents = 1 << 1
	IntentGuildModeration        Intents = 1 << 2
	IntentGuildExpressions       Intents = 1 << 3
	IntentGuildIntegrations      Intents = 1 << 4
	IntentGuildWebhooks          Intents = 1 << 5
	IntentGuildInvites           Intents = 1 << 6
	IntentGuildVoiceStates       Intents = 1 << 7
	IntentGuildPresences         Intents = 1 << 8
	IntentGuildMessages          Intents = 1 << 9
	IntentGuildMessageReactions  Intents = 1 << 10
	IntentGuildMessageTyping     Intents = 1 << 11
	IntentDirectMessages         Intents = 1 << 12
	IntentDirectMessageReactions Intents = 1 << 13
	IntentDirectMessageTyping    Intents = 1 << 14
	IntentMessageContent         Intents = 1 << 15 // Brings no event, opens fields of messages.
	IntentGuildScheduledEvents   Intents = 1 << 16
	IntentAutoModConfiguration   Intents = 1 << 20
	IntentAutoModExecution       Intents = 1 << 21
	IntentGuildMessagePolls      Intents = 1 << 24
	IntentDirectMessagePolls     Intents = 1 << 25
)

// Intents that only user clients know.
const (
	IntentGuildEmbeddedActivities  Intents = 1 << 17
	IntentPrivateChannels          Intents = 1 << 18
	IntentCalls                    Intents = 1 << 19
	IntentUserRelationships        Intents = 1 << 22
	IntentUserPresence             Intents = 1 << 23
	IntentDirectEmbeddedActivities Intents = 1 << 26
	IntentLobbies                  Intents = 1 << 27
	IntentLobbyDelete              Intents = 1 << 28
)

const (
	// IntentsBot is every bit a bot may set.
	IntentsBot = IntentGuilds | IntentGuildMembers | IntentGuildModeration |
		IntentGuildExpressions | IntentGuildIntegrations | IntentGuildWebhooks |
		IntentGuildInvites | IntentGuildVoiceStates | IntentGuildPresences |
		IntentGuildMessages | IntentGuildMessageReactions | IntentGuildMessageTyping |
		IntentDirectMessages | IntentDirectMessageReactions | IntentDirectMessageTyping |
		IntentMessageContent | IntentGuildScheduledEvents | IntentAutoModConfiguration |
		IntentAutoModExecution | IntentGuildMessagePolls | IntentDirectMessagePolls

	// IntentsUser is every bit there is: what a user account gets, which sends no intents.
	IntentsUser = IntentsBot | IntentGuildEmbeddedActivities | IntentPrivateChannels |
		IntentCalls | IntentUserRelationships | IntentUserPresence |
		IntentDirectEmbeddedActivities | IntentLobbies | IntentLobbyDelete

	// IntentsPrivileged is what an application must have been granted, else 4014.
	IntentsPrivileged = IntentGuildMembers | IntentGuildPresences | IntentMessageContent
)

// ValidIntents reports whether every bit of i exists for such an account. Else it is 4013.
func ValidIntents(i Intents, bot bool) bool {
	if bot {
		return i&^IntentsBot == 0
	}
	return i&^IntentsUser == 0
}

// Has reports whether i holds all of want.
func (i Intents) Has(want Intents) bool { return i&want == want }

// Application flags that grant a privileged intent, the full grant and the limited one of
// applications in fewer than a hundred guilds.
const (
	ApplicationPresence              = 1 << 12
	ApplicationPresenceLimited       = 1 << 13
	ApplicationMembers               = 1 << 14
	ApplicationMembersLimited        = 1 << 15
	ApplicationMessageContent        = 1 << 18
	ApplicationMessageContentLimited = 1 << 19
)

// GrantedIntents is what an application with these flags may ask for. What else of i there is
// among IntentsPrivileged closes with 4014.
func GrantedIntents(applicationFlags uint64) Intents {
	granted := IntentsUser &^ IntentsPrivileged
	if applicationFlags&(ApplicationPresence|ApplicationPresenceLimited) != 0 {
		granted |= IntentGuildPresences
	}
	if applicationFlags&(ApplicationMembers|ApplicationMembersLimited) != 0 {
		granted |= IntentGuildMembers
	}
	if applicationFlags&(ApplicationMessageContent|ApplicationMessageContentLimited) != 0 {
		granted |= IntentMessageContent
	}
	return granted
}
