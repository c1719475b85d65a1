package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

const (
	// keysFresh is how long a set is used before it is read again.
	keysFresh = 10 * time.Minute
	// keysPause is the least time between two reads, however many unknown
	// keys are asked for: an attacker must not make us hammer the issuer.
	keysPause = 10 * time.Second
	// keysWithin bounds one read, maxKeysBytes its size.
	keysWithin   = 3 * time.Second
	maxKeysBytes = 1 << 20
)

// KeySet is the public keys of an issuer, a JWKS (RFC 7517) at a URL or in a
// file. It may be used from any goroutine. While it can't be read, the keys
// that are known go on to count; unknown ones are refused.
type KeySet struct {
	// Static after NewKeySet.
	location string
	client   *http.Client
	now      func() time.Time

	mu   sync.Mutex // held over a read: who needs the keys waits for them
	keys []publicKey
	read time.Time // last attempt
	err  error     // of the last attempt
}

type publicKey struct {
	id, algorithm string
	key           crypto.PublicKey
}

// NewKeySet returns the keys at an http(s) URL or in a file. It reads nothing.
func NewKeySet(location string) *KeySet {
	return &KeySet{location: location, client: &http.Client{Timeout: keysWithin}, now: time.Now}
}

// Load reads the set now, so that a wrong location is noticed at the start.
func (s *KeySet) Load(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh(ctx)
	return s.err
}

// find returns the key a token names, for an algorithm. Without an id the only
// key of that algorithm is meant.
func (s *KeySet) find(ctx context.Context, id, algorithm string) (crypto.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := s.look(id, algorithm)
	since := s.now().Sub(s.read)
	if key == nil && since >= keysPause || since >= keysFresh {
		s.refresh(ctx)
		key = s.look(id, algorithm)
	}
	if key == nil {
		return nil, ErrInvalid
	}
	return key, nil
}

// look searches what is known; mu is held.
func (s *KeySet) look(id, algorithm string) (found crypto.PublicKey) {
	for _, k := range s.keys {
		if k.algorithm != algorithm || id != "" && k.id != id {
			continue
		}
		if found != nil {
			return nil // several: which one is not said
		}
		found = k.key
	}
	return found
}

// refresh reads the set; mu is held.
func (s *KeySet) refresh(ctx context.Context) {
	s.read = s.now()
	data, err := s.fetch(ctx)
	if err == nil {
		var keys []publicKey
		if keys, err = parseKeys(data); err == nil {
			s.keys = keys
		}
	}
	s.err = err
}

func (s *KeySet) fetch(ctx context.Context) ([]byte, error) {
	if !strings.HasPrefix(s.location, "http://") && !strings.HasPrefix(s.location, "https://") {
		return os.ReadFile(s.location)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysWithin) // others wait for it, too
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.location, nil)
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("keys at %s: %s", s.location, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, maxKeysBytes))
}

// parseKeys takes the keys that can verify, each for the one algorithm of its
// type, so that no token chooses another for it (RFC 8725, section 3.1). RSA
// keys of less than 2,048 bits make the set unreadable.
func parseKeys(data []byte) ([]publicKey, error) {
	set, err := jwk.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	var keys []publicKey
	for i := range set.Len() {
		k, _ := set.Key(i)
		if use, ok := k.KeyUsage(); ok && use != "sig" {
			continue
		}
		public, err := k.PublicKey()
		if err != nil {
			continue // a symmetric key, which has no business here
		}
		var raw any
		if err := jwk.Export(public, &raw); err != nil {
			return nil, fmt.Errorf("read key %d: %w", i, err)
		}
		algorithm := algorithmOf(raw)
		if stated, ok := k.Algorithm(); algorithm == "" || ok && stated.String() != algorithm {
			continue
		}
		id, _ := k.KeyID()
		keys = append(keys, publicKey{id: id, algorithm: algorithm, key: raw})
	}
	if len(keys) == 0 {
		return nil, errors.New("read keys: none for RS256, ES256 or EdDSA")
	}
	return keys, nil
}

func algorithmOf(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return "RS256"
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return "ES256"
		}
	case ed25519.PublicKey:
		return "EdDSA"
	}
	return ""
}
