package group_test

import (
	"os"
	"testing"

	"github.com/throng/throng/services/group"
)

func TestPermissionsAreDocumented(t *testing.T) {
	const file = "../../docs/permissions.md"
	want := group.PermissionTable()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%s is not what the code says: go test ./services/group -run Permissions -update", file)
	}
}
