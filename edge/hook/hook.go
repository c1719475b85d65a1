package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/throng/throng/streams"
)

// Config of a [Hook].
type Config struct {
	URL     string     // http or https; or Subject
	Subject string     // of NATS requests
	Conn    *nats.Conn // with Subject
	Secret  []byte     // signs what goes to URL; empty: unsigned
	// Deadline of one question. Default 500 ms.
	Deadline time.Duration
	// Closed refuses messages the hook could not judge, unless their group says
	// otherwise.
	Closed bool
	// Open bounds the questions under way; one more fails at once. Default 256.
	Open int

	Logger     *slog.Logger          // required
	Registerer prometheus.Registerer // required
}

// Hook asks. It may be used from any goroutine.
type Hook struct {
	config Config
	client *http.Client
	open   chan struct{} // holds a token per question under way; never closed
	asked  *prometheus.CounterVec
}

// Question is what a hook is told.
type Question struct {
	Command    string          `json:"command"`
	Group      streams.Group   `json:"group"`
	Channel    streams.Channel `json:"channel"`
	User       streams.User    `json:"user"`
	ClientID   string          `json:"client_id"`
	Type       string          `json:"type,omitempty"`
	Body       json.RawMessage `json:"body"`
	N          uint64          `json:"n,omitempty"`
	Mentions   []string        `json:"mentions,omitempty"`
	MentionAll bool            `json:"mention_all,omitempty"`
	ReplyTo    uint64          `json:"reply_to,omitempty"`
}

// Body is a message's body.
type Body struct {
	Bytes []byte
	JSON  bool // an object, else text
}

func (b Body) raw() json.RawMessage {
	if b.JSON {
		return b.Bytes
	}
	text, _ := json.Marshal(string(b.Bytes)) // a string always can be
	return text
}

// ErrFailed: the hook gave no judgement.
var ErrFailed = errors.New("the hook failed")

const maxAnswer = 64 << 10 // bytes

// New returns a hook. It touches no network.
func New(config Config) (*Hook, error) {
	if (config.URL == "") == (config.Subject == "") {
		return nil, errors.New("a hook has a URL or a subject")
	}
	if config.URL != "" {
		if u, err := url.Parse(config.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return nil, errors.New("the hook's URL must be http:// or https://")
		}
	}
	if config.Deadline == 0 {
		config.Deadline = 500 * time.Millisecond
	}
	if config.Open == 0 {
		config.Open = 256
	}
	h := &Hook{
		config: config, open: make(chan struct{}, config.Open),
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: config.Open, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		asked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "throng_hook_questions_total",
			Help: "Messages the before-send hook was asked about, by what came of it: allowed, changed, refused, failed.",
		}, []string{"outcome"}),
	}
	config.Registerer.MustRegister(h.asked)
	return h, nil
}

// Closed reports whether a message that could not be judged is refused, by the
// setting of its group.
func (h *Hook) Closed(setting string) bool {
	if setting == "" {
		return h.config.Closed
	}
	return setting == "closed"
}

// Judge asks about a message and returns the body it may be sent with. Errors
// are [ErrFailed], or a [*streams.Rejection] with forbidden.
func (h *Hook) Judge(ctx context.Context, q Question, body Body) (Body, error) {
	judged, changed, err := h.judge(ctx, q, body)
	var refused *streams.Rejection
	outcome := "allowed"
	switch {
	case errors.As(err, &refused):
		outcome = "refused"
	case err != nil:
		outcome = "failed"
		h.config.Logger.Warn("before-send hook", "group", q.Group, "err", err)
	case changed:
		outcome = "changed"
	}
	h.asked.WithLabelValues(outcome).Inc()
	return judged, err
}

func (h *Hook) judge(ctx context.Context, q Question, body Body) (judged Body, changed bool, err error) {
	select {
	case h.open <- struct{}{}:
	default:
		return body, false, fmt.Errorf("%w: %d questions are under way", ErrFailed, cap(h.open))
	}
	defer func() { <-h.open }()
	q.Body = body.raw()
	question, err := json.Marshal(q)
	if err != nil {
		return body, false, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	ctx, cancel := context.WithTimeout(ctx, h.config.Deadline)
	defer cancel()
	ask := h.post
	if h.config.Subject != "" {
		ask = h.request
	}
	data, err := ask(ctx, question)
	if err != nil {
		return body, false, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return read(data, body)
}

// read takes an answer in.
func read(data []byte, body Body) (judged Body, changed bool, err error) {
	var answer struct {
		Allow   *bool           `json:"allow"`
		Message string          `json:"message"`
		Body    json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(data, &answer); err != nil || answer.Allow == nil {
		return body, false, fmt.Errorf("%w: its answer says neither yes nor no", ErrFailed)
	}
	if !*answer.Allow {
		message := answer.Message
		if message == "" || len(message) > streams.MaxReason {
			message = "the message was refused"
		}
		return body, false, streams.Reject(streams.Forbidden, "%s", message)
	}
	if len(answer.Body) == 0 || string(answer.Body) == "null" {
		return body, false, nil
	}
	replaced := Body{}
	switch answer.Body[0] {
	case '"':
		var text string
		_ = json.Unmarshal(answer.Body, &text) // it has been parsed once
		replaced.Bytes = []byte(text)
	case '{':
		replaced = Body{Bytes: bytes.Clone(answer.Body), JSON: true}
	}
	if n := len(replaced.Bytes); n == 0 || n > streams.MaxBody || !utf8.Valid(replaced.Bytes) || replaced.JSON != body.JSON {
		return body, false, fmt.Errorf("%w: the body in its answer can't be sent", ErrFailed)
	}
	return replaced, true, nil
}

func (h *Hook) request(ctx context.Context, question []byte) ([]byte, error) {
	msg, err := h.config.Conn.RequestWithContext(ctx, h.config.Subject, question)
	if err != nil {
		return nil, err
	}
	return msg.Data, nil
}

func (h *Hook) post(ctx context.Context, question []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.config.URL, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if len(h.config.Secret) > 0 {
		request.Header.Set(SignatureHeader, Sign(h.config.Secret, time.Now().Unix(), question))
	}
	response, err := h.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	return io.ReadAll(io.LimitReader(response.Body, maxAnswer))
}

// Close lets idle connections go.
func (h *Hook) Close() { h.client.CloseIdleConnections() }
