package engine

import "errors"

// Conditions a caller can tell apart with errors.Is. Their texts are written for whoever started the program.
var (
	// ErrUnsupported: the embedded engine exists for linux/amd64 only. Returned by [Fetch] and [New].
	ErrUnsupported = errors.New("the embedded ClickHouse engine runs on linux/amd64 only; " +
		"give the DSN of an external ClickHouse instead")

	// ErrNoNPM: the library is not cached yet and there is no npm to download it with. Returned by [Fetch].
	ErrNoNPM = errors.New("npm is not in PATH and is needed once, to download the ClickHouse engine; " +
		"install Node.js with npm, or give the DSN of an external ClickHouse instead")

	// ErrOffline: npm could not reach its registry. Returned by [Fetch].
	ErrOffline = errors.New("the npm registry cannot be reached and the ClickHouse engine is not in the cache yet; " +
		"connect once, or give the DSN of an external ClickHouse instead")

	// ErrChecksum: what was downloaded is not the release this program was built for. Nothing of it is kept. Returned
	// by [Fetch].
	ErrChecksum = errors.New("the downloaded ClickHouse engine has the wrong checksum and was thrown away")

	// ErrInUse: another live supervisor owns the data directory. Returned by [Engine.Run].
	ErrInUse = errors.New("the data directory is in use by another running process")

	// ErrPortTaken: a program that is not ours listens on the engine's address. Returned by [Engine.Run], which returns it
	// only before the first start; later it waits for the port.
	ErrPortTaken = errors.New("the address is taken by another program")
)
