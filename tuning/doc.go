// Package tuning holds every figure that bounds a node, and everything a node asks of its host.
//
// Limits are constants with the arithmetic that led to them (limits.go); relations between them
// are checked by the compiler, and Table lists them for README. Size reads 64K, 256M and 2G.
// Memory and processor quotas come from the control group (cgroup.go), are applied to the
// runtime by Runtime.Apply, and Examine compares a host with a wanted number of connections:
// that is `throng doctor`.
//
// It never changes the host, opens no socket, starts no goroutine, and reads files only through
// an fs.FS, so that a test can hand it any machine. Main and node call it, mostly once, at the
// start. Start reading at limits.go.
package tuning
