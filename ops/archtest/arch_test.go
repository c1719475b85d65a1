package archtest

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/throng/throng/"

type listed struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	Imports      []string
	Deps         []string
	TestImports  []string
	XTestImports []string
}

// list returns the packages of this module, by path without the module's.
func list(t *testing.T) map[string]listed {
	t.Helper()
	command := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports,Deps,TestImports,XTestImports", "./...")
	command.Dir = filepath.Join("..", "..")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	packages := map[string]listed{}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages[strings.TrimPrefix(p.ImportPath, module)] = p
	}
	if len(packages) < 10 {
		t.Fatalf("only %d packages found", len(packages))
	}
	return packages
}

func top(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, module), "/")
	return first
}

// broken returns every import that breaks a rule of the house.
func broken(packages map[string]listed) []string {
	var problems []string
	for name, p := range packages {
		for _, imported := range p.Imports {
			if problem := judge(name, imported); problem != "" {
				problems = append(problems, name+" imports "+imported+": "+problem)
			}
		}
		if strings.HasSuffix(name, "test") {
			continue // packages for tests
		}
		for _, imported := range p.Deps {
			if imported == "testing" || strings.HasPrefix(imported, module) && strings.HasSuffix(imported, "test") {
				problems = append(problems, name+" depends on "+imported+": test code in a production package")
			}
		}
	}
	slices.Sort(problems)
	return problems
}

// pure packages decide and encode: no network, no clock to read, no goroutine.
var pure = []string{"streams", "services/group", "edge/wire", "edge/ring", "edge/follow"}

// drivers have one importer each, so that replacing or patching one is one
// package's work.
var drivers = map[string][]string{
	"github.com/nats-io/nats-server":      {"streams/localnats"},
	"github.com/ClickHouse/clickhouse-go": {"projections/clickhouse"},
	"github.com/ebitengine/purego":        {"projections/engine/native", "projections/engine"},
	"github.com/gorilla/websocket":        {"edge/session", "ops/load", "ops/faults"},
	"github.com/santhosh-tekuri":          {"edge/describe/describetest"},
}

// order is who stands below whom inside a folder.
var order = [][]string{
	{"services/group", "services/sequencer", "services/command"},
	{"edge/wire", "edge/backfill", "edge/hub", "edge/session", "edge"},
	{"edge/ring", "edge/follow", "edge/hub", "edge/session", "edge"},
	{"edge/wire", "edge/describe", "edge"},
	{"edge/owner", "edge/hidden", "edge/hub", "edge/session", "edge"},
	{"edge/ring", "edge/backfill", "edge/hub", "edge/session", "edge"},
	{"edge/transport", "edge/session", "edge"},
	{"projections/clickhouse", "projections/groups", "projections/history", "projections"},
	{"streams", "streams/eventlog", "streams/streamtest"},
}

func judge(name, imported string) string {
	for driver, importers := range drivers {
		if strings.HasPrefix(imported, driver) && !slices.Contains(importers, name) {
			return "only " + strings.Join(importers, " and ") + " may"
		}
	}
	if slices.Contains(pure, name) && !allowedInPure(name, imported) {
		return name + " is pure"
	}
	if !strings.HasPrefix(imported, module) {
		return ""
	}
	from, to := top(name), top(imported)
	switch {
	case to == "ops" && from != "ops":
		return "nobody imports ops"
	case from == "streams" && to != "streams":
		return "streams is the contract and stands on nothing"
	case from != to && from != "ops" && to != "streams":
		return "between services, edge and projections travel only bytes"
	}
	for _, chain := range order {
		a, b := slices.Index(chain, name), slices.Index(chain, strings.TrimPrefix(imported, module))
		if a >= 0 && b > a {
			return "the order is " + strings.Join(chain, " ← ")
		}
	}
	return ""
}

func allowedInPure(name, imported string) bool {
	switch {
	case strings.HasPrefix(imported, module):
		of := strings.TrimPrefix(imported, module)
		return of == "streams/streampb" || slices.Contains(pure, of)
	case strings.HasPrefix(imported, "google.golang.org/protobuf"):
		return true
	case imported == "net" || strings.HasPrefix(imported, "net/") || imported == "os" || imported == "os/exec":
		return false
	}
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") // the standard library
}

func TestImports(t *testing.T) {
	for _, problem := range broken(list(t)) {
		t.Error(problem)
	}
}

// The rules themselves: each is shown to catch what it is for.
func TestRulesCatchWhatTheyAreFor(t *testing.T) {
	for name, imported := range map[string]string{
		"edge/hub":               module + "services/group",
		"services/group":         "net/http",
		"streams":                "github.com/nats-io/nats.go",
		"streams/eventlog":       module + "edge/ring",
		"edge/backfill":          module + "edge/hub",
		"projections":            "github.com/ClickHouse/clickhouse-go/v2",
		"services/command":       module + "ops/irc",
		"edge":                   "github.com/gorilla/websocket",
		"projections/clickhouse": module + "projections/history",
	} {
		if judge(name, imported) == "" {
			t.Errorf("%s may import %s", name, imported)
		}
	}
	leaking := map[string]listed{"edge": {Deps: []string{"testing"}}}
	if len(broken(leaking)) == 0 {
		t.Error("test code in a production package goes unnoticed")
	}
}

// Pure packages read no clock and start no goroutine.
func TestPurePackagesReadNoClock(t *testing.T) {
	packages := list(t)
	for _, name := range pure {
		p, ok := packages[name]
		if !ok {
			t.Errorf("there is no package %s", name)
			continue
		}
		for _, file := range p.GoFiles {
			for _, word := range []string{"time.Now(", "time.Since(", "time.After(", "\tgo func", "rand."} {
				if strings.Contains(source(t, filepath.Join(p.Dir, file)), word) {
					t.Errorf("%s/%s contains %q", name, file, word)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsOnce(t *testing.T) {
	for name, p := range list(t) {
		comments := 0
		for _, file := range p.GoFiles {
			parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if parsed.Doc != nil {
				comments++
			}
		}
		if comments != 1 && len(p.GoFiles) > 0 {
			t.Errorf("%s has %d package comments, want one", name, comments)
		}
	}
}
