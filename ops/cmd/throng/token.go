package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/topology"
)

type tokenCommand struct {
	User      streams.User `help:"Whose token." required:"" placeholder:"USER"`
	Server    bool         `help:"Make it a server token: it may act as any user and skips membership."`
	TTL       lifetime     `name:"ttl" help:"How long it is good for." default:"24h" placeholder:"DURATION"`
	JWTSecret secret       `name:"jwt-secret" help:"The HS256 secret the edges have. Without it, that of the development deployment at --nats." placeholder:"SECRET"`
	NATS      natsURL      `name:"nats" help:"NATS of the development deployment." default:"nats://127.0.0.1:4222" placeholder:"URL"`
}

func (c *tokenCommand) Run(ctx context.Context, p *program) error {
	secret := string(c.JWTSecret)
	if secret == "" {
		var err error
		if secret, err = c.devSecret(ctx, p); err != nil {
			return err
		}
	}
	token, err := makeToken(secret, c.User, c.Server, time.Duration(c.TTL))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, token)
	return err
}

func (c *tokenCommand) devSecret(ctx context.Context, p *program) (string, error) {
	conn, js, err := connect(c.NATS, "token", p.logger)
	if err != nil {
		return "", errors.Join(err, errors.New("give --jwt-secret to need no NATS"))
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, setupWithin)
	defer cancel()
	dev, err := topology.DevMode(ctx, js)
	if err != nil {
		return "", err
	}
	if !dev {
		return "", fmt.Errorf("%w: --jwt-secret is needed: the deployment at %s is not in development mode", errUsage, c.NATS)
	}
	return topology.DevSecret(ctx, js)
}

// makeToken signs a token with HS256.
func makeToken(secret string, user streams.User, server bool, ttl time.Duration) (string, error) {
	now := time.Now()
	claims := jwt.MapClaims{"sub": string(user), "iat": now.Unix(), "exp": now.Add(ttl).Unix()}
	if server {
		claims["throng"] = map[string]any{"server": true}
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}
