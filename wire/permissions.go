package wire

import (
	"errors"
	"strconv"
)

// Permissions is a set of rights. In JSON it is a decimal string, like an id.
type Permissions uint64

// Permissions by their documented names.
const (
	PermissionCreateInstantInvite    Permissions = 1 << 0
	PermissionKickMembers            Permissions = 1 << 1
	PermissionBanMembers             Permissions = 1 << 2
	PermissionAdministrator          Permissions = 1 << 3
	PermissionManageChannels         Permissions = 1 << 4
	PermissionManageGuild            Permissions = 1 << 5
	PermissionAddReactions           Permissions = 1 << 6
	PermissionViewAuditLog           Permissions = 1 << 7
	PermissionPrioritySpeaker        Permissions = 1 << 8
	PermissionStream                 Permissions = 1 << 9
	PermissionViewChannel            Permissions = 1 << 10
	PermissionSendMessages           Permissions = 1 << 11
	PermissionSendTTSMessages        Permissions = 1 << 12
	PermissionManageMessages         Permissions = 1 << 13
	PermissionEmbedLinks             Permissions = 1 << 14
	PermissionAttachFiles            Permissions = 1 << 15
	PermissionReadMessageHistory     Permissions = 1 << 16
	PermissionMentionEveryone        Permissions = 1 << 17
	PermissionUseExternalEmojis      Permissions = 1 << 18
	PermissionViewGuildInsights      Permissions = 1 << 19
	PermissionConnect                Permissions = 1 << 20
	PermissionSpeak                  Permissions = 1 << 21
	PermissionMuteMembers            Permissions = 1 << 22
	PermissionDeafenMembers          Permissions = 1 << 23
	PermissionMoveMembers            Permissions = 1 << 24
	PermissionUseVAD                 Permissions = 1 << 25
	PermissionChangeNickname         Permissions = 1 << 26
	PermissionManageNicknames        Permissions = 1 << 27
	PermissionManageRoles            Permissions = 1 << 28
	PermissionManageWebhooks         Permissions = 1 << 29
	PermissionManageGuildExpressions Permissions = 1 << 30
	PermissionUseApplicationCommands Permissions = 1 << 31
	PermissionRequestToSpeak         Permissions = 1 << 32
	PermissionManageEvents           Permissions = 1 << 33
	PermissionManageThreads          Permissions = 1 << 34
	PermissionCreatePublicThreads    Permissions = 1 << 35
	PermissionCreatePrivateThreads   Permissions = 1 << 36
	PermissionUseExternalStickers    Permissions = 1 << 37
	PermissionSendMessagesInThreads  Permissions = 1 << 38
	PermissionUseEmbeddedActivities  Permissions = 1 << 39
	PermissionModerateMembers        Permissions = 1 << 40
	PermissionViewCreatorAnalytics   Permissions = 1 << 41
	PermissionUseSoundboard          Permissions = 1 << 42
	PermissionCreateGuildExpressions Permissions = 1 << 43
	PermissionCreateEvents           Permissions = 1 << 44
	PermissionUseExternalSounds      Permissions = 1 << 45
	PermissionSendVoiceMessages      Permissions = 1 << 46
	PermissionSetVoiceChannelStatus  Permissions = 1 << 48
	PermissionSendPolls              Permissions = 1 << 49
	PermissionUseExternalApps        Permissions = 1 << 50
	PermissionPinMessages            Permissions = 1 << 51
	PermissionBypassSlowmode         Permissions = 1 << 52
)

const (
	// PermissionsAll is every right there is, bit 47 being unassigned: what an owner or an
	// administrator has.
	PermissionsAll Permissions = 1<<53 - 1 - 1<<47

	// PermissionsDefault is what @everyone of a new guild may do.
	PermissionsDefault Permissions = 104324673
)

var errPermissions = errors.New("permissions must be a decimal number of 64 bits")

// Has reports whether p holds all of want.
func (p Permissions) Has(want Permissions) bool { return p&want == want }

// Append appends the decimal digits without quotes.
func (p Permissions) Append(dst []byte) []byte { return strconv.AppendUint(dst, uint64(p), 10) }

func (p Permissions) String() string { return strconv.FormatUint(uint64(p), 10) }

func (p Permissions) MarshalJSON() ([]byte, error) { return Snowflake(p).AppendJSON(nil), nil }

// UnmarshalJSON reads a string or a number. Null leaves p as it is.
func (p *Permissions) UnmarshalJSON(raw []byte) error {
	if IsNull(raw) {
		return nil
	}
	n, ok := DecodeSnowflake(raw)
	if !ok {
		return errPermissions
	}
	*p = Permissions(n)
	return nil
}
