package main

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// operator signs the accounts of a nats-server of which clients show a credentials file, as a
// service that is run for many does. All its keys follow from one secret, kept beside the streams:
// these belong to the account's key, so that must be the same when the server is started again.
type operator struct {
	secret []byte
	key    nkeys.KeyPair
}

// trust has the server let in whoever has the credentials that it writes to file.
func trust(o *server.Options, file string) error {
	if o.StoreDir == "" {
		return errors.New("-credentials: needs -data")
	}
	op, err := readOperator(filepath.Join(o.StoreDir, "operator"))
	if err != nil {
		return err
	}
	self, err := op.key.PublicKey()
	if err != nil {
		return err
	}
	claims := jwt.NewOperatorClaims(self)
	claims.Issuer = self
	accounts := &server.MemAccResolver{}
	o.TrustedOperators, o.AccountResolver = []*jwt.OperatorClaims{claims}, accounts
	if o.SystemAccount, _, err = op.account(accounts, "system", false); err != nil {
		return err
	}
	claims.SystemAccount = o.SystemAccount
	_, account, err := op.account(accounts, "account", true)
	if err != nil {
		return err
	}
	return op.letIn(account, file)
}

func readOperator(file string) (op operator, err error) {
	op.secret, err = os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		op.secret = make([]byte, sha256.Size)
		_, _ = rand.Read(op.secret)
		err = os.WriteFile(file, op.secret, 0o600)
	}
	if err == nil {
		op.key, err = op.derive(nkeys.PrefixByteOperator, "operator")
	}
	return op, err
}

func (op *operator) derive(prefix nkeys.PrefixByte, name string) (nkeys.KeyPair, error) {
	seed := sha256.Sum256(append([]byte(name), op.secret...))
	encoded, err := nkeys.EncodeSeed(prefix, seed[:])
	if err != nil {
		return nil, err
	}
	return nkeys.FromSeed(encoded)
}

// account makes an account known to the server, and returns its name.
func (op *operator) account(to *server.MemAccResolver, name string, streams bool) (string,
	nkeys.KeyPair, error) {
	key, err := op.derive(nkeys.PrefixByteAccount, name)
	if err != nil {
		return "", nil, err
	}
	id, err := key.PublicKey()
	if err != nil {
		return "", nil, err
	}
	claims := jwt.NewAccountClaims(id)
	if claims.Name = name; streams {
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{
			MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit,
			Consumer: jwt.NoLimit,
		}
	}
	text, err := claims.Encode(op.key)
	if err != nil {
		return "", nil, err
	}
	return id, key, to.Store(id, text)
}

// letIn writes the credentials of a user of an account.
func (op *operator) letIn(account nkeys.KeyPair, file string) error {
	key, err := op.derive(nkeys.PrefixByteUser, "user")
	if err != nil {
		return err
	}
	id, err := key.PublicKey()
	if err != nil {
		return err
	}
	text, err := jwt.NewUserClaims(id).Encode(account)
	if err != nil {
		return err
	}
	seed, err := key.Seed()
	if err != nil {
		return err
	}
	credentials, err := jwt.FormatUserConfig(text, seed)
	if err != nil {
		return err
	}
	return os.WriteFile(file, credentials, 0o600)
}
