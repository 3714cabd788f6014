package wire

import "slices"

// What an Overwrite is for.
const (
	OverwriteRole   = 0
	OverwriteMember = 1
)

// permissionsTimedOut is what a timeout leaves of a member's rights in a channel.
const permissionsTimedOut = PermissionViewChannel | PermissionReadMessageHistory

// Overwrite changes the rights of one role or one member in one channel.
type Overwrite struct {
	ID    Snowflake   `json:"id"`
	Type  int         `json:"type"` // OverwriteRole or OverwriteMember.
	Allow Permissions `json:"allow"`
	Deny  Permissions `json:"deny"`
}

func (o Overwrite) apply(p Permissions) Permissions { return p&^o.Deny | o.Allow }

// PermissionSubject is whose rights are asked for.
type PermissionSubject struct {
	Owner    bool
	User     Snowflake
	Roles    []Snowflake // Invariant: ascending, without @everyone.
	TimedOut bool
}

// BasePermissions is what a member may do in the guild, before any channel has a say. It is
// PermissionsAll for the owner and for administrators.
func BasePermissions(
	sub PermissionSubject, everyone Permissions, role func(Snowflake) Permissions,
) Permissions {
	if sub.Owner {
		return PermissionsAll
	}
	p := everyone
	for _, id := range sub.Roles {
		p |= role(id)
	}
	if p.Has(PermissionAdministrator) {
		return PermissionsAll
	}
	return p
}

// ChannelPermissions is what a member with that base may do in the channel of the overwrites.
// A thread is asked with the overwrites of its parent.
//
// The order decides: @everyone first, then all roles of the member together with their allows
// over their denies, then the member alone. So one role's deny never beats another role's
// allow, whatever their positions, and a member's own overwrite beats both.
func ChannelPermissions(
	base Permissions, guild Snowflake, sub PermissionSubject, overwrites []Overwrite,
) Permissions {
	// No other base can be equal to it: it holds ADMINISTRATOR, which BasePermissions widens.
	if base == PermissionsAll {
		return PermissionsAll
	}
	var everyone, roles, member Overwrite
	for _, o := range overwrites {
		switch {
		case o.Type == OverwriteMember && o.ID == sub.User:
			member = o
		case o.Type != OverwriteRole:
		case o.ID == guild:
			everyone = o
		default:
			if _, held := slices.BinarySearch(sub.Roles, o.ID); held {
				roles.Allow |= o.Allow
				roles.Deny |= o.Deny
			}
		}
	}
	p := member.apply(roles.apply(everyone.apply(base)))
	if sub.TimedOut {
		p &= permissionsTimedOut
	}
	return p
}
