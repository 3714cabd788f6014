package fanout

import (
	"slices"
	"strconv"

	"throng/wire"
)

// role is a role's object with what decisions need of it parsed.
type role struct {
	id          wire.Snowflake
	permissions wire.Permissions
	position    int64
	hoist       bool
	raw         []byte
}

var roleRules = []rule{
	{key: "color", shape: shapeInt, value: "0"},
	{key: "colors", shape: shapeObject},
	{key: "hoist", shape: shapeBool, value: "false"},
	{key: "icon", shape: shapeString, nullable: true, value: "null"},
	{key: "unicode_emoji", shape: shapeString, nullable: true, value: "null"},
	{key: "position", shape: shapeInt},
	{key: "permissions", shape: shapePermissions},
	{key: "managed", shape: shapeBool, value: "false"},
	{key: "mentionable", shape: shapeBool, value: "false"},
	{key: "flags", shape: shapeInt, value: "0"},
	{key: "tags", shape: shapeObject},
}

// parseRole completes a role's object. A role starts with the permissions of @everyone, and
// @everyone with those of a new guild.
func parseRole(
	guild wire.Snowflake, everyone wire.Permissions, index int, o object,
) (*role, *Error) {
	id, ok := o.id("id")
	if !ok {
		return nil, invalid("id", "It must be an id.")
	}
	o.setID("id", id)
	name, position := `"new role"`, strconv.Itoa(index)
	if id == guild {
		name, position = `"@everyone"`, "0"
	}
	if err := applyRules(&o, []rule{{key: "name", shape: shapeString, value: name}}); err != nil {
		return nil, err
	}
	o.setDefault("position", position)
	if !o.present("permissions") {
		o.set("permissions", []byte(strconv.Quote(everyone.String())))
	}
	if err := applyRules(&o, roleRules); err != nil {
		return nil, err
	}
	if o.get("colors") == nil {
		colors := append([]byte(`{"primary_color":`), o.get("color")...)
		colors = append(colors, `,"secondary_color":null,"tertiary_color":null}`...)
		o.set("colors", colors)
	}
	r := &role{id: id, hoist: isTrue(o.get("hoist")), raw: o.bytes()}
	r.permissions, _ = parsePermissions(o.get("permissions"))
	r.position, _ = parseInt(o.get("position"))
	return r, nil
}

// parseRoles reads a guild's list of roles. @everyone always exists: it is added in front when the
// list leaves it out.
func parseRoles(guild wire.Snowflake, raw []byte) ([]*role, *Error) {
	everyone := wire.PermissionsDefault
	// The default of the others is known only once @everyone has been seen, wherever it stands.
	if wire.IsArray(raw) {
		wire.EachElement(raw, func(value []byte) bool {
			if !wire.IsObject(value) {
				return true
			}
			if id, _ := wire.SnowflakeField(value, "id"); id != guild {
				return true
			}
			if p, found := wire.Field(value, "permissions"); found {
				if set, ok := parsePermissions(p); ok {
					everyone = set
				}
			}
			return false
		})
	}
	var roles []*role
	seen := make(map[wire.Snowflake]bool)
	err := eachObject(raw, "roles", rolesMax, func(index int, o object) *Error {
		r, err := parseRole(guild, everyone, index, o)
		if err != nil {
			return err
		}
		if seen[r.id] {
			return invalid("id", "It is there twice.")
		}
		seen[r.id] = true
		roles = append(roles, r)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !seen[guild] {
		r, err := parseRole(guild, everyone, 0, object{{"id", quotedID(guild)}})
		if err != nil {
			return nil, err
		}
		roles = slices.Insert(roles, 0, r)
	}
	return roles, nil
}

// setRoles makes the list the guild's roles.
func (g *Guild) setRoles(roles []*role) {
	g.roles = roles
	g.roleByID = make(map[wire.Snowflake]*role, len(roles))
	g.roleIDs = make([]uint64, 0, len(roles))
	for _, r := range roles {
		g.roleByID[r.id] = r
		if r.id != g.id {
			g.roleIDs = append(g.roleIDs, uint64(r.id))
		}
	}
	slices.Sort(g.roleIDs)
	if g.lists != nil {
		g.lists.reorder = true
	}
}

func (g *Guild) rolePermissions(id wire.Snowflake) wire.Permissions {
	if r := g.roleByID[id]; r != nil {
		return r.permissions
	}
	return 0
}

// roleFilter is the ascending ids of a guild's roles, @everyone not among them. It is immutable.
//
// A deleted role is not taken from the members that have it there and then: that would be a write
// for each of a million members, on the shard and on the disk. It is passed over when roles are
// read instead, and the records follow; see sweep.go.
type roleFilter []uint64

// has reports whether the role exists.
func (f roleFilter) has(id uint64) bool {
	_, found := slices.BinarySearch(f, id)
	return found
}

// hasRoles reports whether the guild has one of the roles in the set.
func (g *Guild) hasRoles(set uint32) bool {
	return slices.ContainsFunc(g.roleSets.Roles(set), g.roleIDs.has)
}
