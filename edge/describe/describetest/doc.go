// Package describetest holds what a server says against the descriptions it
// publishes: that each answer and frame is as they say, and which of what they
// say was never met.
package describetest
