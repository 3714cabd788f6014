package node

import (
	"strings"
	"testing"
	"time"

	"throng/tuning"
)

func TestConfigZeroValueIsTheDefault(t *testing.T) {
	c, err := Config{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != ":8080" || c.API != ":8081" || c.Admin != "127.0.0.1:9090" ||
		c.Data != "./throng-data" || c.InMemory || c.Auth != "tokens" {
		t.Errorf("doors and data: got %+v", c)
	}
	if c.ReadBuffer != 16<<10 || c.WriteBuffer != 4<<10 || c.Journal != 64<<20 {
		t.Errorf("sizes: got %v, %v, %v", c.ReadBuffer, c.WriteBuffer, c.Journal)
	}
	if c.HeartbeatInterval != 41_250*time.Millisecond || c.ResumeWindow != 3*time.Minute ||
		c.DrainGrace != 10*time.Second || c.DrainSpread != 30*time.Second ||
		c.DrainHard != time.Minute {
		t.Errorf("times: got %+v", c)
	}
	if c.Loops < 1 || c.MaxConnections < 1 || c.APIConnections < tuning.APIConnectionsMin {
		t.Errorf("derived: got %+v", c)
	}
	again, err := c.withDefaults()
	if err != nil || again != c {
		t.Errorf("filled twice: got %+v, %v, want no change", again, err)
	}
}

func TestConfigNegativeDurationIsZero(t *testing.T) {
	c, err := Config{ResumeWindow: -1, DrainGrace: -1, DrainSpread: -1}.withDefaults()
	if err != nil || c.ResumeWindow != 0 || c.DrainGrace != 0 || c.DrainSpread != 0 {
		t.Errorf("got %v, %v, %v, %v, want zeros", c.ResumeWindow, c.DrainGrace, c.DrainSpread, err)
	}
}

func TestConfigDemoIsInMemory(t *testing.T) {
	if c, err := (Config{Demo: true}).withDefaults(); err != nil || !c.InMemory {
		t.Errorf("got InMemory %v, %v, want true", c.InMemory, err)
	}
}

func TestConfigRefusals(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string // How the sentence begins.
	}{
		{Config{Listen: "8080"}, "-listen: "},
		{Config{API: "::1:8081"}, "-api: "},
		{Config{Admin: "here"}, "-admin: "},
		{Config{Admin: ":9090"}, "-admin: \":9090\" is not a loopback address"},
		{Config{Admin: "0.0.0.0:9090"}, "-admin: "},
		{Config{Admin: "[::]:9090"}, "-admin: "},
		{Config{Admin: "192.0.2.1:9090"}, "-admin: "},
		{Config{Admin: "admin.example.com:9090"}, "-admin: "},
		{Config{PublicURL: "gateway.example.com"}, "-public-url: "},
		{Config{PublicURL: "http://gateway.example.com"}, "-public-url: "},
		{Config{PublicURL: "ws://"}, "-public-url: "},
		{Config{PublicURL: "ws://gateway.example.com/?v=10"}, "-public-url: "},
		{Config{PublicURL: "ws://gateway.example.com/#a"}, "-public-url: "},
		{Config{Auth: "cookie"}, "-auth: "},
		{Config{Auth: AuthJWT}, "-auth-key: "},
		{Config{AuthKey: "secret"}, "-auth-key: "},
		{Config{Loops: -1}, "-loops: "},
		{Config{Loops: 257}, "-loops: "},
		{Config{ReadBuffer: 1}, "-read-buffer: "},
		{Config{WriteBuffer: 1 << 30}, "-write-buffer: "},
		{Config{MemoryLimit: -1}, "-memory-limit: "},
		{Config{SocketSendBuffer: -1}, "-socket-send-buffer: "},
		{Config{SocketReceiveBuffer: 1 << 40}, "-socket-receive-buffer: "},
		{Config{Journal: 1 << 10}, "-journal: 1K is not between 1M and 1T"},
		{Config{HeartbeatInterval: -1}, "-heartbeat-interval: 0s is not between 10ms and 24h"},
		{Config{HeartbeatInterval: time.Microsecond}, "-heartbeat-interval: "},
		{Config{ResumeWindow: 48 * time.Hour}, "-resume-window: "},
		{Config{DrainHard: -1}, "-drain-hard: "},
		{Config{IdentifyConcurrency: -1}, "-identify-concurrency: "},
		{Config{MaxConnections: -1}, "-max-connections: "},
		{Config{MaxConnections: 1 << 40}, "-max-connections: "},
	} {
		_, err := c.config.withDefaults()
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.config, err, c.want)
		}
	}
}

func TestConfigAdminDoors(t *testing.T) {
	for _, c := range []Config{
		{Admin: "127.0.0.1:0"}, {Admin: "127.8.8.8:1"}, {Admin: "[::1]:9090"},
		{Admin: "localhost:9090"}, {Admin: ":9090", AdminToken: "secret"},
	} {
		if _, err := c.withDefaults(); err != nil {
			t.Errorf("admin %q with token %q: got %v, want it accepted", c.Admin, c.AdminToken, err)
		}
	}
}

func TestConfigConnectionsFollowTheDescriptors(t *testing.T) {
	for _, c := range []struct {
		name        string
		descriptors uint64
		wanted      int
		got         int
		refused     bool
	}{
		{"what is left", 300, 0, 300 - 120 - 6, false},
		{"fewer", 300, 100, 100, false},
		{"one too many", 300, 215, 0, true},
		{"no room at all", 70, 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			filled, err := Config{Loops: 2, MaxConnections: c.wanted}.withConnections(c.descriptors)
			if filled.MaxConnections != c.got || (err != nil) != c.refused {
				t.Errorf("got %d, %v, want %d", filled.MaxConnections, err, c.got)
			}
		})
	}
}
