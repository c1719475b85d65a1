package command

// WithRollbackMost has a test's rollbacks say sooner that there is more.
func (r *Runner) WithRollbackMost(messages int) *Runner {
	r.most = messages
	return r
}
