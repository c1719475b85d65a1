package faults

import "fmt"

// Corruption is what happens to the files of a NATS node while it is down.
type Corruption string

const (
	Intact   Corruption = ""
	FlipLog  Corruption = "flip"     // bits of the logs
	Truncate Corruption = "truncate" // the ends of the logs' files
	FlipWAL  Corruption = "wal"      // bits of what the nodes agree with
)

// MarshalText implements [encoding.TextMarshaler].
func (k Corruption) MarshalText() ([]byte, error) { return []byte(k), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *Corruption) UnmarshalText(text []byte) error {
	switch *k = Corruption(text); *k {
	case Intact, FlipLog, Truncate, FlipWAL:
		return nil
	}
	return fmt.Errorf("no corruption is called %q", text)
}
