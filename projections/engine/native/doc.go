// Package native speaks as much of ClickHouse's native TCP protocol as starting an engine needs: to ask who answers on
// a port, and to run a statement that returns no rows.
//
// It exists so that neither projections/engine nor its tests' helper imports the driver, which belongs to
// projections/clickhouse alone. It is not a client: whoever wants rows uses the driver.
//
// Both calls announce an old protocol revision on purpose. A server writes only what the announced revision knew, so
// the answers stay short and keep their shape when the engine is upgraded:
//
//	call   revision   because
//	Hello  54372      the first whose greeting carries the server's display name
//	Exec   50264      before settings, client information and profile events joined the packets
package native
