// Package demo is the page that a development server shows at "/": a small chat in plain HTML, CSS and ES modules, without
// a framework and without a build step.
//
// It is there to try the server by hand, to be driven by the browser test in e2e, and to show how little a client needs.
// The modules in web, in reading order:
//
//	connection.js   one WebSocket: connect, requests and answers, back-off, heartbeat
//	feed.js         one channel's log: subscribe, resume, pull gaps, and the check that v has no holes
//	outbox.js       own messages until they are acknowledged; survives reconnects and reloads
//	list.js         the messages on the screen: a window of at most 500, live below, history above
//	text.js         a message's body as nodes: mentions, links, actions
//	groups.js       the list of groups, the server's or this browser's
//	members.js      the panel of members
//	app.js          the rest of the page, and what ties the others together
//
// Whatever comes from the server reaches the page as text nodes only. The Content-Security-Policy allows the page's own
// scripts and nothing else, so a slip there would still run nothing.
//
// What the page knows of groups comes from sync where the server answers it; where it does not, the list is kept in this
// browser, and a group is opened by its name or by a link: the page's address ends with #group/channel.
//
// The page keeps counters in window.throngDebug ({delivered, gaps, holes, duplicates, lastV, state} and disconnect() and
// reconnect()), on which tests rely. A hole, that is a v that jumps without a gap frame, is a bug of the server: it is
// shown in red and logged as an error.
package demo
