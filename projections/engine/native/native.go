package native

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Protocol revisions this package announces; doc.go says why they are old.
const (
	revisionHello = 54372
	revisionExec  = 50264
)

// Packets from the client.
const (
	clientHello = 0
	clientQuery = 1
	clientData  = 2
	clientPing  = 4
)

// Packets from the server.
const (
	serverHello     = 0
	serverException = 2
	serverProgress  = 3
	serverPong      = 4
	serverEnd       = 5
)

const (
	// maxString bounds one string from the other side, bytes: the port may belong to anything.
	maxString = 64 << 10
	// stageComplete asks the server to run the query to its end.
	stageComplete = 2
)

// emptyBlock ends the external tables that follow every query: no table name, the block's info (field 1: no
// overflows; field 2: bucket -1; end of fields), no columns, no rows.
var emptyBlock = []byte{clientData, 0, 1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0}

// Exception is a refusal by the server.
type Exception struct {
	Code int32  // ClickHouse's error code, as in system.errors
	Text string // without the stack
}

func (e *Exception) Error() string {
	return fmt.Sprintf("clickhouse exception %d: %s", e.Code, e.Text)
}

// Hello greets the server at addr as user default and returns the display name it answers with, after it has also
// answered a ping. An error means that what listens there is not a ClickHouse ready to serve, or that nothing listens.
// It gives up when ctx is done.
func Hello(ctx context.Context, addr string) (displayName string, err error) {
	c, err := dial(ctx, addr)
	if err != nil {
		return "", err
	}
	defer c.close()
	displayName, err = c.greet(revisionHello)
	if err != nil {
		return "", fmt.Errorf("greet %s: %w", addr, err)
	}
	if err := c.ping(); err != nil {
		return "", fmt.Errorf("ping %s: %w", addr, err)
	}
	return displayName, nil
}

// Exec runs one statement that returns no rows, as user default in database default. The error wraps an [*Exception]
// when the server refused.
func Exec(ctx context.Context, addr, statement string) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	defer c.close()
	if _, err := c.greet(revisionExec); err != nil {
		return fmt.Errorf("greet %s: %w", addr, err)
	}
	if err := c.exec(statement); err != nil {
		return fmt.Errorf("execute %q at %s: %w", statement, addr, err)
	}
	return nil
}

// conn is one connection, used by one goroutine.
type conn struct {
	socket net.Conn
	in     *bufio.Reader
	stop   func() bool // ends the watch over ctx
}

func dial(ctx context.Context, addr string) (*conn, error) {
	var dialer net.Dialer
	socket, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	// A deadline in the past makes blocked reads and writes return; it covers cancellation and ctx's own deadline.
	stop := context.AfterFunc(ctx, func() { _ = socket.SetDeadline(time.Unix(1, 0)) })
	return &conn{socket: socket, in: bufio.NewReader(socket), stop: stop}, nil
}

func (c *conn) close() {
	c.stop()
	_ = c.socket.Close()
}

// greet exchanges hellos. The display name is empty when the revision is older than display names.
func (c *conn) greet(revision uint64) (displayName string, err error) {
	hello := []byte{clientHello}
	hello = appendString(hello, "throng engine probe")
	hello = binary.AppendUvarint(hello, 1) // our version, major and minor: shown in system.processes only
	hello = binary.AppendUvarint(hello, 0)
	hello = binary.AppendUvarint(hello, revision)
	hello = appendString(hello, "") // database: the server's default
	hello = appendString(hello, "default")
	hello = appendString(hello, "") // password
	if _, err := c.socket.Write(hello); err != nil {
		return "", err
	}
	if err := c.expect(serverHello); err != nil {
		return "", err
	}
	if name, err := c.readString(); err != nil {
		return "", err
	} else if name != "ClickHouse" {
		return "", fmt.Errorf("server calls itself %q, not ClickHouse", name)
	}
	for range 3 { // major, minor, revision
		if _, err := binary.ReadUvarint(c.in); err != nil {
			return "", err
		}
	}
	if revision < revisionHello {
		return "", nil
	}
	if _, err := c.readString(); err != nil { // time zone
		return "", err
	}
	return c.readString()
}

func (c *conn) ping() error {
	if _, err := c.socket.Write([]byte{clientPing}); err != nil {
		return err
	}
	return c.expect(serverPong)
}

func (c *conn) exec(statement string) error {
	query := []byte{clientQuery}
	query = appendString(query, "") // query id: the server's choice
	query = appendString(query, "") // end of settings
	query = binary.AppendUvarint(query, stageComplete)
	query = binary.AppendUvarint(query, 0) // no compression
	query = appendString(query, statement)
	query = append(query, emptyBlock...)
	if _, err := c.socket.Write(query); err != nil {
		return err
	}
	for {
		packet, err := c.readPacket()
		if err != nil {
			return err
		}
		switch packet {
		case serverEnd:
			return nil
		case serverProgress:
			for range 3 { // rows, bytes, rows in all
				if _, err := binary.ReadUvarint(c.in); err != nil {
					return err
				}
			}
		default:
			return fmt.Errorf("server packet %d: a statement that returns rows is not for this package", packet)
		}
	}
}

func (c *conn) expect(want uint64) error {
	got, err := c.readPacket()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("server packet %d where %d was expected: not ClickHouse's native protocol", got, want)
	}
	return nil
}

// readPacket reads a packet's type; an exception comes back as the error.
func (c *conn) readPacket() (uint64, error) {
	packet, err := binary.ReadUvarint(c.in)
	if err != nil {
		return 0, err
	}
	if packet != serverException {
		return packet, nil
	}
	var code [4]byte
	if _, err := io.ReadFull(c.in, code[:]); err != nil {
		return 0, err
	}
	if _, err := c.readString(); err != nil { // class
		return 0, err
	}
	text, err := c.readString()
	if err != nil {
		return 0, err
	}
	return 0, &Exception{Code: int32(binary.LittleEndian.Uint32(code[:])), Text: text}
}

func (c *conn) readString() (string, error) {
	n, err := binary.ReadUvarint(c.in)
	if err != nil {
		return "", err
	}
	if n > maxString {
		return "", errors.New("oversized string: not ClickHouse's native protocol")
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(c.in, text); err != nil {
		return "", err
	}
	return string(text), nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
