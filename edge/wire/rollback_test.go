package wire_test

import (
	"slices"
	"testing"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

func TestRollbacksAreRead(t *testing.T) {
	c, err := wire.Parse(wire.Rollback, []byte(`{"group":"g","users":["b","a","b"],"since_seq":7,"until":9,"reason":"raid"}`))
	if err != nil {
		t.Fatal(err)
	}
	u := c.Undo
	if !slices.Equal(u.Users, []streams.User{"a", "b"}) || u.SinceSeq.Value != 7 || u.Since.Given || !u.Ban || u.Until != 9 || u.Reason != "raid" || c.Write != nil {
		t.Errorf("got %+v", u)
	}
	if c, err = wire.Parse(wire.Rollback, []byte(`{"group":"g","users":["a"],"since":1794000000000,"ban":false}`)); err != nil || c.Undo.Ban || !c.Undo.Since.Given {
		t.Errorf("got %+v, %v", c.Undo, err)
	}
	for _, refused := range []string{
		`{"users":["a"],"since_seq":1}`,
		`{"group":"g","since_seq":1}`,
		`{"group":"g","since_seq":1,"users":[]}`,
		`{"group":"g","since_seq":1,"users":["a b"]}`,
		`{"group":"g","since_seq":1,"users":"a"}`,
		`{"group":"g","users":["a"]}`,
		`{"group":"g","users":["a"],"since_seq":1,"since":1}`,
		`{"group":"g","users":["a"],"since_seq":-1}`,
		`{"group":"g","users":["a"],"since_seq":9007199254740992}`,
		`{"group":"g","users":["a"],"since_seq":1,"ban":"no"}`,
		`{"group":"g","users":["a"],"since_seq":1,"ban":false,"until":9}`,
		`{"group":"g","users":["a"],"since_seq":1,"client_id":"x"}`,
	} {
		if _, err := wire.Parse(wire.Rollback, []byte(refused)); err == nil || streams.AsRejection(err).Code != streams.BadRequest {
			t.Errorf("%s: %v", refused, err)
		}
	}
	for want, more := range map[string]bool{
		`{"recalled":3,"banned":2,"through":9}`:             false,
		`{"recalled":3,"banned":2,"through":9,"more":true}`: true,
	} {
		if got := wire.AppendRolledBack(nil, 3, 2, 9, more); string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
