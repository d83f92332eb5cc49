/* LD_PRELOAD: SIGTERM comes right before poll(2), once, where so many descriptors as LATE_SIGNAL says are waited for,
 * the first of them for something to read; or right before rename(2). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int poll(struct pollfd *descriptors, nfds_t count, int milliseconds)
{
  static int came;
  int (*real)(struct pollfd *, nfds_t, int) = dlsym(RTLD_NEXT, "poll");
  if (!came && count == strtoul(getenv("LATE_SIGNAL"), 0, 10) && descriptors[0].events & POLLIN) {
    came = 1;
    raise(SIGTERM);
  }
  return real(descriptors, count, milliseconds);
}

int rename(const char *from, const char *to)
{
  int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
  if (strcmp(getenv("LATE_SIGNAL"), "rename") == 0)
    raise(SIGTERM);
  return real(from, to);
}
