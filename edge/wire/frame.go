package wire

import (
	"bytes"
	"encoding/json"

	"github.com/throng/throng/streams"
)

// Next cuts the first frame off a WebSocket message. Blank lines are no
// frames; ok is false at the end.
func Next(message []byte) (frame, rest []byte, ok bool) {
	for len(message) > 0 {
		frame, message, _ = bytes.Cut(message, []byte{'\n'})
		if frame = bytes.TrimSpace(frame); len(frame) > 0 {
			return frame, message, true
		}
	}
	return nil, nil, false
}

// ParseFrame reads one frame, which must be UTF-8. The error is a
// [*streams.Rejection]; id is what to answer to also then, 0 if it could not
// be read, and the command's name is set where it could.
func ParseFrame(frame []byte) (id uint64, c Command, err error) {
	if !json.Valid(frame) {
		return salvageID(frame), Command{}, streams.Reject(streams.BadRequest, "the frame is not JSON")
	}
	all, ok := members(frame)
	if !ok {
		return 0, Command{}, streams.Reject(streams.BadRequest, "the frame is not an object")
	}
	var command *member
	count := 0
	for i := range all {
		if all[i].key == "id" {
			id, _ = parseNumber(all[i].value)
			continue
		}
		count++
		command = &all[i]
	}
	switch {
	case id == 0 || id > streams.MaxInteger:
		return 0, Command{}, streams.Reject(streams.BadRequest, "id must be an integer above 0, below 2^53")
	case count != 1:
		return id, Command{}, streams.Reject(streams.BadRequest, "a frame has an id and exactly one command")
	}
	c, err = parse(Name(command.key), command.value)
	return id, c, err
}

// salvageID reads the id of a frame that breaks off or goes wrong behind it.
func salvageID(frame []byte) uint64 {
	d := json.NewDecoder(bytes.NewReader(frame))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return 0
	}
	for {
		key, err := d.Token()
		if err != nil {
			return 0
		}
		if key != "id" {
			var skip json.RawMessage
			if d.Decode(&skip) != nil {
				return 0
			}
			continue
		}
		var n json.Number
		if d.Decode(&n) != nil {
			return 0
		}
		id, ok := parseNumber([]byte(n))
		if !ok {
			return 0
		}
		return id
	}
}
