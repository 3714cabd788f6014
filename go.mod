module throng

go 1.26.0

require (
	github.com/HdrHistogram/hdrhistogram-go v1.2.0 // Latencies of the load generator.
	github.com/bwmarrin/discordgo v0.29.0 // Tests only: a real client.
	github.com/coder/websocket v1.8.15 // Tests only: a WebSocket implementation that is not ours.
	github.com/coreos/go-systemd/v22 v22.5.0 // Tells systemd which process has taken over.
	github.com/disgoorg/disgo v0.19.6 // Tests only: a real client.
	github.com/disgoorg/snowflake/v2 v2.0.3 // Tests only: ids in disgo's API.
	github.com/golang-jwt/jwt/v5 v5.3.0 // Tokens of -auth jwt.
	github.com/klauspost/compress v1.20.3 // Deflate and zstd; blocks that can be shared.
	github.com/nats-io/nats.go v1.55.0 // Pushes to a subject; a cluster's data plane and log.
	github.com/panjf2000/gnet/v2 v2.10.0 // Its poller drives the loops: epoll, kqueue, and tasks that wake them.
	github.com/prometheus/client_golang v1.23.2 // /metrics.
	github.com/puzpuzpuz/xsync/v3 v3.5.1 // Tables that any goroutine reads without a lock.
	github.com/valyala/bytebufferpool v1.0.0 // Buffers of the HTTP doors' answers.
	go.etcd.io/bbolt v1.4.3 // The embedded store.
	go.etcd.io/etcd/client/v3 v3.6.15 // Membership of a cluster: leases, watches.
	go.opentelemetry.io/otel v1.44.0 // Attributes of spans.
	go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp v1.44.0 // -otlp.
	go.opentelemetry.io/otel/sdk v1.44.0 // Spans that wait to be sent.
	go.opentelemetry.io/otel/trace v1.44.0 // Spans.
	go.opentelemetry.io/proto/otlp v1.10.0 // Tests only: what a collector is sent.
	golang.org/x/sys v0.48.0 // Sockets of the gateway and their options, epoll of the load generator.
	google.golang.org/protobuf v1.36.11 // Tests only: the same.
)

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cenkalti/backoff/v5 v5.0.3 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/coreos/go-semver v0.3.1 // indirect
	github.com/disgoorg/godave v0.1.0 // indirect
	github.com/disgoorg/json/v2 v2.0.0 // indirect
	github.com/disgoorg/omit v1.0.0 // indirect
	github.com/go-logr/logr v1.4.3 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/golang/protobuf v1.5.4 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/gorilla/websocket v1.5.3 // indirect
	github.com/grpc-ecosystem/grpc-gateway/v2 v2.29.0 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/nats-io/nkeys v0.4.16 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/panjf2000/ants/v2 v2.12.1 // indirect
	github.com/prometheus/client_model v0.6.2 // indirect
	github.com/prometheus/common v0.66.1 // indirect
	github.com/prometheus/procfs v0.16.1 // indirect
	github.com/sasha-s/go-csync v0.0.0-20240107134140-fcbab37b09ad // indirect
	go.etcd.io/etcd/api/v3 v3.6.15 // indirect
	go.etcd.io/etcd/client/pkg/v3 v3.6.15 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel/exporters/otlp/otlptrace v1.44.0 // indirect
	go.opentelemetry.io/otel/metric v1.44.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	go.uber.org/zap v1.28.0 // indirect
	go.yaml.in/yaml/v2 v2.4.2 // indirect
	golang.org/x/crypto v0.57.0 // indirect
	golang.org/x/net v0.58.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/genproto/googleapis/api v0.0.0-20260526163538-3dc84a4a5aaa // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260526163538-3dc84a4a5aaa // indirect
	google.golang.org/grpc v1.83.2 // indirect
	gopkg.in/natefinch/lumberjack.v2 v2.2.1 // indirect
)
