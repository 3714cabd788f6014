// What the kernel itself asks for a fan-out: the same bytes written to N loopback sockets, one
// write per socket and round, and nothing else. A server cannot deliver a frame to a socket for
// less than this, unless it puts several into one write.
//
//   cc -O2 -o rawlimit rawlimit.c && ./rawlimit SOCKETS BYTES ROUNDS
//
// The writer is the parent; a child reads from all sockets. The parent's processor time per
// write is the floor. It waits, without counting that as writing, until a round has been read
// before it writes the next, as a server does that has nothing to batch: otherwise a slow reader
// would fill the sockets, and the writer would spend its time on being told so.
//
// Prints one line: sockets, bytes, writes, cpu_us and wall_us per write, and writes_per_s from the
// first write until everything is read.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
	fprintf(stderr, "rawlimit: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double wall_us(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static double cpu_us(void) {
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

// reader connects all sockets and reads until it is killed or its parent is gone. After each
// complete round it writes a byte to report.
static void reader(struct sockaddr_in to, int sockets, int64_t round_bytes, int report) {
	static char buffer[1 << 16];
	static struct epoll_event events[512];
	int poller = epoll_create1(0);
	for (int i = 0; i < sockets; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		if (fd < 0) fail("open a socket to read from");
		if (connect(fd, (struct sockaddr *)&to, sizeof to)) fail("connect");
		struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
		if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e)) fail("watch a socket");
	}
	for (int64_t got = 0;;) {
		int ready = epoll_wait(poller, events, 512, -1);
		for (int i = 0; i < ready; i++) {
			ssize_t n = recv(events[i].data.fd, buffer, sizeof buffer, MSG_DONTWAIT);
			if (n == 0) exit(0);
			if (n > 0) got += n;
		}
		for (; got >= round_bytes; got -= round_bytes)
			if (write(report, "", 1) != 1) exit(0);
	}
}

// write_all writes to one socket, and waits where the kernel takes only a part.
static void write_all(int fd, const char *bytes, int size) {
	for (int done = 0; done < size;) {
		ssize_t n = send(fd, bytes + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			done += n;
		} else if (errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};
			poll(&p, 1, 1000);
		} else {
			fail("write");
		}
	}
}

int main(int argc, char **argv) {
	if (argc != 4) {
		fprintf(stderr, "usage: rawlimit SOCKETS BYTES ROUNDS\n");
		return 2;
	}
	int sockets = atoi(argv[1]), size = atoi(argv[2]), rounds = atoi(argv[3]), on = 1;
	if (sockets < 1 || size < 1 || rounds < 1) return 2;

	int listener = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = {.sin_family = AF_INET};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	socklen_t length = sizeof address;
	if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 65535) ||
	    getsockname(listener, (struct sockaddr *)&address, &length))
		fail("listen");
	int report[2];
	if (pipe(report)) fail("make a pipe");
	pid_t child = fork();
	if (child < 0) fail("fork");
	if (child == 0) reader(address, sockets, (int64_t)sockets * size, report[1]);

	int *fds = malloc(sizeof *fds * sockets);
	char *bytes = malloc(size);
	memset(bytes, 'x', size);
	for (int i = 0; i < sockets; i++) {
		if ((fds[i] = accept(listener, 0, 0)) < 0) fail("accept");
		setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	}
	double cpu = 0, wall = 0, began = wall_us();
	for (int round = 0; round < rounds; round++) {
		double c = cpu_us(), w = wall_us();
		for (int i = 0; i < sockets; i++) write_all(fds[i], bytes, size);
		cpu += cpu_us() - c;
		wall += wall_us() - w;
		char done;
		if (read(report[0], &done, 1) != 1) fail("wait for the reader");
	}
	double all = wall_us() - began, writes = (double)sockets * rounds;
	printf("sockets=%d bytes=%d writes=%.0f cpu_us=%.3f wall_us=%.3f writes_per_s=%.0f\n", sockets,
	       size, writes, cpu / writes, wall / writes, writes / all * 1e6);
	for (int i = 0; i < sockets; i++) close(fds[i]);
	waitpid(child, 0, 0);
	return 0;
}
