package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

const (
	// fetchTimeout bounds a fetch, and with it the longest that a token waits.
	fetchTimeout = 5 * time.Second
	// fetchBytesMax is a hundred RSA keys with their certificate chains.
	fetchBytesMax = 1 << 20
	// redirectsMax is enough for an issuer that moved.
	redirectsMax = 3
	// refreshAfter is how old keys are when they are fetched again, while they go on being used.
	refreshAfter = 15 * time.Minute
	// refreshPause is the shortest time between two fetches while there are keys. Key ids come
	// from whoever sends a token, so an unknown one must not cost a request each.
	refreshPause = time.Minute
	// retryPause is the same while there are no keys, when every token is refused.
	retryPause = 5 * time.Second
	// staleMax is how long keys are used that can no longer be fetched. An issuer that has been
	// away for a day may as well have been told to revoke them.
	staleMax = 24 * time.Hour

	_ = uint64(refreshAfter - refreshPause)
	_ = uint64(staleMax - refreshAfter)
)

// keySet is the keys at an address. They are fetched by whoever comes when it is time, one at a
// time; everybody else goes on with those that are there.
type keySet struct {
	// Static after construction.
	address string
	client  *http.Client
	now     func() time.Time

	// Atomic: written by whoever fetches, read by all.
	current atomic.Pointer[fetchedKeys]

	// fetching holds a token while somebody fetches. Unlike a mutex it can be waited for within a
	// context, and it guards tried.
	fetching chan struct{}
	tried    time.Time
}

// fetchedKeys never changes.
type fetchedKeys struct {
	keys []namedKey
	at   time.Time
}

// newKeySet checks the address; it does not fetch. A nil client is one with the bounds above.
func newKeySet(address string, client *http.Client, now func() time.Time) (*keySet, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" {
		return nil, errors.New("the address of the key set is not an https:// URL")
	}
	if client == nil {
		client = &http.Client{}
	}
	client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if r.URL.Scheme != "https" || len(via) > redirectsMax {
			return errors.New("redirected away from https, or too often")
		}
		return nil
	}
	s := &keySet{address: address, client: client, now: now}
	s.fetching = make(chan struct{}, 1)
	return s, nil
}

func (s *keySet) algorithms() []string { return []string{"RS256", "ES256", "EdDSA"} }

func (s *keySet) warm(ctx context.Context) error {
	_, err := s.fetchFirst(ctx)
	return err
}

func (s *keySet) find(ctx context.Context, algorithm, id string) (any, error) {
	fetched := s.usable()
	if fetched == nil {
		var err error
		if fetched, err = s.fetchFirst(ctx); err != nil {
			return nil, err
		}
	}
	key, known := fetched.find(algorithm, id)
	if known && s.now().Sub(fetched.at) < refreshAfter {
		return key, nil
	}
	refreshed, busy := s.refresh(ctx)
	if refreshed != nil {
		key, known = refreshed.find(algorithm, id)
	}
	switch {
	case known:
		return key, nil
	case busy:
		return nil, fmt.Errorf("%w: the issuer's keys are being fetched", ErrUnavailable)
	}
	return nil, fmt.Errorf("the issuer has no %s key %q", algorithm, id)
}

// usable is the keys at hand unless they are too old to be trusted.
func (s *keySet) usable() *fetchedKeys {
	fetched := s.current.Load()
	if fetched == nil || s.now().Sub(fetched.at) > staleMax {
		return nil
	}
	return fetched
}

// find looks for a key. A token without a key id is signed with the only one, or it is not known
// which.
func (f *fetchedKeys) find(algorithm, id string) (any, bool) {
	if id == "" {
		only := f.keys[0]
		return only.key, len(f.keys) == 1 && only.algorithm == algorithm
	}
	for _, k := range f.keys {
		if k.id == id && k.algorithm == algorithm {
			return k.key, true
		}
	}
	return nil, false
}

// fetchFirst waits for keys when there are none.
func (s *keySet) fetchFirst(ctx context.Context) (*fetchedKeys, error) {
	select {
	case s.fetching <- struct{}{}:
		defer func() { <-s.fetching }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
	if fetched := s.usable(); fetched != nil {
		return fetched, nil
	}
	if !s.tried.IsZero() && s.now().Sub(s.tried) < retryPause {
		return nil, fmt.Errorf("%w: the issuer's keys could not be fetched", ErrUnavailable)
	}
	return s.fetch(ctx)
}

// refresh fetches again, unless that was tried lately. It is nil when there is nothing newer than
// before; busy says that this is because somebody else is fetching.
func (s *keySet) refresh(ctx context.Context) (fetched *fetchedKeys, busy bool) {
	select {
	case s.fetching <- struct{}{}:
		defer func() { <-s.fetching }()
	default:
		return nil, true
	}
	if s.now().Sub(s.tried) < refreshPause {
		return s.current.Load(), false // Perhaps fetched since the caller looked.
	}
	fetched, err := s.fetch(ctx)
	if err != nil {
		return nil, false
	}
	return fetched, false
}

// fetch asks the issuer. The caller's own deadline does not count, since others profit as well: a
// client that hangs up must not be able to keep the keys from being renewed.
//
// REQUIRES: s.fetching is held.
func (s *keySet) fetch(ctx context.Context) (*fetchedKeys, error) {
	s.tried = s.now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	text, err := s.get(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: fetch key set: %w", ErrUnavailable, err)
	}
	keys, err := parseKeySet(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	fetched := &fetchedKeys{keys: keys, at: s.tried}
	s.current.Store(fetched)
	return fetched, nil
}

func (s *keySet) get(ctx context.Context) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.address, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	response, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the issuer answered %s", response.Status)
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, fetchBytesMax+1))
	if err != nil {
		return nil, err
	}
	if len(text) > fetchBytesMax {
		return nil, fmt.Errorf("the key set is larger than %d bytes", fetchBytesMax)
	}
	return text, nil
}
