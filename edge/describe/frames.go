package describe

import "github.com/throng/throng/edge/wire"

// frame is something the server sends by itself.
type frame struct {
	name   string // the frame's one key
	about  string
	schema *schema
}

func frames() []frame {
	v := must("v", count("the newest event's version"))
	return []frame{
		{"block", "events of one channel, in order of v", closed("",
			group(), channel(), must("events", &schema{Type: "array", Items: ref("event"), MinItems: 1, MaxItems: wire.BlockEvents}))},
		{"heads", "how far channels in mode hint are now; at most one frame a second", list(0, closed("",
			group(), channel(), v, must("n", count("how many messages there were")),
			must("mention", flag("something since the last frame mentions the user")),
			may("members", count("on @members: how many members the group has now"))), "")},
		{"gap", "after < v <= upto of a channel are not delivered: pull them, or do not care", closed("",
			group(), channel(), must("after", count("the last that was delivered")), must("upto", ordinal("delivery goes on behind it")))},
		{"conversation", "the user is no member of the group any more or, with channel, not in the channel", closed("",
			group(), may("channel", identifier("left out where it is the whole group")), must("left", set("")))},
		{"signal", "somebody's signal; nothing of it is stored", closed("",
			group(), channel(), must("user", identifier("who sent it")), must("type", messageType("")), must("data", &schema{About: "any JSON"}))},
		{"bye", "the server is about to close", closed("",
			must("reason", text("for people")), must("retry_ms", duration("after which to come back")))},
	}
}

// closing is a code the server closes a WebSocket with.
type closing struct {
	Code  int    `json:"code"`
	About string `json:"meaning"`
}

var closings = []closing{
	{1003, "a binary message on a text subprotocol"},
	{1007, "a text message was not UTF-8"},
	{1009, "a message was over the size limit"},
	{1012, "the server is restarting; come back after the bye frame's retry_ms"},
	{4401, "no token within 10 s, something else before connect, or a bad token"},
	{4403, "the token has expired"},
	{4408, "nothing came for two heartbeats"},
	{4409, "the same user and device connected again"},
	{4429, "the user has too many connections; the refusal before it carries retry_ms"},
}
