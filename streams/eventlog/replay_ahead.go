package eventlog

const (
	// aheadBatch is how many messages go to the visitor at once, aheadBatches how
	// many batches wait for it; with a page of the consumer in the subscription's
	// queue that is what is in memory of a log that is replayed.
	aheadBatch   = 250
	aheadBatches = 16
)

// ahead has messages visited by a goroutine of its own while the next ones are
// asked for and read. Its reader calls add and, in any case, finish.
type ahead struct {
	// Owned by the reader.
	batch []Message

	// Owned by the goroutine until ended is closed.
	visit   func(Message) error
	refused error // what visit returned

	batches chan []Message // closed by finish; when it is full, add waits
	stopped chan struct{}  // closed when visit has refused
	ended   chan struct{}  // closed when nothing is visited any more
}

func readAhead(visit func(Message) error) *ahead {
	a := &ahead{
		visit: visit, batches: make(chan []Message, aheadBatches),
		stopped: make(chan struct{}), ended: make(chan struct{}),
	}
	go a.run() // waited for in finish
	return a
}

func (a *ahead) run() {
	defer close(a.ended)
	for batch := range a.batches {
		for _, m := range batch {
			if a.refused = a.visit(m); a.refused != nil {
				close(a.stopped)
				return
			}
		}
	}
}

// add has a message visited; false if one before was refused.
func (a *ahead) add(m Message) bool {
	if a.batch == nil {
		a.batch = make([]Message, 0, aheadBatch)
	}
	a.batch = append(a.batch, m)
	return len(a.batch) < aheadBatch || a.flush()
}

func (a *ahead) flush() bool {
	batch := a.batch
	a.batch = nil
	select {
	case a.batches <- batch:
		return true
	case <-a.stopped:
		return false
	}
}

// finish waits until all is visited, or one was refused, and returns why.
func (a *ahead) finish() error {
	a.flush()
	close(a.batches)
	<-a.ended
	return a.refused
}
