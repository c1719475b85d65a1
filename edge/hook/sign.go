package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// SignatureHeader carries what [Sign] returns.
const SignatureHeader = "Throng-Signature"

// Sign returns the signature of a body at a time (seconds since 1970 UTC), as the
// package comment has it. The scheme is the one of Stripe's webhooks, for which
// receivers have code.
func Sign(secret []byte, t int64, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	_, _ = fmt.Fprintf(mac, "%d.", t) // a hash takes everything
	_, _ = mac.Write(body)
	return fmt.Sprintf("t=%d,v1=%s", t, hex.EncodeToString(mac.Sum(nil)))
}
