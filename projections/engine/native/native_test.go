package native_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/throng/throng/projections/engine/enginetest"
	"github.com/throng/throng/projections/engine/native"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

func TestHelloReturnsTheServersDisplayName(t *testing.T) {
	name, err := native.Hello(t.Context(), engineAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(name, "throng-") {
		t.Errorf("got %q, want the name that engine gave its child", name)
	}
}

func TestExecRunsAStatementAndReturnsTheServersRefusal(t *testing.T) {
	addr := engineAddr(t)
	for _, statement := range []string{
		"CREATE DATABASE exec_test",
		"CREATE TABLE exec_test.t (a UInt64) ENGINE = MergeTree ORDER BY a",
		"INSERT INTO exec_test.t SELECT number FROM numbers(100000)",
		"DROP DATABASE exec_test SYNC",
	} {
		if err := native.Exec(t.Context(), addr, statement); err != nil {
			t.Fatal(err)
		}
	}
	const unknownDatabase = 81
	err := native.Exec(t.Context(), addr, "DROP DATABASE exec_test")
	var exception *native.Exception
	if !errors.As(err, &exception) || exception.Code != unknownDatabase {
		t.Errorf("drop of a missing database: got %v, want exception %d", err, unknownDatabase)
	}
	if err := native.Exec(t.Context(), addr, "SELECT 1"); err == nil {
		t.Error("a statement that returns rows: got nil")
	}
}

func TestHelloRefusesEverythingElse(t *testing.T) {
	tests := []struct{ name, answer string }{
		{"a web server", "HTTP/1.1 400 Bad Request\r\n\r\n"},
		{"a NATS server", "INFO {\"server_id\":\"x\"}\r\n"},
		{"a server of another name", "\x00\x05MySQL"},
		{"an endless name", "\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f"},
		{"half a greeting", "\x00\x0aClickHo"},
		{"a server that hangs up", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if name, err := native.Hello(t.Context(), serve(t, test.answer, true)); err == nil {
				t.Errorf("got the name %q, want an error", name)
			}
		})
	}
}

func TestASilentServerIsGivenUpWhenTheContextEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := native.Hello(ctx, serve(t, "", false)); err == nil {
		t.Error("got nil, want an error")
	}
}

func FuzzHello(f *testing.F) {
	f.Add([]byte("\x00\x0aClickHouse\x1a\x07\xd8\xa9\x03\x07Etc/UTC\x02vm\x04"))
	f.Add([]byte("\x02\x51\x00\x00\x00\x0dDB::Exception\x02no\x00\x00"))
	f.Add([]byte("SSH-2.0-OpenSSH\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := native.Hello(ctx, serve(t, string(answer), true))
		if err == nil && !strings.Contains(string(answer), "ClickHouse") {
			t.Errorf("took %q for a ClickHouse", answer)
		}
	})
}

// serve answers every connection with the same bytes and then hangs up, or stays.
func serve(t testing.TB, answer string, hangUp bool) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		connection, err := listener.Accept()
		if err != nil {
			return // the test is over
		}
		defer connection.Close()
		_, _ = io.WriteString(connection, answer)
		if !hangUp {
			_, _ = io.Copy(io.Discard, connection)
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return listener.Addr().String()
}

func engineAddr(t testing.TB) string {
	t.Helper()
	dsn, err := url.Parse(enginetest.DSN(t))
	if err != nil {
		t.Fatal(err)
	}
	return dsn.Host
}
