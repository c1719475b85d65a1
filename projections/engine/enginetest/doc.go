// Package enginetest gives tests the real ClickHouse engine: one per test binary, a database per test.
//
//	func TestMain(m *testing.M) { enginetest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		dsn := enginetest.DSN(t) // an empty database of this test's own
//
// Test binaries of several packages run at once and each has an engine of its own, on its own port, in a temporary
// directory. They share the library in the user's cache, which the first of them fetches. Where there can be no engine
// the tests fail; they never skip.
package enginetest
