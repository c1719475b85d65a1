// Package topology says which streams and buckets a deployment has, as plain
// data, and makes NATS have them. Provisioning is idempotent: it compares,
// reports each difference and changes what can be changed. What cannot be (the
// number of partitions) is refused.
package topology
