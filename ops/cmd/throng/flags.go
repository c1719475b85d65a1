package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"

	"github.com/throng/throng/streams"
)

// The types of flags. Each has one parser, so that every bad value of a
// command line is found, not only the first.
type (
	logLevel  string
	logFormat string
	address   string        // host:port
	natsURL   string        // one or several, separated by commas
	dsn       string        // clickhouse://…
	lifetime  time.Duration // above 0
	count     uint32
	secret    string // of HS256 tokens; empty for none
	spread    uint32 // partitions of a log
	copies    int    // of a stream
	size      int64  // bytes
	ceiling   uint32 // 0 for none
	webURL    string // http or https
)

// problems collects what is wrong with values, instead of stopping at the
// first.
type problems struct{ found []error }

// mappers teaches the parser our types.
func (p *problems) mappers() kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		for _, option := range []kong.Option{
			value(p, oneOf[logLevel]("debug", "info", "warn", "error")),
			value(p, oneOf[logFormat]("text", "json")),
			value(p, parseAddress),
			value(p, parseNATS),
			value(p, parseDSN),
			value(p, parseLifetime),
			value(p, parseCount),
			value(p, parseSecret),
			value(p, parseSpread),
			value(p, parseCopies),
			value(p, parseSize),
			value(p, parseCeiling),
			value(p, parseHook),
			value(p, parseWebURL),
			value(p, streams.ParseDevice),
			value(p, streams.ParseGroup),
			value(p, streams.ParseChannel),
			value(p, streams.ParseUser),
		} {
			if err := option.Apply(k); err != nil {
				return err
			}
		}
		return nil
	})
}

func value[T any](p *problems, parse func(string) (T, error)) kong.Option {
	return kong.TypeMapper(reflect.TypeFor[T](), kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		token, err := ctx.Scan.PopValue(ctx.Value.Name)
		if err != nil {
			return err
		}
		parsed, err := parse(fmt.Sprint(token.Value))
		if err != nil {
			var rejection *streams.Rejection
			if errors.As(err, &rejection) {
				err = errors.New(rejection.Message)
			}
			given := fmt.Sprintf("=%v", token.Value)
			if _, hidden := any(parsed).(secret); hidden {
				given = "" // what is printed is kept in logs
			}
			p.found = append(p.found, fmt.Errorf("--%s%s: %w", ctx.Value.Name, given, err))
			return nil
		}
		target.Set(reflect.ValueOf(parsed))
		return nil
	}))
}

func oneOf[T ~string](values ...T) func(string) (T, error) {
	return func(s string) (T, error) {
		if !slices.Contains(values, T(s)) {
			return "", fmt.Errorf("must be one of %v", values)
		}
		return T(s), nil
	}
}

func parseAddress(s string) (address, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", errors.New("must be host:port")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", errors.New("the port must be 0 to 65535")
	}
	if host != "" && host != "localhost" && net.ParseIP(host) == nil && strings.ContainsAny(host, " /") {
		return "", errors.New("the host must be a name or an IP address")
	}
	return address(s), nil
}

func parseNATS(s string) (natsURL, error) {
	for part := range strings.SplitSeq(s, ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return "", errors.New("must be nats://host:port, or several of them separated by commas")
		}
	}
	return natsURL(s), nil
}

func parseDSN(s string) (dsn, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || !slices.Contains([]string{"clickhouse", "tcp"}, u.Scheme) {
		return "", errors.New("must be clickhouse://user:password@host:port/database")
	}
	return dsn(s), nil
}

func parseLifetime(s string) (lifetime, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, errors.New("must be a duration above 0, such as 90s, 15m or 24h")
	}
	return lifetime(d), nil
}

func parseCount(s string) (count, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, errors.New("must be a whole number, 0 or more")
	}
	return count(n), nil
}

func parseSecret(s string) (secret, error) { return secret(s), nil }

func parseSpread(s string) (spread, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n < 1 || n > 1024 {
		return 0, errors.New("must be 1 to 1024")
	}
	return spread(n), nil
}

func parseCopies(s string) (copies, error) {
	n, err := strconv.Atoi(s)
	if err != nil || !slices.Contains([]int{1, 3, 5}, n) {
		return 0, errors.New("must be 1, 3 or 5")
	}
	return copies(n), nil
}

func parseWebURL(s string) (webURL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", errors.New("must be an http:// or https:// address")
	}
	return webURL(s), nil
}

func parseCeiling(s string) (ceiling, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > 1_000_000 {
		return 0, errors.New("must be a number from 0 to 1000000, 0 for none")
	}
	return ceiling(n), nil
}

func parseSize(s string) (size, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("must be a number of bytes, 0 or more")
	}
	return size(n), nil
}

// describe is a flag's help. Where a placeholder says what a value looks like,
// the parser's own help leaves the default out.
func describe(v *kong.Value) string {
	text := kong.DefaultHelpValueFormatter(v)
	if v.Flag != nil && v.Flag.PlaceHolder != "" && v.Default != "" {
		text += " Default: " + v.Default + "."
	}
	return text
}

// environment reads THRONG_<FLAG>.
type environment struct{}

func variable(flag string) string {
	return "THRONG_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Validate implements [kong.Resolver].
func (environment) Validate(*kong.Application) error { return nil }

// Resolve implements [kong.Resolver].
func (environment) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if text, set := os.LookupEnv(variable(flag.Name)); set {
		return text, nil
	}
	return nil, nil
}

// fileValues is a configuration file: flags by name. Keys of any subcommand may
// stand in it, so that one file serves all.
type fileValues map[string]any

func configFile(r io.Reader) (kong.Resolver, error) {
	values := fileValues{}
	if err := yaml.NewDecoder(r).Decode(&values); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	return values, nil
}

// Validate implements [kong.Resolver]: a key that is no flag is a mistake.
func (v fileValues) Validate(app *kong.Application) error {
	known := map[string]bool{}
	var walk func(*kong.Node)
	walk = func(node *kong.Node) {
		for _, flag := range node.Flags {
			known[flag.Name] = true
		}
		for _, child := range node.Children {
			walk(child)
		}
	}
	walk(app.Node)
	var unknown []error
	for key := range v {
		if !known[key] {
			unknown = append(unknown, fmt.Errorf("configuration file: there is no flag %q", key))
		}
	}
	slices.SortFunc(unknown, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(unknown...)
}

// Resolve implements [kong.Resolver].
func (v fileValues) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if _, set := os.LookupEnv(variable(flag.Name)); set {
		return nil, nil // the environment wins
	}
	if value, ok := v[flag.Name]; ok {
		if _, isBool := value.(bool); isBool {
			return value, nil
		}
		return fmt.Sprint(value), nil
	}
	return nil, nil
}

func newLogger(w io.Writer, level logLevel, format logFormat) *slog.Logger {
	var least slog.Level
	_ = least.UnmarshalText([]byte(level)) // one of four; checked when parsed
	options := &slog.HandlerOptions{Level: least}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
