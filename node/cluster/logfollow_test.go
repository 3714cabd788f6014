package cluster

import (
	"testing"

	"throng/node/cluster/enginetest"
)

func TestLogKnowsWhetherItReads(t *testing.T) {
	needEngines(t)
	server := enginetest.NATS(t)
	r := openLog(t, 1, 0, server)
	until(t, "it reads", r.Reads)
	server.Freeze()
	until(t, "the server says nothing", func() bool { return !r.Reads() })
	server.Thaw()
	until(t, "it reads again", r.Reads)
	server.Kill()
	until(t, "the server has gone", func() bool { return !r.Reads() })
	server.Start()
	until(t, "it reads again", r.Reads)
}
