package token_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/throng/throng/edge/token"
)

// jwkOf is a key as an issuer publishes it.
func jwkOf(t *testing.T, key any, id string) jwk.Key {
	t.Helper()
	k, err := jwk.Import(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]any{"kid": id, "use": "sig"} {
		if err := k.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func setOf(t *testing.T, keys ...jwk.Key) []byte {
	t.Helper()
	set := jwk.NewSet()
	for _, k := range keys {
		if err := set.AddKey(k); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func signWith(t *testing.T, method jwt.SigningMethod, key any, id string) string {
	t.Helper()
	unsigned := jwt.NewWithClaims(method, jwt.MapClaims{"sub": "alice", "exp": time.Now().Add(time.Hour).Unix()})
	if id != "" {
		unsigned.Header["kid"] = id
	}
	signed, err := unsigned.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

type issuer struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	ed  ed25519.PrivateKey
}

func newIssuer(t *testing.T) issuer {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, d, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{r, e, d}
}

func TestKeysVerifyOnlyWithTheirOwnAlgorithm(t *testing.T) {
	own, other := newIssuer(t), newIssuer(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	data := setOf(t, jwkOf(t, own.rsa.Public(), "r"), jwkOf(t, own.ec.Public(), "e"), jwkOf(t, own.ed.Public(), "d"),
		jwkOf(t, secret, "oct"))
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	v := token.New(token.Config{Keys: token.NewKeySet(file)})
	public, err := json.Marshal(own.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		token string
		want  error
	}{
		"RS256":                           {signWith(t, jwt.SigningMethodRS256, own.rsa, "r"), nil},
		"ES256":                           {signWith(t, jwt.SigningMethodES256, own.ec, "e"), nil},
		"EdDSA":                           {signWith(t, jwt.SigningMethodEdDSA, own.ed, "d"), nil},
		"without an id, the only one":     {signWith(t, jwt.SigningMethodES256, own.ec, ""), nil},
		"another's key under our id":      {signWith(t, jwt.SigningMethodRS256, other.rsa, "r"), token.ErrInvalid},
		"an unknown id":                   {signWith(t, jwt.SigningMethodRS256, own.rsa, "x"), token.ErrInvalid},
		"the id of a key of another type": {signWith(t, jwt.SigningMethodRS256, own.rsa, "e"), token.ErrInvalid},
		"another algorithm of the key":    {signWith(t, jwt.SigningMethodRS512, own.rsa, "r"), token.ErrInvalid},
		"PSS, which nobody allowed":       {signWith(t, jwt.SigningMethodPS256, own.rsa, "r"), token.ErrInvalid},
		"HS256 with the public key":       {signWith(t, jwt.SigningMethodHS256, public, "r"), token.ErrInvalid},
		"HS256 with a key of the set":     {signWith(t, jwt.SigningMethodHS256, secret, "oct"), token.ErrInvalid},
		"HS256 where there is no secret":  {signWith(t, jwt.SigningMethodHS256, secret, ""), token.ErrInvalid},
		"none":                            {signWith(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "r"), token.ErrInvalid},
	} {
		if _, err := v.Verify(t.Context(), test.token); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

func TestKeysAreFetchedOnceAndOutlastTheirIssuer(t *testing.T) {
	own := newIssuer(t)
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write(setOf(t, jwkOf(t, own.ec.Public(), "e")))
	}))
	keys := token.NewKeySet(server.URL)
	v := token.New(token.Config{Keys: keys})
	good := signWith(t, jwt.SigningMethodES256, own.ec, "e")
	for range 5 {
		if _, err := v.Verify(t.Context(), good); err != nil {
			t.Fatal(err)
		}
		// Unknown ids don't make us ask again and again.
		if _, err := v.Verify(t.Context(), signWith(t, jwt.SigningMethodES256, own.ec, "other")); !errors.Is(err, token.ErrInvalid) {
			t.Fatal(err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("the issuer was asked %d times, want once", asked.Load())
	}
	server.Close()
	if _, err := v.Verify(t.Context(), good); err != nil {
		t.Errorf("with the issuer away: %v", err)
	}
}

func TestWrongLocationsOfKeysAreSaid(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.json")
	if err := os.WriteFile(empty, []byte(`{"keys":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	lost := httptest.NewServer(http.NotFoundHandler())
	defer lost.Close()
	for _, location := range []string{filepath.Join(dir, "none.json"), empty, lost.URL} {
		if err := token.NewKeySet(location).Load(context.Background()); err == nil {
			t.Errorf("%s was accepted", location)
		}
	}
}
