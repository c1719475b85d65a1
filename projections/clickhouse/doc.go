// Package clickhouse is the connection to ClickHouse: opening, migrating,
// inserting columns, asking. It is the only importer of clickhouse-go, and it
// knows no event and no message: what the tables mean is the business of the
// projections.
//
// # Who says what is stored
//
// The files in migrations are the authority on tables and columns, each with
// a comment that ClickHouse keeps as well. [DB.Migrate] brings a database up
// to them and creates the database if it is missing. ClickHouse has no
// transactions, so each statement can be repeated: a migration that broke off
// is made again, and two processes may migrate at once.
//
// # When ClickHouse is away
//
// [Open] touches no network, and a [DB] outlives every outage: each call makes
// a connection if there is none. An error is either ClickHouse's own answer
// ([Answered] reports it) or means that it could not be asked; after an insert
// that failed in the second way the rows may or may not be there.
//
// # Values
//
// Values travel beside the query, as parameters ({name:Type}), never inside
// it. The protocol reads them as escaped text; this package escapes what the
// driver leaves alone and a test sends every byte there and back.
package clickhouse
