/* A checker: escape HOW: tries to get what a fence denies it; 100 (refused) where it got out, 0 where it was held. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HELD = 0, OUT = 100 };

static int memory(void)
{
  size_t size = 256 << 20;
  char *taken = malloc(size);
  if (taken) memset(taken, 1, size);
  return taken && taken[size - 1] ? OUT : HELD;
}

static int cpu(void)
{
  while (clock() < 3 * CLOCKS_PER_SEC / 2);
  return OUT;
}

static int files(void)
{
  int i;
  for (i = 0; i < 40; ++i) if (open("/dev/null", O_RDONLY) < 0) return HELD;
  return OUT;
}

static int grow(void)
{
  static char block[1 << 20];
  char name[] = "/tmp/escape.XXXXXX";
  int i, file = mkstemp(name), result = OUT;
  signal(SIGXFSZ, SIG_IGN);
  unlink(name);
  for (i = 0; i < 4; ++i) if (write(file, block, sizeof block) != sizeof block) result = HELD;
  return result;
}

static int processes(void)
{
  int i;
  for (i = 0; i < 30; ++i) {
    pid_t pid = fork();
    if (pid < 0) return HELD;
    if (!pid) { pause(); _exit(0); }
  }
  return OUT;
}

static int raised(void)
{
  struct rlimit most = {64, 64};
  return setrlimit(RLIMIT_NOFILE, &most) ? HELD : files();
}

static int root(void) { return setuid(0) || geteuid() ? HELD : OUT; }

static int parent(void) { return kill(getppid(), 0) ? HELD : OUT; }

static int privilege(char *own)
{
  return geteuid() == 0 ? OUT : (execl(own, own, "root", (char *)0), HELD);
}

int main(int argc, char **argv)
{
  const char *how = argc > 1 ? argv[1] : "";
  int result = HELD;
  if (!strcmp(how, "memory")) result = memory();
  else if (!strcmp(how, "cpu")) result = cpu();
  else if (!strcmp(how, "files")) result = files();
  else if (!strcmp(how, "grow")) result = grow();
  else if (!strcmp(how, "processes")) result = processes();
  else if (!strcmp(how, "raised")) result = raised();
  else if (!strcmp(how, "root")) result = root();
  else if (!strcmp(how, "parent")) result = parent();
  else if (!strcmp(how, "privilege") && argc > 2) result = privilege(argv[2]);
  else result = OUT;
  if (!strcmp(how, "processes")) { signal(SIGTERM, SIG_IGN); kill(0, SIGTERM); }
  return result;
}
