package clickhouse

import (
	"fmt"
	"strconv"
	"strings"
)

// Tuples builds the value of an Array(Tuple(…)) parameter, for «(a, b) IN
// {keys:Array(Tuple(String, UInt64))}».
type Tuples struct{ text strings.Builder }

// literalEscaper makes a string safe between single quotes.
var literalEscaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\x00", `\0`, "\t", `\t`, "\n", `\n`, "\r", `\r`)

// Add appends a tuple of strings and uint64s; anything else is a bug and
// panics.
func (t *Tuples) Add(values ...any) {
	if t.text.Len() > 0 {
		t.text.WriteByte(',')
	}
	t.text.WriteByte('(')
	for i, value := range values {
		if i > 0 {
			t.text.WriteByte(',')
		}
		switch value := value.(type) {
		case string:
			t.text.WriteByte('\'')
			_, _ = literalEscaper.WriteString(&t.text, value)
			t.text.WriteByte('\'')
		case uint64:
			t.text.WriteString(strconv.FormatUint(value, 10))
		default:
			panic(fmt.Sprintf("tuple of a %T", value))
		}
	}
	t.text.WriteByte(')')
}

// String is the parameter's text. The value of the parameter is the Tuples
// itself, not this string: a string the driver would escape once more.
func (t *Tuples) String() string { return "[" + t.text.String() + "]" }
