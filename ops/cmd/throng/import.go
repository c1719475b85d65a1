package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/throng/throng/ops/importer"
	"github.com/throng/throng/streams"
)

type importCommand struct {
	IRC importIRCCommand `cmd:"" name:"irc" help:"Bring in logs of an IRC channel, one file a day, named by the date. Doing it again adds nothing."`
}

type importIRCCommand struct {
	Files   []string        `arg:"" type:"existingfile" help:"Log files, such as 2004-12-25.txt."`
	Group   streams.Group   `required:"" help:"The group; made if it is not there." placeholder:"GROUP"`
	Channel streams.Channel `help:"The group's channel; made if it is not there." default:"general" placeholder:"CHANNEL"`
	Owner   streams.User    `help:"Who owns the group, if it is made." default:"importer" placeholder:"USER"`
	NATS    natsURL         `name:"nats" help:"NATS servers, comma-separated." default:"nats://127.0.0.1:4222" placeholder:"URL"`
}

func (c *importIRCCommand) Run(ctx context.Context, p *program) error {
	l, err := join(ctx, c.NATS, "import", p.logger)
	if err != nil {
		return err
	}
	defer l.conn.Close()
	var total int64
	for _, file := range c.Files {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		total += info.Size()
	}
	im, err := importer.Start(ctx, importer.Config{
		Conn: l.conn, Partitions: l.deployment.Partitions, Group: c.Group, Channel: c.Channel, Owner: c.Owner,
	})
	if err != nil {
		return err
	}
	started := time.Now()
	progress, bar := progressBar(p.stderr, total)
	for i, file := range c.Files {
		if err := importFile(ctx, im, file, bar); err != nil {
			bar.Abort(false)
			progress.Wait()
			return err
		}
		if !isTerminal(p.stderr) {
			_, _ = fmt.Fprintf(p.stderr, "imported %d of %d files: %s\n", i+1, len(c.Files), file)
		}
	}
	bar.SetTotal(-1, true)
	progress.Wait()
	return c.report(p.stdout, im.Summary(), time.Since(started))
}

func importFile(ctx context.Context, im *importer.Import, file string, bar *mpb.Bar) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return im.IRC(ctx, file, bar.ProxyReader(f))
}

// progressBar shows bytes read on a terminal, and nothing elsewhere.
func progressBar(w io.Writer, total int64) (*mpb.Progress, *mpb.Bar) {
	if !isTerminal(w) {
		w = io.Discard
	}
	progress := mpb.New(mpb.WithOutput(w), mpb.WithWidth(60))
	bar := progress.AddBar(total,
		mpb.PrependDecorators(decor.Name("importing "), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage(), decor.Name(" "), decor.EwmaETA(decor.ET_STYLE_GO, 30)),
	)
	return progress, bar
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (c *importIRCCommand) report(w io.Writer, s importer.Summary, elapsed time.Duration) error {
	lines := 0
	for _, kind := range slices.Sorted(maps.Keys(s.Lines)) {
		lines += s.Lines[kind]
		_, _ = fmt.Fprintf(w, "%8d %s lines\n", s.Lines[kind], kind)
	}
	_, err := fmt.Fprintf(w, "%8d lines read in %.1f s, %.0f a second: %d events added to %s/%s, %d were there\n",
		lines, elapsed.Seconds(), float64(lines)/elapsed.Seconds(), s.Added, c.Group, c.Channel, s.Present)
	return err
}
