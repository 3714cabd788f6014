package wire

import "encoding/json"

// Statuses of a presence. Others see StatusInvisible as StatusOffline.
const (
	StatusOnline    = "online"
	StatusDND       = "dnd"
	StatusIdle      = "idle"
	StatusInvisible = "invisible"
	StatusOffline   = "offline"
)

// PresenceCommand is op 3, and the presence of op 2. It shares no memory with what it was
// parsed from.
type PresenceCommand struct {
	Since      *int64          // When the client became idle, unix ms.
	Activities json.RawMessage // An array, checked: fit to be sent to others.
	Status     string          // One of the statuses.
	AFK        bool
}

// ParsePresence reads op 3. An absent status, or an empty one, or the "unknown" of user clients
// is online. A lone game, which is how activities were sent once and discordgo still does, is
// the only activity when it has a name.
func ParsePresence(d []byte) (PresenceCommand, *CloseError) {
	r := readPayload(OpPresenceUpdate, d)
	p := PresenceCommand{AFK: r.flag("afk"), Status: r.status()}
	if since, present := r.number("since"); present {
		p.Since = &since
	}
	raw := r.value("activities")
	switch {
	case raw == nil:
		p.Activities = appendActivities(nil, r.value("game"))
	case IsArray(raw):
		p.Activities = appendActivities(nil, raw)
	default:
		r.refuse(CloseDecode, "activities", "an array")
	}
	if r.err != nil {
		return PresenceCommand{}, r.err
	}
	return p, nil
}

func (r *payloadReader) status() string {
	status, _ := r.text("status")
	switch status {
	case "", "unknown":
		return StatusOnline
	case StatusOnline, StatusDND, StatusIdle, StatusInvisible, StatusOffline:
		return status
	}
	r.refuse(CloseDecode, "status", "online, dnd, idle, invisible or offline")
	return ""
}
