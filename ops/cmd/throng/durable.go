package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/throng/throng/streams/topology"
)

// durability looks at what a power cut would cost.
func (d *doctor) durability(deployment topology.Deployment, monitors []string) {
	const mend = "set jetstream { sync_interval: always } on every NATS server, and provision with --sync-always"
	if len(monitors) == 0 {
		switch {
		case deployment.SyncAlways:
			d.warn("give --monitor to have it looked at", "the deployment says that NATS syncs each write; that was not verified")
		case deployment.Replicas > 1:
			d.fail(mend, "lazy sync in a cluster: a power cut can lose acknowledged messages")
		default:
			d.warn(mend, "lazy sync: a power cut can lose acknowledged messages of the last two minutes")
		}
		return
	}
	for _, monitor := range monitors {
		page, err := d.look(monitor)
		switch {
		case err != nil:
			d.fail("give the servers' monitoring addresses with --monitor", "%s: %v", monitor, err)
		case !page.SyncAlways:
			d.fail(mend, "%s does not sync each write: a power cut can lose acknowledged messages", monitor)
		case !deployment.SyncAlways:
			d.warn("provision with --sync-always", "%s syncs each write, and the deployment does not know: appends travel slower than they could", monitor)
		default:
			d.ok("%s syncs each write", monitor)
		}
	}
}

// monitorPage is what a NATS server's monitoring tells of its JetStream.
type monitorPage struct {
	SyncAlways bool  `json:"sync_always"`
	MaxStorage int64 `json:"max_storage"` // bytes
}

// look asks a NATS server's monitoring page how it stores.
func (d *doctor) look(monitor string) (monitorPage, error) {
	answer, err := d.http.Get(strings.TrimSuffix(monitor, "/") + "/jsz?config=true")
	if err != nil {
		return monitorPage{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	var page struct {
		Config *monitorPage `json:"config"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&page); err != nil || page.Config == nil {
		return monitorPage{}, fmt.Errorf("not a monitoring page of NATS JetStream: %s", answer.Status)
	}
	return *page.Config, nil
}

// disks compares the logs' limits with what the servers may store: one that
// refuses before the log is full refuses snapshots and leases as well.
func (d *doctor) disks(deployment topology.Deployment, monitors []string) {
	if deployment.MaxLogBytes == 0 || len(monitors) < deployment.Replicas {
		return // there is no limit, or not all servers were named
	}
	need := deployment.MaxLogBytes * int64(deployment.Partitions) * int64(deployment.Replicas) / int64(len(monitors))
	for _, monitor := range monitors {
		if page, err := d.look(monitor); err == nil && page.MaxStorage > 0 && page.MaxStorage < need {
			d.fail("raise max_file_store, or lower --max-log-bytes",
				"%s may store %d bytes, and its share of full logs is %d", monitor, page.MaxStorage, need)
		}
	}
}

// grownFor is how long a log must have grown for its rate to mean something.
const grownFor = 10 * time.Minute

// stream looks at how one log is stored.
func (d *doctor) stream(info *jetstream.StreamInfo, deployment topology.Deployment) {
	if info.Config.PersistMode == jetstream.AsyncPersistMode {
		d.fail("make the stream anew: back it up, delete it, restore it with persist_mode default",
			"%s has persist_mode async: it syncs nothing before it acknowledges, whatever sync_interval says", info.Config.Name)
	}
	grown, window, limit := info.State.LastTime.Sub(info.State.FirstTime), deployment.HotWindow, deployment.MaxLogBytes
	if window == 0 || limit == 0 || grown < grownFor {
		return
	}
	if need := float64(info.State.Bytes) * window.Seconds() / grown.Seconds(); need > float64(limit) {
		d.warn("raise --max-log-bytes, or lower --hot-window",
			"%s grows by %.0f bytes within the hot window, and its limit is %d: senders will get unavailable", info.Config.Name, need, limit)
	}
}
