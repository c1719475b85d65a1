// Command throng is all of Throng in one binary: `throng dev` runs everything
// on one machine, the other subcommands run the parts and look after them.
//
// Each subcommand has a file of its own that reads from top to bottom: flags,
// construction, run. Flags, environment and the configuration file are read
// here and nowhere else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/throng/throng/projections/engine"
)

// Exit codes.
const (
	exitFailed = 1 // it was understood and did not work
	exitUsage  = 2 // it was not understood
)

// cli is the command line.
type cli struct {
	Config    kong.ConfigFlag `help:"Read flags from this YAML or JSON file: their names are the keys. A flag given here or in the environment wins." placeholder:"FILE" env:"THRONG_CONFIG"`
	LogLevel  logLevel        `help:"Least level of log lines on standard error: debug, info, warn or error." default:"info" placeholder:"LEVEL"`
	LogFormat logFormat       `help:"Form of log lines: text or json." default:"text" placeholder:"FORM"`

	Dev         devCommand         `cmd:"" help:"Run everything in this process: NATS, ClickHouse, services, projections, an edge and the demo page."`
	Edge        edgeCommand        `cmd:"" help:"Run an edge: it holds the clients' connections."`
	Services    servicesCommand    `cmd:"" help:"Run the write side: it decides and numbers what happens."`
	Projections projectionsCommand `cmd:"" help:"Run the read side: it writes history to ClickHouse and answers queries."`
	Webhooks    webhooksCommand    `cmd:"" help:"Tell a service of yours every event, over HTTP, retried and signed."`
	Provision   provisionCommand   `cmd:"" help:"Make the streams, buckets and tables of a deployment, or bring them up to date."`
	Repair      repairCommand      `cmd:"" help:"Begin logs anew that were lost or restored from an older backup."`
	Token       tokenCommand       `cmd:"" help:"Print a token for a user or a back end."`
	Import      importCommand      `cmd:"" help:"Bring in chat logs from elsewhere."`
	Doctor      doctorCommand      `cmd:"" help:"Say what is wrong with a deployment and how to mend it."`
	Inspect     inspectCommand     `cmd:"" help:"Look at partitions and logs."`
	Replay      replayCommand      `cmd:"" help:"Copy a group's history to another name or deployment, with the same numbers."`
	Load        loadCommands       `cmd:"" help:"Put load on a deployment and tell whether it was carried: nothing lost, doubled or out of order."`
	SQL         sqlCommand         `cmd:"" name:"sql" help:"Run a query in ClickHouse and print what it returns."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
}

// program is what subcommands get of the outside.
type program struct {
	stdout, stderr io.Writer
	logger         *slog.Logger
}

func main() {
	engine.Main() // this very binary is also the engine's child process
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var line cli
	problems := &problems{}
	exited, exitCode := false, 0
	parser, err := kong.New(&line,
		kong.Name("throng"),
		kong.Description("Event-sourced messaging for groups of a million members, on NATS JetStream.\n\nEvery flag is also read from the environment, as THRONG_ and its name (--nats-listen is THRONG_NATS_LISTEN), and from the file that --config names."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited, exitCode = true, code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.ValueFormatter(describe),
		kong.Configuration(configFile),
		kong.Resolvers(environment{}),
		problems.mappers(),
	)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "throng:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited { // help was asked for
		return exitCode
	}
	if err := errors.Join(append(problems.found, err)...); err != nil {
		_, _ = fmt.Fprintf(stderr, "throng: %v\nthrong: see «throng --help»\n", err)
		return exitUsage
	}
	p := &program{stdout: stdout, stderr: stderr, logger: newLogger(stderr, line.LogLevel, line.LogFormat)}
	parsed.BindTo(ctx, (*context.Context)(nil))
	switch err := parsed.Run(p); {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		_, _ = fmt.Fprintln(stderr, "throng:", err)
		return exitUsage
	default:
		_, _ = fmt.Fprintln(stderr, "throng:", err)
		return exitFailed
	}
}

// errUsage marks what is wrong with the flags taken together.
var errUsage = errors.New("usage")
