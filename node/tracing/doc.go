// Package tracing is the node's part of a distributed trace: it reads the W3C traceparent of what a
// backend asks for, makes spans of what the node does about it, and sends these to a collector by
// OTLP.
//
// It never decides that something is traced: whoever asks does, by the last bit of traceparent.
// What is not sampled costs a look at that bit, and nothing is parsed; in the original, contexts
// that were taken apart only to find that they were not sampled were three quarters of a handler's
// time.
// It is called by the doors, and by shards and loops where an event carries a Context of its own. A
// span is some microseconds to make, so of many receivers a few get one; see tuning.TraceShare.
// Spans wait in a bounded queue for a goroutine of the exporter, and are dropped when it is full.
// Start reading at Parse, then Tracer.
package tracing
