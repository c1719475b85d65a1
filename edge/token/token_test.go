package token_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/throng/throng/edge/token"
)

var (
	secret = []byte("a secret of at least thirty-two bytes")
	now    = time.Unix(1_794_000_000, 0)
)

func sign(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	s, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhichTokensAreAccepted(t *testing.T) {
	later, earlier := now.Add(time.Hour).Unix(), now.Add(-time.Second).Unix()
	good := jwt.MapClaims{"sub": "alice", "exp": later}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	crit := jwt.NewWithClaims(jwt.SigningMethodHS256, good)
	crit.Header["crit"] = []string{"x"}
	critical, err := crit.SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	plain := sign(t, jwt.SigningMethodHS256, secret, good)
	parts := strings.Split(plain, ".")
	other := base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"mallory","exp":9999999999}`))
	hs := func(claims jwt.MapClaims) string { return sign(t, jwt.SigningMethodHS256, secret, claims) }
	tests := []struct {
		name, token string
		want        error
	}{
		{"a good one", plain, nil},
		{"expired", hs(jwt.MapClaims{"sub": "alice", "exp": earlier}), token.ErrExpired},
		{"without exp", hs(jwt.MapClaims{"sub": "alice"}), token.ErrInvalid},
		{"exp no number", hs(jwt.MapClaims{"sub": "alice", "exp": "soon"}), token.ErrInvalid},
		{"not before later", hs(jwt.MapClaims{"sub": "alice", "exp": later, "nbf": later}), token.ErrInvalid},
		{"without sub", hs(jwt.MapClaims{"exp": later}), token.ErrInvalid},
		{"sub outside the alphabet", hs(jwt.MapClaims{"sub": "a.b", "exp": later}), token.ErrInvalid},
		{"sub of the server's own", hs(jwt.MapClaims{"sub": "@server", "exp": later}), token.ErrInvalid},
		{"another secret", sign(t, jwt.SigningMethodHS256, []byte("another"), good), token.ErrInvalid},
		{"expired and another secret", sign(t, jwt.SigningMethodHS256, []byte("another"), jwt.MapClaims{"sub": "a", "exp": earlier}), token.ErrInvalid},
		{"alg none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, good), token.ErrInvalid},
		{"alg HS512", sign(t, jwt.SigningMethodHS512, secret, good), token.ErrInvalid},
		{"alg RS256", sign(t, jwt.SigningMethodRS256, rsaKey, good), token.ErrInvalid},
		{"a critical header", critical, token.ErrInvalid},
		{"claims changed", parts[0] + "." + other + "." + parts[2], token.ErrInvalid},
		{"signature gone", parts[0] + "." + parts[1] + ".", token.ErrInvalid},
		{"too long", hs(jwt.MapClaims{"sub": "alice", "exp": later, "x": strings.Repeat("x", token.MaxSize)}), token.ErrInvalid},
		{"empty", "", token.ErrInvalid},
		{"garbage", "a.b.c", token.ErrInvalid},
		{"dev where it is off", "dev:alice", token.ErrInvalid},
	}
	v := token.New(token.Config{Secret: secret, Now: func() time.Time { return now }})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			who, err := v.Verify(t.Context(), test.token)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if err == nil && (who.User != "alice" || who.Server || who.Expires.Unix() != later) {
				t.Errorf("got %+v", who)
			}
		})
	}
	server := hs(jwt.MapClaims{"sub": "backend", "exp": later, "throng": map[string]any{"server": true}})
	if who, err := v.Verify(t.Context(), server); err != nil || !who.Server {
		t.Errorf("server token: %+v, %v", who, err)
	}
	none := token.New(token.Config{Now: func() time.Time { return now }})
	if _, err := none.Verify(t.Context(), sign(t, jwt.SigningMethodHS256, []byte{}, good)); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("without a secret: %v", err)
	}
}

func TestDevModeIsReadAgainAfterASecond(t *testing.T) {
	clock, on, asked := now, true, 0
	v := token.New(token.Config{
		Now:     func() time.Time { return clock },
		DevMode: func(context.Context) (bool, error) { asked++; return on, nil },
	})
	accepted := func(token string) bool {
		_, err := v.Verify(t.Context(), token)
		return err == nil
	}
	if !accepted("dev:alice") || accepted("dev:@x") || accepted("dev:") || accepted("dev:a b") || asked != 1 {
		t.Errorf("on: asked %d times", asked)
	}
	on = false
	if !accepted("dev:alice") || asked != 1 {
		t.Errorf("asked again within a second")
	}
	clock = clock.Add(time.Second)
	if accepted("dev:alice") || asked != 2 {
		t.Errorf("still on after a second, asked %d times", asked)
	}
}

// It proves that nobody is refused because another asked first: all wait for the
// first answer, and there is one question for them.
func TestTheFirstOfManyWaitForDevMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, answer := 0, make(chan struct{})
		v := token.New(token.Config{DevMode: func(context.Context) (bool, error) {
			asked++
			<-answer
			return true, nil
		}})
		results := make(chan error, 2)
		for range cap(results) {
			go func() {
				_, err := v.Verify(t.Context(), "dev:alice")
				results <- err
			}()
			synctest.Wait() // it waits, or was refused
		}
		close(answer)
		for range cap(results) {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times, want once", asked)
		}
	})
}
