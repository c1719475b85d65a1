package load

import (
	"encoding/json"
	"errors"
	"testing"
	"time"
)

func TestAJoinThatIsToldOtherAttributesIsCounted(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		err    error
		ok     bool
	}{
		"the same":      {`{"attrs":{"a":{"value":"1"},"b":{"value":"2"}}}`, nil, true},
		"one missing":   {`{"attrs":{"a":{"value":"1"}}}`, nil, false},
		"one more":      {`{"attrs":{"a":{"value":"1"},"b":{"value":"2"},"c":{"value":"3"}}}`, nil, false},
		"another value": {`{"attrs":{"a":{"value":"1"},"b":{"value":"1"}}}`, nil, false},
		"another key":   {`{"attrs":{"a":{"value":"1"},"c":{"value":"2"}}}`, nil, false},
		"none":          {`{}`, nil, false},
		"refused":       {``, errors.New("unavailable"), false},
	} {
		j := &joining{attributes: map[string]string{"a": "1", "b": "2"}, took: newHistogram()}
		j.entered(time.Millisecond, json.RawMessage(test.answer), test.err)
		if j.report.OK() != test.ok {
			t.Errorf("%s: %v", name, j.report)
		}
	}
}
