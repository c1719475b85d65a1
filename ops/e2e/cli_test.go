//go:build linux

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nowhere is a NATS that is not there: what is wrong with flags must be said
// before anything is asked of the network.
const nowhere = "nats://127.0.0.1:9"

// It proves that bad values end with exit code 2, all of them named at once,
// wherever they came from; and that what is no value's fault ends with 1.
func TestCommandLineNamesAllProblemsAtOnce(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, row := range []struct {
		name        string
		environment []string
		args        []string
		code        int
		want        []string // in what it prints, anywhere
	}{
		{"no such command", nil, []string{"explode"}, 2, []string{"explode"}},
		{"no such flag", nil, []string{"dev", "--explode"}, 2, []string{"--explode"}},
		{"a flag without its value", nil, []string{"dev", "--listen"}, 2, []string{"listen"}},
		{"many bad values of dev", nil,
			[]string{"--log-level", "loud", "dev", "--listen", "nonsense", "--nats-listen", "127.0.0.1:99999", "--partitions", "x", "--nats", "http://x", "--clickhouse", "nonsense"},
			2, []string{"--log-level", "--listen", "--nats-listen", "--partitions", "--nats=", "--clickhouse="}},
		{"two bad addresses", nil, []string{"dev", "--nats-listen", "short", "--listen", "nonsense"}, 2, []string{"--nats-listen", "--listen"}},
		{"no partitions", nil, []string{"dev", "--partitions", "0", "--data", filepath.Join(dir, "unused"), "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--clickhouse-listen", "127.0.0.1:0"}, 2, []string{"partitions"}},
		{"replicas and partitions that cannot be", nil, []string{"provision", "--nats", nowhere, "--replicas", "2", "--partitions", "5000"}, 2, []string{"replicas", "partitions"}},
		{"no user", nil, []string{"token"}, 2, []string{"--user"}},
		{"a user that is no name, for no time", nil, []string{"token", "--user", "a.b", "--ttl", "0s"}, 2, []string{"--user", "--ttl"}},
		{"no group and no file", nil, []string{"import", "irc"}, 2, []string{"--group"}},
		{"a file that is not there", nil, []string{"import", "irc", "--group", "g", filepath.Join(dir, "no.txt")}, 2, []string{"no.txt"}},
		{"a bad value in the environment", []string{"THRONG_LISTEN=nonsense", "THRONG_PARTITIONS=x"}, []string{"dev"}, 2, []string{"--listen", "--partitions"}},
		{"a bad value and unknown keys in the file", nil,
			[]string{"--config", file("bad.yaml", "listen: nonsense\nexplode: 1\nimplode: 2\n"), "dev"}, 2, []string{"explode", "implode"}},
		{"a bad value in the file", nil, []string{"--config", file("value.yaml", "listen: nonsense\npartitions: x\n"), "dev"}, 2, []string{"--listen", "--partitions"}},
		{"a file that is no YAML", nil, []string{"--config", file("broken.yaml", "{listen: [\n"), "dev"}, 2, []string{"onfiguration file"}},
		{"a configuration file that is not there", nil, []string{"--config", filepath.Join(dir, "no.yaml"), "dev"}, 2, []string{"no.yaml"}},
		{"no NATS", nil, []string{"services", "--nats", nowhere}, 1, []string{nowhere}},
		{"no NATS to say that it is in development mode", nil, []string{"token", "--user", "alice", "--nats", nowhere}, 1, []string{nowhere, "--jwt-secret"}},
		{"a flag that is good against an environment that is not", []string{"THRONG_NATS=" + nowhere}, []string{"services", "--nats", "nats://127.0.0.1:10"}, 1, []string{"127.0.0.1:10"}},
		{"version", nil, []string{"version"}, 0, []string{"throng 0."}},
		{"help", nil, []string{"--help"}, 0, []string{"dev", "edge", "services", "projections", "provision", "token", "import", "version", "THRONG_"}},
		{"help of dev", nil, []string{"dev", "--help"}, 0, []string{"--listen", "127.0.0.1:8080", "--data", "./throng-data", "--nats-listen", "127.0.0.1:4222", "--clickhouse-listen", "127.0.0.1:9000"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := run(t, row.environment, row.args...)
			if code != row.code {
				t.Errorf("exit code %d, want %d", code, row.code)
			}
			for _, want := range row.want {
				if !contains(stdout+stderr, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if row.code != 0 && stdout != "" {
				t.Errorf("a problem belongs on standard error, not %q", stdout)
			}
			if t.Failed() {
				t.Logf("%v printed\n%s%s", row.args, stdout, stderr)
			}
		})
	}
}

// It proves that flags come from the environment and from a file as well, that
// the command line wins over the environment and that over the file.
func TestFlagsFromEnvironmentAndFile(t *testing.T) {
	listen, unused := freeAddress(t), freeAddress(t)
	config := filepath.Join(t.TempDir(), "throng.yaml")
	content := fmt.Sprintf("listen: %s\nnats-listen: %s\nclickhouse-listen: %s\ndata: %s\npartitions: 2\nlog-format: json\n",
		unused, freeAddress(t), freeAddress(t), dataDir(t))
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{"THRONG_LISTEN=" + listen, "THRONG_CONFIG=" + config, "THRONG_PARTITIONS=3"}, "dev", "--partitions", "1")
	awaitReady(t, listen, p)
	if !contains(p.stderr.String(), `"msg":"serving","partition":0`) || contains(p.stderr.String(), `"partition":1`) {
		t.Errorf("want logs in JSON and one partition:\n%s", p.stderr.Tail(4<<10))
	}
}

// It proves that a second `dev` on one data folder, and one whose ports are
// taken, say so and end soon, and that the first one notices nothing: it goes on
// and starts again with all its data.
func TestSecondDevIsRefused(t *testing.T) {
	s := startServer(t)
	newGroup(t, s.listen, "g1", "general", "alice")
	for i := range 20 {
		must(t, s.listen, "dev:alice", "send", object{"group": "g1", "channel": "general", "body": fmt.Sprint(i)})
	}
	for _, row := range []struct {
		name                           string
		data, listen, nats, clickhouse string
		want                           []string
	}{
		{"the data folder is in use", s.dir, freeAddress(t), freeAddress(t), freeAddress(t), []string{s.dir, "use"}},
		{"NATS's port is in use", dataDir(t), freeAddress(t), s.natsListen, freeAddress(t), []string{s.natsListen, "use"}},
		{"ClickHouse's port is in use", dataDir(t), freeAddress(t), freeAddress(t), s.clickhouse, []string{s.clickhouse}},
		{"the clients' port is in use", dataDir(t), s.listen, freeAddress(t), freeAddress(t), []string{s.listen, "use"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			began := time.Now()
			code, stdout, stderr := run(t, nil, "dev", "--data", row.data, "--listen", row.listen, "--nats-listen", row.nats, "--clickhouse-listen", row.clickhouse)
			if code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			for _, want := range row.want {
				if !contains(lastLine(stderr), want) {
					t.Errorf("its last line does not say %q", want)
				}
			}
			if stdout != "" {
				t.Errorf("it printed a welcome:\n%s", stdout)
			}
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("it took %v to find out", took)
			}
			if t.Failed() {
				t.Logf("it printed\n%s", stderr)
			}
		})
	}
	for i := range 20 {
		answer := must(t, s.listen, "dev:alice", "send", object{"group": "g1", "channel": "general", "body": fmt.Sprint(20 + i)})
		if answer.number("v") != uint64(21+i) {
			t.Fatalf("the first server was disturbed: %v", answer)
		}
	}
	s.kill9()
	s.restart()
	if got := len(connect(t, s.listen, "dev:alice").mustPull(t, "g1", "general", 0, 40)); got != 40 {
		t.Errorf("after a restart of the first server: %d events, want 40", got)
	}
}

// It proves that what the parts need and is not there is said plainly.
func TestPartsSayWhatIsMissing(t *testing.T) {
	nats := startNATS(t)
	for name, args := range map[string][]string{
		"services":    {"services", "--nats", nats},
		"projections": {"projections", "--nats", nats},
		"edge":        {"edge", "--nats", nats, "--listen", freeAddress(t), "--jwt-secret", strings.Repeat("s", 32)},
	} {
		if code, _, stderr := run(t, nil, args...); code != 1 || !contains(stderr, "throng provision") {
			t.Errorf("%s before provisioning: exit code %d: %s", name, code, stderr)
		}
	}
	if code, _, stderr := run(t, nil, "provision", "--nats", nats, "--partitions", "1"); code != 0 {
		t.Fatalf("provision: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := run(t, nil, "edge", "--nats", nats, "--listen", freeAddress(t)); code != 2 || !contains(stderr, "--jwt-secret") {
		t.Errorf("an edge without a secret: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := run(t, nil, "token", "--user", "alice", "--nats", nats); code != 2 || !contains(stderr, "--jwt-secret") {
		t.Errorf("a token without a secret: exit code %d: %s", code, stderr)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	address := taken.Addr().String()
	if code, _, stderr := run(t, nil, "edge", "--nats", nats, "--listen", address, "--jwt-secret", strings.Repeat("s", 32)); code != 1 || !contains(stderr, address) {
		t.Errorf("an edge on a port in use: exit code %d: %s", code, stderr)
	}
}
