// Package clients tries a running node against the client libraries that people really use.
//
// It holds tests only. They build the binary, start it as a process of its own, provision it
// through its admin HTTP and connect discordgo, disgo, discord.js, oceanic and eris to it, all over
// TCP: nothing of the node is imported, so a promise holds here only if it holds on the wire.
// Every connection runs through a proxy that the test can cut, hold or point at another node, and
// that notes which commands the library sent, so that "it resumed" is seen and not believed.
//
// Start reading at suite in suite_test.go: the life of one client from READY over cuts to a drain.
// The JavaScript libraries are pinned in package-lock.json, `npm ci` in this folder installs them.
// Their tests are skipped where node or the modules are missing, except when CI is set. Those of
// the Go libraries are left out under -race, which finds the races that these libraries have; the
// node is another process.
package clients
