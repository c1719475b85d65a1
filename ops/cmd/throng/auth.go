package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/throng/throng/edge/token"
	"github.com/throng/throng/streams/topology"
)

// authFlags say whose tokens are accepted.
type authFlags struct {
	JWTSecret secret `name:"jwt-secret" help:"Secret of HS256 tokens; 32 bytes or more, a shorter one can be guessed." placeholder:"SECRET"`
	JWKS      string `name:"jwks" help:"Public keys of RS256, ES256 or EdDSA tokens: a JWKS at this URL or in this file." placeholder:"URL|FILE"`
}

// given reports whether any token but a development one is accepted.
func (a authFlags) given() bool { return a.JWTSecret != "" || a.JWKS != "" }

// credentials is what tokens are verified with.
type credentials struct {
	secret string
	keys   *token.KeySet // nil for none
}

// minSecret is the least length of an HS256 key (RFC 7518, section 3.2), in
// bytes.
const minSecret = 32

// credentials reads what the flags name, or what a development deployment has
// where they name nothing.
func (a authFlags) credentials(ctx context.Context, l *link, logger *slog.Logger) (credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, setupWithin)
	defer cancel()
	if !a.given() {
		secret, err := developmentSecret(ctx, l)
		return credentials{secret: secret}, err
	}
	c := credentials{secret: string(a.JWTSecret)}
	if c.secret != "" && len(c.secret) < minSecret {
		logger.Warn("the secret of the tokens is short: it can be guessed", "bytes", len(c.secret), "least", minSecret)
	}
	if a.JWKS != "" {
		c.keys = token.NewKeySet(a.JWKS)
		if err := c.keys.Load(ctx); err != nil {
			return credentials{}, fmt.Errorf("%w: --jwks: %w", errUsage, err)
		}
	}
	return c, nil
}

// inDevelopment reports whether a `throng dev` stands behind this NATS.
func inDevelopment(ctx context.Context, l *link) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, setupWithin)
	defer cancel()
	return topology.DevMode(ctx, l.js)
}

// developmentSecret is what signs tokens where nobody configured anything.
func developmentSecret(ctx context.Context, l *link) (string, error) {
	dev, err := inDevelopment(ctx, l)
	if err != nil {
		return "", err
	}
	if !dev {
		return "", fmt.Errorf("%w: --jwt-secret or --jwks is needed: this deployment is not in development mode", errUsage)
	}
	return topology.DevSecret(ctx, l.js)
}
