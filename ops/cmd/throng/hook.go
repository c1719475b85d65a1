package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/edge/hook"
)

// hookFlags say who is asked before a message is sent, on `edge` and `dev`.
type hookFlags struct {
	HookURL      hookTarget `name:"hook-url" help:"Ask here before a message is sent: an HTTP address, or nats:SUBJECT." placeholder:"URL"`
	HookSecret   secret     `name:"hook-secret" help:"Signs what is asked over HTTP." placeholder:"SECRET"`
	HookDeadline lifetime   `name:"hook-deadline" help:"How long an answer may take." default:"500ms" placeholder:"DURATION"`
	HookClosed   bool       `name:"hook-closed" help:"Refuse messages that could not be judged, where their group has no setting of its own."`
}

// hookTarget is where a hook is.
type hookTarget string

const natsHook = "nats:"

func parseHook(s string) (hookTarget, error) {
	if subject, ok := strings.CutPrefix(s, natsHook); ok && !strings.HasPrefix(s, natsHook+"//") {
		if subject == "" || strings.ContainsAny(subject, " *>\t\r\n") {
			return "", errors.New("nats: must be followed by a subject without wildcards")
		}
		return hookTarget(s), nil
	}
	if _, err := parseWebURL(s); err != nil {
		return "", fmt.Errorf("%w, or nats:SUBJECT", err)
	}
	return hookTarget(s), nil
}

// hook returns what the flags describe, nil for none.
func (f hookFlags) hook(l *link, logger *slog.Logger, registry prometheus.Registerer) (*hook.Hook, error) {
	if f.HookURL == "" {
		return nil, nil
	}
	config := hook.Config{
		Secret: []byte(f.HookSecret), Deadline: time.Duration(f.HookDeadline), Closed: f.HookClosed,
		Logger: logger, Registerer: registry,
	}
	if subject, ok := strings.CutPrefix(string(f.HookURL), natsHook); ok {
		config.Subject, config.Conn = subject, l.conn
	} else {
		config.URL = string(f.HookURL)
	}
	h, err := hook.New(config)
	if err != nil {
		return nil, fmt.Errorf("%w: --hook-url: %w", errUsage, err)
	}
	return h, nil
}
