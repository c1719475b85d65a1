// Package e2e tests Throng as its users meet it: it builds the binary, starts
// it as a process, and speaks WebSocket, HTTP and SQL to it. Only what
// PROTOCOL promises is asked; nothing of the product's inside is replaced.
//
// # What is real
//
// Everything. The binary is built with the race detector, once per run, and a
// race reported by any process fails the test that started it. Each process
// has a data folder and loopback ports of its own, and keeps them when it is
// started again. ClickHouse is the engine `throng dev` brings along.
//
// # The checker
//
// Every client of these tests checks what it receives while it receives it: per
// channel, versions follow each other without a hole and without a repetition,
// except where a gap frame said so before; numbers and sequences fit; nothing
// comes at or below the version the subscription was answered with. So each
// test is also a test of delivery. Where a check has to find something, a
// negative control shows that it can.
//
// # Time
//
// Nothing waits for a fixed time: conditions are polled with a patience that
// is generous, because machines are slow and the race detector is too.
package e2e
