package clickhouse

import "time"

// ColumnOf makes a column of rows by what value takes from each.
func ColumnOf[R, V any](name string, rows []R, value func(R) V) Column {
	values := make([]V, len(rows))
	for i, row := range rows {
		values[i] = value(row)
	}
	return Column{Name: name, Values: values}
}

// LastOf returns the last row of each key, in their order. A table that keeps
// one row per key gets no two of one key in one block, because an insert does
// not fold them (see [Open]).
func LastOf[R any, K comparable](rows []R, key func(R) K) []R {
	if len(rows) < 2 {
		return rows
	}
	last := make(map[K]int, len(rows))
	for i, row := range rows {
		last[key(row)] = i
	}
	if len(last) == len(rows) {
		return rows
	}
	kept := make([]R, 0, len(last))
	for i, row := range rows {
		if last[key(row)] == i {
			kept = append(kept, row)
		}
	}
	return kept
}

// ClickHouse's DateTime64 and the driver's nanoseconds both end where these
// do. A time outside is a back end's mistake in an import; the event keeps it.
var (
	firstTime = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	lastTime  = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
)

// Time is ts, in ms since 1970 UTC, as a DateTime64(3) column takes it.
func Time(ts int64) time.Time {
	return time.UnixMilli(max(firstTime, min(ts, lastTime)))
}

// Flag is a truth as a UInt8 column takes it.
func Flag(set bool) uint8 {
	if set {
		return 1
	}
	return 0
}
