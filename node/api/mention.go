package api

import (
	"slices"
	"strings"

	"throng/wire"
)

// mentionRules is allowed_mentions taken apart.
type mentionRules struct {
	users, roles, everyone bool
	userList, roleList     []wire.Snowflake
}

// mention finds who the content mentions, under the rules of allowed_mentions: without it
// everyone that is named, and with it those of the kinds in parse, or in a list of its own.
func (m *MessageInput) mention(allowed []byte) error {
	rules := mentionRules{users: true, roles: true, everyone: true}
	if allowed != nil {
		var err error
		if rules, err = parseMentionRules(allowed); err != nil {
			return err
		}
	}
	m.MentionEveryone = rules.everyone &&
		(strings.Contains(m.Content, "@everyone") || strings.Contains(m.Content, "@here"))
	rest := m.Content
	for {
		_, after, found := strings.Cut(rest, "<@")
		if !found {
			return nil
		}
		rest = after
		inner, _, closed := strings.Cut(after, ">")
		if !closed {
			return nil
		}
		if role, isRole := strings.CutPrefix(inner, "&"); isRole {
			m.MentionRoles = addMention(m.MentionRoles, role, rules.roles, rules.roleList)
			continue
		}
		user := strings.TrimPrefix(inner, "!")
		m.MentionUsers = addMention(m.MentionUsers, user, rules.users, rules.userList)
	}
}

// addMention adds an id to a list once, when it is one and is allowed.
func addMention(list []wire.Snowflake, text string, all bool,
	only []wire.Snowflake) []wire.Snowflake {
	id, err := wire.ParseSnowflake(text)
	if err != nil || id == 0 || slices.Contains(list, id) || !all && !slices.Contains(only, id) {
		return list
	}
	return append(list, id)
}

func parseMentionRules(raw []byte) (rules mentionRules, err error) {
	if !wire.IsObject(raw) {
		return rules, Invalid("allowed_mentions", "Only dictionaries may be used in a DictType.")
	}
	parse, _ := wire.Field(raw, "parse")
	wire.EachElement(parse, func(element []byte) bool {
		switch kind, _ := wire.DecodeString(element); kind {
		case "users":
			rules.users = true
		case "roles":
			rules.roles = true
		case "everyone":
			rules.everyone = true
		default:
			err = Invalid("allowed_mentions.parse", "Value must be one of users, roles, everyone.")
		}
		return err == nil
	})
	rules.userList = snowflakes(raw, "users")
	rules.roleList = snowflakes(raw, "roles")
	return rules, err
}

// snowflakes reads an array of ids and passes over what is none.
func snowflakes(object []byte, key string) (ids []wire.Snowflake) {
	list, _ := wire.Field(object, key)
	wire.EachElement(list, func(element []byte) bool {
		if id, ok := wire.DecodeSnowflake(element); ok {
			ids = append(ids, id)
		}
		return true
	})
	return ids
}
