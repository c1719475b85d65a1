package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
)

// masses is a community too large for its owner to list.
type masses struct {
	*server
	t       *testing.T
	backend string // its token
}

const (
	massAdds    = 3
	massMembers = massAdds*streams.MaxAdded + 1 // with alice
)

// page asks for members as alice.
func (c masses) page(arguments object) object {
	c.t.Helper()
	all := object{"group": "g"}
	for key, value := range arguments {
		if value != "" { // the first page is behind nobody
			all[key] = value
		}
	}
	return must(c.t, c.listen, "dev:alice", "members", all)
}

func listed(page object) (users []string) {
	members, _ := page["members"].([]any)
	for _, m := range members {
		users = append(users, m.(map[string]any)["user"].(string))
	}
	return users
}

// shows polls until a page lists exactly these users.
func (c masses) shows(what string, arguments object, want ...string) {
	c.t.Helper()
	var got []string
	defer func() {
		if c.t.Failed() {
			c.t.Logf("%s: %v", what, got)
		}
	}()
	streamtest.Eventually(c.t, patience, what, func() bool {
		got = listed(c.page(arguments))
		return fmt.Sprint(got) == fmt.Sprint(want)
	})
}

// everybody pages through all members and checks order and counts.
func (c masses) everybody(when string, want int) {
	c.t.Helper()
	seen, after := 0, ""
	for {
		page := c.page(object{"after": after, "limit": 400})
		if page.number("count") != uint64(want) {
			c.t.Errorf("%s: count is %d, want %d", when, page.number("count"), want)
		}
		for _, user := range listed(page) {
			if user <= after {
				c.t.Fatalf("%s: %s is listed behind %s", when, user, after)
			}
			after = user
			seen++
		}
		if page.text("after") == "" {
			break
		}
	}
	if seen != want {
		c.t.Errorf("%s: %d are listed, want %d", when, seen, want)
	}
}

// It proves that a back end adds members by the hundred, that who subscribes to
// @members sees each join and others none, and that ClickHouse lists a community
// its owner does not: in pages, by role, and with who is online.
func TestALargeCommunityIsListed(t *testing.T) {
	s := startServer(t)
	c := masses{server: s, t: t, backend: s.serverToken(t)}
	newGroup(t, s.listen, "g", "c", "alice")
	alice := connect(t, s.listen, "dev:alice")
	alice.mustSubscribe(t, "g", "c", nil)
	watcher := connect(t, s.listen, "dev:alice")
	watcher.mustSubscribe(t, "g", "@members", nil)
	for i := range massAdds {
		users := make([]string, streams.MaxAdded)
		for j := range users {
			users[j] = fmt.Sprintf("m%04d", i*streams.MaxAdded+j)
		}
		many := encode(t, object{"group": "g", "do": "add", "users": users})
		if status, answer := post(t, s.listen, "dev:alice", "member", many); status != http.StatusForbidden {
			t.Errorf("without a server token: %d %v", status, answer)
		}
		if status, answer := post(t, s.listen, c.backend, "member", many); status != http.StatusOK || answer.number("v") != uint64(2+i)*streams.MaxAdded-streams.MaxAdded+1 {
			t.Fatalf("%d users: %d %v", len(users), status, answer)
		}
		if status, answer := post(t, s.listen, c.backend, "member", many); status != http.StatusOK || answer["already"] != true {
			t.Errorf("once more: %d %v", status, answer)
		}
	}
	watcher.await(t, "g", "@members", massMembers)
	joins := watcher.complete(t, "g", "@members")
	for i, e := range joins {
		if e.Kind != "join" || e.Member != fmt.Sprintf("m%04d", i) {
			t.Fatalf("v %d is a %s of %q", e.V, e.Kind, e.Member)
		}
	}
	alice.must(t, "send", object{"group": "g", "channel": "c", "body": "welcome"})
	alice.await(t, "g", "c", 1)
	if f := alice.delivered("g", "@members"); len(f.events) > 0 {
		t.Errorf("who did not subscribe to @members was told of %d joins", len(f.events))
	}
	must(t, s.listen, "dev:alice", "member", object{"group": "g", "user": "m0007", "do": "role", "role": "moderator"})
	must(t, s.listen, "dev:alice", "member", object{"group": "g", "user": "m1400", "do": "role", "role": "moderator"})
	c.shows("the moderators", object{"role": "moderator"}, "m0007", "m1400")
	c.everybody("all of them", massMembers)
	roles, _ := c.page(object{"limit": 1})["roles"].(map[string]any)
	if fmt.Sprint(roles) != fmt.Sprint(map[string]any{"owner": 1, "admin": 0, "moderator": 2, "member": massMembers - 3}) {
		t.Errorf("roles are %v", roles)
	}
	m3 := connect(t, s.listen, "dev:m0003")
	m3.mustSubscribe(t, "g", "c", nil)
	c.shows("who of the first four is online", object{"online": true, "limit": 5}, "alice", "m0003")
	must(t, s.listen, "dev:m0007", "member", object{"group": "g", "user": "m0001", "do": "kick"})
	streamtest.Eventually(t, patience, "who was kicked is listed no more", func() bool {
		return !slices.Contains(listed(c.page(object{"limit": 5})), "m0001") // the page may be short
	})
	c.everybody("one was kicked", massMembers-1)
	for _, client := range []*client{alice, watcher, m3} {
		client.close()
	}
	s.restart()
	s.awaitReady()
	c.everybody("after a restart", massMembers-1)
}
