package api

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"net/http"

	"throng/wire"
)

// tokenBytesMax is far above Discord's 72 and room for a JWT-like token of a backend's own.
const tokenBytesMax = 1024

// MintedToken makes a token of the shape that client libraries expect: the id in base64, since
// one of them reads the application's id from it, and two parts of random characters. Together
// they carry 264 bits, and no part of it but the id can be guessed.
func MintedToken(id wire.Snowflake) string {
	var random [33]byte
	_, _ = rand.Read(random[:]) // It never fails: the runtime ends the process instead.
	secret := base64.RawURLEncoding.EncodeToString(random[:])
	user := base64.RawURLEncoding.EncodeToString(id.Append(nil))
	return user + "." + secret[:6] + "." + secret[6:]
}

// checkToken refuses what could not be sent back in an Authorization header or an Identify.
func checkToken(token string) error {
	if token == "" || len(token) > tokenBytesMax {
		return Invalid("token", "want a string of 1 to %d characters", tokenBytesMax)
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return Invalid("token", "want printable ASCII without blanks or a \"Bot \" prefix")
		}
	}
	return nil
}

// postToken serves POST /v1/users/{id}/tokens: with a token in the body it registers that one.
func (d *adminDoor) postToken(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	body, err := readBody(w, r, d.limits.Line)
	if err != nil {
		return err
	}
	token, err := d.givenToken(bytes.TrimSpace(body))
	if err != nil {
		return err
	}
	if token == "" {
		token = MintedToken(id)
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	if err := d.node.PutToken(ctx, id, token); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		Token string `json:"token"`
	}{token})
}

// givenToken is the token in a body, or "" where one has to be minted.
func (d *adminDoor) givenToken(body []byte) (string, error) {
	if len(body) == 0 {
		return "", nil
	}
	if err := checkObject(body, d.limits.Depth); err != nil {
		return "", err
	}
	raw, ok := wire.Field(body, "token")
	if !ok || wire.IsNull(raw) {
		return "", nil
	}
	token, ok := wire.DecodeString(raw)
	if !ok {
		return "", Invalid("token", "want a string")
	}
	return token, checkToken(token)
}

// deleteTokens serves DELETE /v1/users/{id}/tokens.
func (d *adminDoor) deleteTokens(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, "id")
	if err != nil {
		return err
	}
	ctx, cancel := d.ask(r)
	defer cancel()
	if err := d.node.RevokeTokens(ctx, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
