package eventlog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/throng/throng/streams"
)

// infoGet is JetStream's question for the subjects of a stream, page by page.
type infoGet struct {
	Filter string `json:"subjects_filter"`
	Offset int    `json:"offset"`
}

type infoAnswer struct {
	Error *apiError `json:"error"`
	Total int       `json:"total"` // subjects that match, of all pages
	State struct {
		LastSeq  uint64            `json:"last_seq"`
		Subjects map[string]uint64 `json:"subjects"`
	} `json:"state"`
}

// Subjects returns the subjects that have a message and match filter, in
// order. The stream's leader answers, from an index: it costs nothing for the
// subjects that do not match, where a scan may have to read what lies between.
// It returns [ErrBehind] if the stream is not at sequence from.
func (r *Reader) Subjects(ctx context.Context, filter string, from streams.Seq) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	subjects := map[string]struct{}{}
	for offset := 0; ; {
		body, err := json.Marshal(infoGet{Filter: filter, Offset: offset})
		if err != nil {
			return nil, err
		}
		msg, err := r.transport.Request(ctx, "$JS.API.STREAM.INFO."+r.stream, body)
		if err != nil {
			return nil, fmt.Errorf("list subjects of %s: %w", r.stream, err)
		}
		answer := infoAnswer{}
		if err := json.Unmarshal(msg.Data, &answer); err != nil {
			return nil, fmt.Errorf("list subjects of %s: %w", r.stream, err)
		}
		switch {
		case answer.Error != nil:
			return nil, fmt.Errorf("list subjects of %s: jetstream error %d: %s", r.stream, answer.Error.ErrCode, answer.Error.Description)
		case streams.Seq(answer.State.LastSeq) < from:
			return nil, fmt.Errorf("list subjects of %s as of %d: %w", r.stream, from, ErrBehind)
		}
		for s := range answer.State.Subjects {
			subjects[s] = struct{}{}
		}
		if offset += len(answer.State.Subjects); len(answer.State.Subjects) == 0 || offset >= answer.Total {
			break
		}
	}
	list := make([]string, 0, len(subjects))
	for s := range subjects {
		list = append(list, s)
	}
	slices.Sort(list)
	return list, nil
}
