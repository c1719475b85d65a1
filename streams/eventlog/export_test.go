package eventlog

// MaxAnswers is how many messages one question is answered with at most.
const MaxAnswers = maxAnswers

// WithReplayWorth has a test's replay read with a consumer sooner.
func (r *Reader) WithReplayWorth(messages uint64) *Reader {
	r.worth = messages
	return r
}
