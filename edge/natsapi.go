package edge

import (
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/throng/throng/edge/wire"
	"github.com/throng/throng/streams"
)

// apiConcurrency is how many commands over NATS are done at once. When so many
// are, the next ones wait in the NATS client, and beyond its limits are lost:
// their senders time out and repeat.
const apiConcurrency = 256

// natsAPI is the commands as a NATS micro service.
type natsAPI struct {
	edge    *Edge
	service micro.Service
	slots   chan struct{}  // apiConcurrency
	tasks   sync.WaitGroup // commands being done; stop waits for it
}

// serveNATS takes commands until stop.
func (e *Edge) serveNATS() (*natsAPI, error) {
	service, err := micro.AddService(e.config.Conn, micro.Config{
		Name: "throng", Version: e.config.Version,
		Description: "The client commands for back ends: the command's object as JSON, a header Authorization: Bearer <token>",
	})
	if err != nil {
		return nil, fmt.Errorf("add the nats service: %w", err)
	}
	api := &natsAPI{edge: e, service: service, slots: make(chan struct{}, apiConcurrency)}
	for _, list := range [][]wire.Name{wire.Names, wire.Later} {
		for _, name := range list {
			handler := micro.HandlerFunc(func(r micro.Request) { api.take(name, r) })
			err := service.AddEndpoint(string(name), handler, micro.WithEndpointSubject(streams.APISubject(string(name))))
			if err != nil {
				return nil, errors.Join(fmt.Errorf("add the nats endpoint %s: %w", name, err), service.Stop())
			}
		}
	}
	return api, nil
}

// take runs on the subscription's goroutine.
func (a *natsAPI) take(name wire.Name, r micro.Request) {
	a.slots <- struct{}{}
	a.tasks.Go(func() {
		defer func() { <-a.slots }()
		a.answer(name, r)
	})
}

func (a *natsAPI) answer(name wire.Name, r micro.Request) {
	var ok []byte
	var err error
	if len(r.Data()) > wire.MaxFrame {
		err = streams.Reject(streams.TooLarge, "a command may have %d bytes", wire.MaxFrame)
	} else {
		ok, err = a.edge.do(a.edge.life, name, r.Headers().Get("Authorization"), r.Data())
	}
	if most := a.edge.config.Conn.MaxPayload(); err == nil && int64(len(ok)) > most {
		err = streams.Reject(streams.TooLarge, "the answer has more than the %d bytes that nats takes: ask for less, or over http", most)
	}
	// Not by the request's own methods: they note errors in it, and the service
	// reads that as soon as take has returned.
	reply := &nats.Msg{Subject: r.Reply(), Data: ok}
	if err != nil {
		refused := streams.AsRejection(err)
		reply.Data = wire.AppendRefusal(nil, refused)
		reply.Header = nats.Header{
			micro.ErrorHeader:     {string(refused.Code)},
			micro.ErrorCodeHeader: {strconv.Itoa(status[refused.Code])},
		}
	}
	if err := a.edge.config.Conn.PublishMsg(reply); err != nil {
		a.edge.config.Logger.Debug("answer over nats", "command", name, "err", err)
	}
}

// stop takes no more commands and waits for those being done.
func (a *natsAPI) stop() error {
	err := a.service.Stop()
	a.tasks.Wait()
	return err
}
