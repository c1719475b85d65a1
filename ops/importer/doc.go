// Package importer brings chat logs from elsewhere into a group: what was said,
// who came and went, with the times of the log.
//
// Every line becomes commands whose client ids follow from the file's name, the
// line's number and its text. A second import of the same file makes the same
// ids, finds them in the group's log and adds nothing; so does one that was
// interrupted and is started again.
//
// Commands go to the owner of the group's partition in batches, one batch at a
// time, so the order of the lines is the order of the log.
package importer
