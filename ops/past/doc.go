// Package past looks at a group as it was: it reads all events of a group in the
// order of its log, from ClickHouse as far as the log no longer holds them and
// from JetStream after that, folds them up to a sequence or a time ([At]), or
// copies them into another deployment or under another name ([Copy]).
package past
