package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"throng/wire"
)

// sink is a node that takes every event and does nothing.
type sink struct{ *fakeNode }

func (sink) Publish(context.Context, wire.Snowflake, []EventInput) (uint64, []error, error) {
	return 1, nil, nil
}

// BenchmarkPublish is what the door adds to one event of 500 bytes, sent alone or in a stream of
// a thousand.
func BenchmarkPublish(b *testing.B) {
	event := `{"t":"MESSAGE_CREATE","d":{"id":"1","content":"` + strings.Repeat("x", 440) + `"}}`
	for name, count := range map[string]int{"alone": 1, "stream": 1000} {
		body := strings.Repeat(event+"\n", count)
		b.Run(name, func(b *testing.B) {
			h := Admin(sink{newFake()}, Config{AdminToken: "t"})
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(http.MethodPost, "/v1/guilds/2/events",
					strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer t")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != http.StatusAccepted {
					b.Fatal(w.Code, w.Body)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*count), "ns/event")
		})
	}
}
