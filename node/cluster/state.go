package cluster

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"throng/tuning"
)

// Keys of a cluster in etcd. Below the prefix are the nodes' records by name, the pins by guild,
// and the shared configuration.
const (
	keyRoot   = "/throng/"
	keyNodes  = "nodes/"
	keyPins   = "pins/"
	keyConfig = "config"
)

func keyPrefix(cluster string) string { return keyRoot + cluster + "/" }

// state is what etcd holds of a cluster. It knows no etcd: whoever watches gives it key-values.
type state struct {
	prefix   string
	revision uint64
	nodes    map[string]Node
	pins     map[uint64]string
	config   []byte
}

func newState(prefix string) *state {
	return &state{prefix: prefix, nodes: map[string]Node{}, pins: map[uint64]string{}}
}

// put takes a key's value. created is the revision at which the key came to be. What cannot be
// meant is as good as not there, for all nodes alike; the error is for the log.
func (s *state) put(key string, value []byte, created uint64) error {
	kind, name, err := s.parse(key)
	if err != nil {
		return err
	}
	s.delete(key)
	switch kind {
	case keyNodes:
		var n Node
		if err := json.Unmarshal(value, &n); err != nil {
			return fmt.Errorf("parse the record at %s: %w", key, err)
		}
		if n.Name != name || !ValidName(n.Name) {
			return fmt.Errorf("the record at %s is of %q", key, n.Name)
		}
		n.Incarnation = created
		s.nodes[name] = n
	case keyPins:
		guild, err := strconv.ParseUint(name, 10, 64)
		if err != nil || !ValidName(string(value)) {
			return fmt.Errorf("the pin at %s is to %.80q", key, value)
		}
		s.pins[guild] = string(value)
	case keyConfig:
		s.config = value
	}
	return nil
}

// delete forgets a key.
func (s *state) delete(key string) {
	kind, name, _ := s.parse(key)
	switch kind {
	case keyNodes:
		delete(s.nodes, name)
	case keyPins:
		if guild, err := strconv.ParseUint(name, 10, 64); err == nil {
			delete(s.pins, guild)
		}
	case keyConfig:
		s.config = nil
	}
}

func (s *state) parse(key string) (kind, name string, err error) {
	rest, ours := strings.CutPrefix(key, s.prefix)
	if rest == keyConfig {
		return keyConfig, "", nil
	}
	for _, kind := range []string{keyNodes, keyPins} {
		if name, found := strings.CutPrefix(rest, kind); ours && found && name != "" {
			return kind, name, nil
		}
	}
	return "", "", fmt.Errorf("the key %s means nothing", key)
}

// ValidName says whether a node or a cluster may have the name. It is part of keys in etcd and of
// subjects in NATS: letters, digits and -_. as in host names, the dots inside.
func ValidName(name string) bool {
	if name == "" || len(name) > tuning.NodeNameBytesMax || strings.Contains(name, "..") ||
		name[0] == '.' || name[len(name)-1] == '.' {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			r == '-' || r == '_' || r == '.')
	}) < 0
}
