package token

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/sync/singleflight"

	"github.com/throng/throng/streams"
)

// MaxSize is the longest token that is looked at, in bytes.
const MaxSize = 8 << 10

var (
	// ErrInvalid: the token proves nothing.
	ErrInvalid = errors.New("the token is not accepted")
	// ErrExpired: the token was good and is not any more.
	ErrExpired = errors.New("the token has expired")
)

// Identity is who the bearer of a token is.
type Identity struct {
	User    streams.User
	Server  bool      // a back end, which may act for users
	Expires time.Time // zero: never
}

// Config says which tokens are accepted.
type Config struct {
	// Secret verifies HS256; empty: no such token is accepted.
	Secret []byte
	// Keys verify RS256, ES256 and EdDSA; nil: no such token is accepted.
	Keys *KeySet
	// DevMode tells whether dev:<user> is a token. It is asked at most once a
	// second; nil means never.
	DevMode func(context.Context) (bool, error)
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Verifier verifies tokens. It may be used from any goroutine.
type Verifier struct {
	config Config
	parser *jwt.Parser

	flight singleflight.Group // of questions about development mode

	mu    sync.Mutex
	dev   bool      // guarded by mu
	known bool      // dev was read once; guarded by mu
	asked time.Time // when dev was asked for, if it is known; guarded by mu
}

// New returns a verifier; it touches no network.
func New(config Config) *Verifier {
	if config.Now == nil {
		config.Now = time.Now
	}
	methods := []string{jwt.SigningMethodHS256.Alg()}
	if config.Keys != nil {
		methods = append(methods, jwt.SigningMethodRS256.Alg(), jwt.SigningMethodES256.Alg(), jwt.SigningMethodEdDSA.Alg())
	}
	return &Verifier{config: config, parser: jwt.NewParser(
		jwt.WithValidMethods(methods),
		jwt.WithExpirationRequired(),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(config.Now),
	)}
}

// Dev reports whether development mode is on. What was last known stands while
// it cannot be read; as long as nothing is known, everybody waits for the first
// answer.
func (v *Verifier) Dev(ctx context.Context) bool {
	if v.config.DevMode == nil {
		return false
	}
	v.mu.Lock()
	dev, known, now := v.dev, v.known, v.config.Now()
	fresh := known && now.Sub(v.asked) < time.Second
	if known && !fresh {
		v.asked = now // by this caller; others go by what is known
	}
	v.mu.Unlock()
	if fresh {
		return dev
	}
	// One question for all who wait, which none of them can cut short.
	on, err, _ := v.flight.Do("", func() (any, error) { return v.config.DevMode(context.WithoutCancel(ctx)) })
	if err != nil {
		return dev
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.known {
		v.known, v.asked = true, now
	}
	v.dev = on.(bool)
	return v.dev
}

type claims struct {
	jwt.RegisteredClaims
	Throng struct {
		Server bool `json:"server"`
	} `json:"throng"`
}

// Verify returns who a token names. The error is [ErrInvalid] or [ErrExpired].
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	if len(token) > MaxSize {
		return Identity{}, ErrInvalid
	}
	if name, ok := strings.CutPrefix(token, "dev:"); ok {
		if !v.Dev(ctx) {
			return Identity{}, ErrInvalid
		}
		return identity(name, false, time.Time{})
	}
	var c claims
	if _, err := v.parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) { return v.key(ctx, t) }); err != nil {
		if errors.Is(err, jwt.ErrTokenExpired) {
			return Identity{}, ErrExpired
		}
		return Identity{}, ErrInvalid
	}
	return identity(c.Subject, c.Throng.Server, c.ExpiresAt.Time)
}

// key returns what verifies a token whose algorithm was found to be allowed:
// the secret for HS256, else the key the token names, if it is one of that
// algorithm.
func (v *Verifier) key(ctx context.Context, t *jwt.Token) (any, error) {
	if _, critical := t.Header["crit"]; critical { // extensions we would have to understand
		return nil, ErrInvalid
	}
	if _, hmac := t.Method.(*jwt.SigningMethodHMAC); hmac {
		if len(v.config.Secret) == 0 {
			return nil, ErrInvalid
		}
		return v.config.Secret, nil
	}
	if v.config.Keys == nil {
		return nil, ErrInvalid
	}
	id, _ := t.Header["kid"].(string)
	return v.config.Keys.find(ctx, id, t.Method.Alg())
}

func identity(name string, server bool, expires time.Time) (Identity, error) {
	user, err := streams.ParseUser(name)
	if err != nil || name[0] == '@' {
		return Identity{}, ErrInvalid
	}
	return Identity{User: user, Server: server, Expires: expires}, nil
}
