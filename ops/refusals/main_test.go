package refusals_test

import (
	"testing"

	"github.com/throng/throng/projections/engine/enginetest"
)

func TestMain(m *testing.M) { enginetest.Main(m) }
