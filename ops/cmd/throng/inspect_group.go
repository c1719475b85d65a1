package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/throng/throng/ops/past"
	"github.com/throng/throng/projections/clickhouse"
	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streampb"
)

type inspectGroup struct {
	Group      streams.Group `arg:"" help:"The group."`
	Seq        count         `help:"As it was after this sequence; 0 for now." default:"0"`
	Time       time.Time     `help:"As it was at this time, RFC 3339." placeholder:"TIME"`
	JSON       bool          `name:"json" help:"Print JSON, a line for each part."`
	NATS       natsURL       `name:"nats" help:"NATS servers, comma-separated." default:"nats://127.0.0.1:4222" placeholder:"URL"`
	ClickHouse dsn           `name:"clickhouse" help:"Where what was purged from the log is read." placeholder:"DSN"`
}

// source is where a group's past is read; close it after use.
func source(l *link, d dsn) (past.Source, func(), error) {
	s := past.Source{Conn: l.conn, JS: l.js, Partitions: l.deployment.Partitions}
	if d == "" {
		return s, func() {}, nil
	}
	var err error
	if s.DB, err = clickhouse.Open(clickhouse.Config{DSN: string(d)}); err != nil {
		return s, nil, err
	}
	return s, func() { _ = s.DB.Close() }, nil
}

// Run folds the group's events and prints what came of them.
func (c *inspectGroup) Run(ctx context.Context, p *program) error {
	l, err := join(ctx, c.NATS, "inspect", p.logger)
	if err != nil {
		return err
	}
	defer l.conn.Close()
	from, done, err := source(l, c.ClickHouse)
	if err != nil {
		return err
	}
	defer done()
	moment, err := past.At(ctx, from, c.Group, streams.Seq(c.Seq), c.Time)
	if err != nil {
		return fmt.Errorf("look at group %s: %w", c.Group, err)
	}
	if moment.Last == nil {
		return fmt.Errorf("there was no group %s then", c.Group)
	}
	if c.JSON {
		return c.lines(p.stdout, moment)
	}
	return c.report(p.stdout, moment)
}

// parts are the questions the report asks of the moment, each until its pages end.
func parts(m past.Moment, channels []string, visit func(channel string, part proto.Message) error) error {
	for after := ""; ; {
		result, err := m.Ask(&streampb.ReadMembers{After: after, Limit: 1000})
		if err != nil {
			return err
		}
		page := result.GetMembers()
		if err := visit("", page); err != nil {
			return err
		}
		if after = page.GetAfter(); after == "" {
			break
		}
	}
	for _, channel := range channels {
		for after := ""; ; {
			result, err := m.Ask(&streampb.ReadAttributes{Channel: channel, After: after})
			if err != nil {
				return err
			}
			page := result.GetAttributes()
			if err := visit(channel, page); err != nil {
				return err
			}
			if after = page.GetAfter(); after == "" {
				break
			}
		}
	}
	return nil
}

func (c *inspectGroup) lines(w io.Writer, m past.Moment) error {
	result, err := m.Ask(&streampb.ReadGroup{})
	if err != nil {
		return err
	}
	line := func(part proto.Message) error {
		data, err := protojson.Marshal(part)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n", data)
		return err
	}
	if err := line(result.GetGroupInfo()); err != nil {
		return err
	}
	return parts(m, channelsOf(result.GetGroupInfo()), func(_ string, part proto.Message) error { return line(part) })
}

// channelsOf lists whose attributes there may be: the group's, and each channel's.
func channelsOf(info *streampb.GroupInfo) []string {
	channels := []string{string(streams.GroupChannel)}
	for _, ch := range info.GetChannels() {
		channels = append(channels, ch.GetChannel())
	}
	return channels
}

func (c *inspectGroup) report(w io.Writer, m past.Moment) error {
	result, err := m.Ask(&streampb.ReadGroup{})
	if err != nil {
		return err
	}
	info := result.GetGroupInfo()
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				_, _ = fmt.Fprint(table, "\t")
			}
			_, _ = fmt.Fprint(table, cell)
		}
		_, _ = fmt.Fprintln(table)
	}
	row("group", c.Group)
	row("as of", fmt.Sprintf("seq %d, %s, %d events", m.Last.Seq, stamp(m.Last.TS), m.Events))
	row("kind", info.GetKind())
	row("name", info.GetName())
	row("created", stamp(info.GetCreated()))
	census := info.GetCensus()
	row("members", fmt.Sprintf("%d: %d owners, %d admins, %d moderators", info.GetMembers(), census.GetOwners(), census.GetAdmins(), census.GetModerators()))
	settings, err := protojson.Marshal(info.GetSettings())
	if err != nil {
		return err
	}
	row("settings", string(settings))
	row()
	row("channel", "kind", "v", "n", "seq", "name")
	for _, ch := range info.GetChannels() {
		row(ch.GetChannel(), ch.GetKind(), ch.GetV(), ch.GetN(), ch.GetSeq(), ch.GetName())
	}
	row()
	row("member", "role", "joined", "muted until", "user groups")
	attributes := false
	err = parts(m, channelsOf(info), func(channel string, part proto.Message) error {
		switch page := part.(type) {
		case *streampb.MemberPage:
			for _, member := range page.GetMembers() {
				row(member.GetUser(), streams.RoleName(member.GetRole()), stamp(member.GetJoined()),
					until(member.GetMutedUntil()), strings.Join(member.GetUserGroups(), " "))
			}
		case *streampb.AttributePage:
			if !attributes {
				row()
				row("attribute", "of", "v", "set by", "value")
				attributes = true
			}
			for _, a := range page.GetAttributes() {
				row(a.GetKey(), channel, a.GetV(), a.GetUser(), fmt.Sprintf("%q", a.GetValue()))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return table.Flush()
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano) }

func until(ms int64) string {
	switch {
	case ms == 0:
		return ""
	case ms < 0:
		return "for good"
	}
	return stamp(ms)
}
