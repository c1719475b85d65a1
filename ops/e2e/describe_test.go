//go:build linux

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/throng/throng/edge/describe/describetest"
)

// What a server answers to every command over HTTP is what its own OpenAPI
// document says.
func TestAnswersAreAsTheServerDescribesThem(t *testing.T) {
	s := startServer(t)
	c := describetest.Load(t, s.listen)
	refused := []string{"not_member", "not_found", "bad_request", "conflict", "muted"} // in this order
	done := map[string]bool{}
	invite := ""
	for _, step := range describetest.Prepare() {
		status, answer := post(t, s.listen, "dev:"+step.User, step.Command, strings.ReplaceAll(step.Object, "$invite", invite))
		if err := c.Answer(step.Command, status, []byte(encode(t, answer))); err != nil {
			t.Errorf("%s %s: %v", step.Command, step.Object, err)
		}
		if step.Command == "invite" {
			invite = answer.text("invite")
		}
		if status == http.StatusOK {
			done[step.Command] = true
			continue
		}
		if len(refused) == 0 || answer.code() != refused[0] {
			t.Fatalf("%s: %s %s: %v", step.User, step.Command, step.Object, answer)
		}
		refused = refused[1:]
	}
	if len(refused) > 0 {
		t.Errorf("nothing was refused with %v", refused)
	}
	for path := range c.Document(describetest.OpenAPI)["paths"].(map[string]any) {
		command := strings.TrimPrefix(path, "/v1/")
		isCommand := !slices.Contains([]string{"/healthz", "/readyz", "/metrics", "openapi.json", "asyncapi.json"}, command)
		if isCommand && !done[command] {
			t.Errorf("%s was never answered", command)
		}
	}
}
