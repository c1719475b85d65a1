// Package token tells from a token who its bearer is.
//
// Two kinds are known: dev:<user>, where development mode is on, and JSON Web
// Tokens. Which algorithms may have signed a JWT follows from the keys that are
// configured, never from the token. Whatever is wrong with a token, its bearer
// learns only that it is not accepted, or that it has expired.
package token
