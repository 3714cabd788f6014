package api

import (
	"context"
	"net/http"

	"throng/wire"
)

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

// parseUser takes a user object apart: whose it is, its token, which must not be stored or sent,
// and the rest. id is what the route says, or 0 when the object has to say it.
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
	u := UserInput{ID: max(id, given)}
	if u.Token, err = givenToken(doc); err != nil {
		return UserInput{}, err
	}
	u.Doc = wire.DropField(nil, doc, "token")
	return u, nil
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

// givenToken is the token in a user object, "" when there is none.
func givenToken(doc []byte) (string, error) {
	raw, ok := wire.Field(doc, "token")
	if !ok || wire.IsNull(raw) {
		return "", nil
	}
	token, ok := wire.DecodeString(raw)
	if !ok {
		return "", Invalid("token", "want a string")
	}
	return token, checkToken(token)
}
