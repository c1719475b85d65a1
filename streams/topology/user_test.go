package topology_test

import (
	"slices"
	"testing"

	"github.com/throng/throng/streams"
	"github.com/throng/throng/streams/streamtest"
	"github.com/throng/throng/streams/topology"
)

// A deployment of before there were streams of users gets them, and nothing else
// changes.
func TestProvisioningAddsTheStreamsOfUsers(t *testing.T) {
	n, d := streamtest.New(t), topology.Deployment{Partitions: 2, Replicas: 1}
	streamtest.Provision(t, n, d)
	for q := range streams.Partition(2) {
		if err := n.JS.DeleteStream(t.Context(), streams.UserStream(q)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range [][]topology.Change{
		{{What: "stream USER_0", How: "create"}, {What: "stream USER_1", How: "create"}}, {},
	} {
		changes, err := topology.Provision(t.Context(), n.JS, d, false)
		if err != nil || !slices.Equal(changes, want) {
			t.Errorf("changed %v, %v, want %v", changes, err, want)
		}
	}
}
