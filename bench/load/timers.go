package load

// task is what a timer is for.
type task uint8

const (
	taskBeat  task = iota // Send a heartbeat.
	taskDial              // Connect again.
	taskLogin             // Identify or resume on the open socket.
	taskSip               // A slow reader's next few bytes.
)

// timer is one thing to do for one connection. One whose generation is not the connection's is
// about a socket that is gone, and is dropped when its time comes.
type timer struct {
	at         int64 // nanoseconds since the start of the run
	slot       uint32
	generation uint32
	task       task
}

// timers is a binary heap, earliest first. A million connections with a heartbeat every 41 s are
// 24,000 changes a second of some 20 steps: one or two percent of a processor.
type timers []timer

func (t *timers) push(add timer) {
	heap := append(*t, add)
	i := len(heap) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if heap[parent].at <= add.at {
			break
		}
		heap[i] = heap[parent]
		i = parent
	}
	heap[i] = add
	*t = heap
}

// pop takes the earliest off. REQUIRES: there is one.
func (t *timers) pop() timer {
	heap := *t
	top, last := heap[0], heap[len(heap)-1]
	heap = heap[:len(heap)-1]
	*t = heap
	if len(heap) == 0 {
		return top
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(heap) {
			break
		}
		if child+1 < len(heap) && heap[child+1].at < heap[child].at {
			child++
		}
		if last.at <= heap[child].at {
			break
		}
		heap[i] = heap[child]
		i = child
	}
	heap[i] = last
	return top
}
