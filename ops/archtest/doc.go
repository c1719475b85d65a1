// Package archtest keeps the shape of the house by a test: who may import whom,
// which packages are pure, and that every package says what it is.
package archtest
