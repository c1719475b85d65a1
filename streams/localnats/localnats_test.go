package localnats_test

import (
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/throng/throng/streams/localnats"
)

func TestAnAddressInUseIsSaidAtOnce(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	address := listener.Addr().String()
	began := time.Now()
	server, err := localnats.Start(localnats.Config{
		DataDir: t.TempDir(), Listen: address, Logger: slog.New(slog.DiscardHandler),
	})
	if err == nil {
		server.Stop()
		t.Fatalf("two servers listen on %s", address)
	}
	if !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v, want the address and that it is in use", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
