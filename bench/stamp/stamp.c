// The program in a measured pod: the first thing that it does is to write the
// monotonic clock to the file that its argument names; then it waits to be
// stopped. It is C, so that no language runtime's own start is measured.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void stop(int signal) { _exit(0); }

int main(int argc, char **argv) {
	struct timespec now;
	char text[32], half[4096];
	if (clock_gettime(CLOCK_MONOTONIC, &now) || argc != 2)
		return 1;
	int n = snprintf(text, sizeof text, "%lld", now.tv_sec * 1000000000LL + now.tv_nsec);
	snprintf(half, sizeof half, "%s.tmp", argv[1]);
	int fd = open(half, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, text, n) != n || close(fd) || rename(half, argv[1]))
		return 1;
	signal(SIGTERM, stop);
	for (;;)
		pause();
}
