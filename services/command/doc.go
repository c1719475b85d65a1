// Package command takes commands from NATS for the partitions this process
// serves: it decodes a request, checks every name in it, hands it to the
// partition's sequencer and answers.
//
// A partition's commands come on one subject, in one subscription without a
// queue group, so that they are decided in the order they were sent. While a
// partition is served by nobody here, there is no subscription: NATS then tells
// askers at once, and they try again.
package command
