package api

import (
	"context"
	"net/http"
	"unicode/utf8"

	"throng/wire"
)

// nameRunesMax is Discord's longest name, that of a webhook.
const nameRunesMax = 80

// putUser serves PUT /v1/users/{id}.
func (d *adminDoor) putUser(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	doc, err := d.readObject(w, r, d.limits.Line)
	if err != nil {
		return err
	}
	user, err := parseUser(doc, id)
	if err != nil {
		return err
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	errs, err := d.node.PutUsers(ctx, []UserInput{user})
	if err != nil {
		return err
	}
	if len(errs) > 0 && errs[0] != nil {
		return errs[0]
	}
	return writeJSON(w, http.StatusOK, identified{id})
}

// identified is the answer to a PUT.
type identified struct {
	ID wire.Snowflake `json:"id"`
}

// postUsers serves POST /v1/users.
func (d *adminDoor) postUsers(w http.ResponseWriter, r *http.Request) error {
	b := ndjson[UserInput](&d.door, w, r, d.limits.Line)
	b.parse = func(line []byte) (UserInput, error) {
		if err := checkObject(line, d.limits.Depth); err != nil {
			return UserInput{}, err
		}
		return parseUser(line, 0)
	}
	b.send = func(ctx context.Context, users []UserInput) ([]error, error) {
		return d.node.PutUsers(ctx, users)
	}
	err := b.run(w, r)
	sortRejected(b.tally.Rejected)
	return d.finishStream(w, r, err, http.StatusOK, b.tally)
}

// parseUser checks a user object. id is what the route says, or 0 when the object has to say it.
func parseUser(doc []byte, id wire.Snowflake) (UserInput, error) {
	given, err := givenID(doc)
	switch {
	case err != nil:
		return UserInput{}, err
	case id == 0 && given == 0:
		return UserInput{}, Invalid("id", "want the user's snowflake")
	case id != 0 && given != 0 && given != id:
		return UserInput{}, Invalid("id", "%s is not the id in the path", given)
	}
	p := userParser{doc: append(make([]byte, 0, len(doc)+128), '{')}
	p.user.ID = max(id, given)
	p.doc = p.user.ID.AppendJSON(wire.AppendKey(p.doc, "id"))
	wire.EachField(doc, func(key string, raw []byte) bool {
		err = p.field(key, raw)
		return err == nil
	})
	if err != nil {
		return UserInput{}, err
	}
	p.finish()
	return p.user, nil
}

// givenID is the id in a user object, 0 when there is none.
func givenID(doc []byte) (wire.Snowflake, error) {
	raw, ok := wire.Field(doc, "id")
	if !ok {
		return 0, nil
	}
	text, ok := wire.DecodeString(raw)
	if !ok {
		text = string(raw)
	}
	return snowflake("id", text)
}

// userParser rebuilds a user object: without its token, which must not be stored or sent, and
// with what client libraries cannot do without.
type userParser struct {
	user UserInput
	doc  []byte
	seen struct{ name, globalName, avatar, discriminator, bot bool }
}

func (p *userParser) field(key string, raw []byte) error {
	switch key {
	case "id":
		return nil
	case "token":
		return p.token(raw)
	case "username", "global_name":
		return p.name(key, raw)
	case "avatar":
		p.seen.avatar = true
		if _, ok := wire.DecodeString(raw); !ok && !wire.IsNull(raw) {
			return Invalid(key, "want null or a string")
		}
	case "discriminator":
		p.seen.discriminator = true
		if _, ok := wire.DecodeString(raw); !ok {
			return Invalid(key, "want a string")
		}
	case "bot":
		p.seen.bot = true
		if p.user.Bot = string(raw) == "true"; !p.user.Bot && string(raw) != "false" {
			return Invalid(key, "want true or false")
		}
	case "flags", "public_flags":
		flags, ok := wire.DecodeInt(raw)
		if !ok || flags < 0 {
			return Invalid(key, "want a whole number")
		}
		if key == "flags" {
			p.user.Flags = uint64(flags)
		}
	}
	p.keep(key, raw)
	return nil
}

// name takes username, which must have text in it, or global_name, which may be null.
func (p *userParser) name(key string, raw []byte) error {
	text, ok := wire.DecodeString(raw)
	long := utf8.RuneCountInString(text) > nameRunesMax
	if key == "username" {
		if !ok || text == "" || long {
			return Invalid(key, "want a string of 1 to %d characters", nameRunesMax)
		}
		p.user.Name, p.seen.name = text, true
	} else {
		if !ok && !wire.IsNull(raw) || long {
			return Invalid(key, "want null or a string of at most %d characters", nameRunesMax)
		}
		p.user.GlobalName, p.seen.globalName = text, true
	}
	p.keep(key, raw)
	return nil
}

func (p *userParser) token(raw []byte) error {
	if wire.IsNull(raw) {
		return nil
	}
	token, ok := wire.DecodeString(raw)
	if !ok {
		return Invalid("token", "want a string")
	}
	p.user.Token = token
	return checkToken(token)
}

func (p *userParser) keep(key string, raw []byte) {
	p.doc = wire.AppendString(append(p.doc, ','), key)
	p.doc = append(append(p.doc, ':'), raw...)
}

// finish fills in defaults. A user without a name is named by its id, so that load tests need not
// invent names.
func (p *userParser) finish() {
	if !p.seen.name {
		p.user.Name = p.user.ID.String()
		p.keep("username", p.user.ID.AppendJSON(nil))
	}
	if !p.seen.discriminator {
		p.keep("discriminator", []byte(`"0"`))
	}
	if !p.seen.globalName {
		p.keep("global_name", []byte("null"))
	}
	if !p.seen.avatar {
		p.keep("avatar", []byte("null"))
	}
	if !p.seen.bot {
		p.keep("bot", []byte("false"))
	}
	p.user.Doc = append(p.doc, '}')
}
