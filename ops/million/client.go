//go:build linux

package million

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// refusal is the error of a command.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (r *refusal) Error() string { return r.Code + ": " + r.Message }

// client does commands over HTTP. It may be used from any goroutine.
type client struct {
	base string
	http *http.Client
}

func newClient(listen string) *client {
	return &client{
		base: "http://" + listen + "/v1/",
		http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
}

// token is a user's, or a back end's.
func token(user string, server bool) (string, error) {
	claims := jwt.MapClaims{"sub": user, "exp": time.Now().Add(time.Hour).Unix()}
	if server {
		claims["throng"] = map[string]any{"server": true}
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
}

// do does one command and decodes its answer into ok, unless that is nil. It
// returns a [*refusal] where the command was refused.
func (c *client) do(ctx context.Context, token, command string, object, ok any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+command, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // it was only read
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		refused := &struct {
			Error refusal `json:"error"`
		}{}
		if err := json.Unmarshal(data, refused); err != nil {
			return fmt.Errorf("%s: status %d: %q", command, answer.StatusCode, data)
		}
		return &refused.Error
	}
	if ok == nil {
		return nil
	}
	return json.Unmarshal(data, ok)
}

// times are how long something took, each time it was done.
type times []time.Duration

func (t times) String() string {
	if len(t) == 0 {
		return "never"
	}
	sorted := slices.Sorted(slices.Values(t))
	at := func(permille int) time.Duration { return sorted[min(len(sorted)-1, len(sorted)*permille/1000)] }
	return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms, the longest %.2f ms (%d)", ms(at(500)), ms(at(990)), ms(sorted[len(sorted)-1]), len(sorted))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
