package secret

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Value is a plain secret. Printing, logging or encoding it in any way shows
// "(sensitive)"; Reveal returns it.
type Value string

const hidden = "(sensitive)"

// Reveal returns the secret itself.
func (v Value) Reveal() string { return string(v) }

// String hides the secret.
func (Value) String() string { return hidden }

// GoString hides the secret.
func (Value) GoString() string { return hidden }

// Format hides the secret under every verb.
func (Value) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// MarshalText hides the secret in JSON and YAML.
func (Value) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the secret in logs.
func (Value) LogValue() slog.Value { return slog.StringValue(hidden) }

// Value refuses to store the secret in a database as it is.
func (Value) Value() (driver.Value, error) {
	return nil, errors.New("a secret was about to be stored in the database: encrypt it first")
}
