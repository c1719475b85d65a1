// Package hidden keeps which messages users hide for themselves. That is in no
// group's log, because it concerns nobody else: it stands in the streams of what
// users have, one record for each channel of a user, which only grows.
//
//	Add   reads the record, puts a number in and writes it on the condition that
//	      nobody wrote it meanwhile, else again; it ends when the record is stored
//	Load  reads all records of a user in a group
//	Run   tells of every record that is written, by whichever edge, a few seconds
//	      later at most
//
// # How new what Load reads is
//
// Any replica may answer it, and one may be behind. What Load reads is at least as
// new as what Run has told of; what is written later, Run tells of. So who puts
// together both, in any order, has everything. Edges tell each other of hides at
// once besides, which may be lost.
package hidden
