package eventlog

// WithReplayWorth has a test's replay read with a consumer sooner.
func (r *Reader) WithReplayWorth(messages uint64) *Reader {
	r.worth = messages
	return r
}
