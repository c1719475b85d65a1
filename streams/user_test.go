package streams_test

import (
	"testing"

	"github.com/throng/throng/streams"
)

func TestSubjectsOfWhatIsHidden(t *testing.T) {
	for _, user := range []streams.User{"bob", "hide", "@server"} {
		subject := streams.HiddenSubject(3, user, "hide", "@members")
		u, g, c, ok := streams.ParseHidden(subject)
		if !ok || u != user || g != "hide" || c != "@members" {
			t.Errorf("ParseHidden(%q) = %s %s %s %v", subject, u, g, c, ok)
		}
	}
	for _, subject := range []string{
		"", "throng.user.1.bob.hide.g", "throng.user.1.bob.hide.g.c.d", "throng.user.x.bob.hide.g.c", "throng.user.1.bob.group.g.c",
		"throng.user.1.*.hide.g.c", streams.StateChannel(1, "g", "c"),
	} {
		if u, g, c, ok := streams.ParseHidden(subject); ok {
			t.Errorf("ParseHidden(%q) = %s %s %s", subject, u, g, c)
		}
	}
	subject := streams.HideSubject(2, "g", "c")
	if g, c, ok := streams.ParseHide(subject); !ok || g != "g" || c != "c" {
		t.Errorf("ParseHide(%q) = %s %s %v", subject, g, c, ok)
	}
	if _, ok := streams.ParseLog(subject); ok {
		t.Errorf("%s is taken for an event", subject)
	}
	for _, subject := range []string{
		streams.LogSubject(2, "g", "c"), streams.LogSubject(2, "g", "c") + ".@hide", streams.SignalSubject(2, "g", "c"), streams.LiveFence(2) + ".@hide",
	} {
		if _, _, ok := streams.ParseHide(subject); ok {
			t.Errorf("%s is taken for a hide", subject)
		}
	}
}
