/* A program for tests that writes down how it was started, then exits: record [FILE [CODE]], FILE or else FAKE_RECORD.
 * FILE gets fields that each end in NUL: `cwd=`, `pgrp=`, `pid=`, `arg=` (each argument), `fd=` (each open
 * descriptor), `file0=` (the device of descriptor 0), `ignored=` and `blocked=` (each such signal), `env=` (each
 * variable). FILE appears by rename(2), complete. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static void signals(FILE *to)
{
  struct sigaction action;
  sigset_t mask;
  int number;
  sigprocmask(SIG_BLOCK, NULL, &mask);
  for (number = 1; number < 32; ++number) {
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) fprintf(to, "ignored=%d%c", number, 0);
    if (sigismember(&mask, number) == 1) fprintf(to, "blocked=%d%c", number, 0);
  }
}

static void descriptors(FILE *to, const int *open_ones, int count)
{
  struct stat got, null;
  while (count--) fprintf(to, "fd=%d%c", open_ones[count], 0);
  if (fstat(0, &got) == 0 && stat("/dev/null", &null) == 0)
    fprintf(to, "file0=%s%c", got.st_rdev == null.st_rdev && S_ISCHR(got.st_mode) ? "/dev/null" : "other", 0);
}

int main(int argc, char **argv)
{
  char where[4096], draft[4096];
  int open_ones[1024], count = 0, descriptor;
  FILE *to;
  char **argument, **variable;
  const char *file = argc > 1 ? argv[1] : getenv("FAKE_RECORD");
  if (!file) return 1;
  for (descriptor = 1023; descriptor >= 0; --descriptor)
    if (fcntl(descriptor, F_GETFD) != -1) open_ones[count++] = descriptor;
  snprintf(draft, sizeof draft, "%s.%ld", file, (long)getpid());
  if (!(to = fopen(draft, "w"))) return 1;
  fprintf(to, "cwd=%s%c", getcwd(where, sizeof where) ? where : "", 0);
  fprintf(to, "pid=%ld%cpgrp=%ld%c", (long)getpid(), 0, (long)getpgrp(), 0);
  descriptors(to, open_ones, count);
  signals(to);
  for (argument = argv; *argument; ++argument) fprintf(to, "arg=%s%c", *argument, 0);
  for (variable = environ; *variable; ++variable) fprintf(to, "env=%s%c", *variable, 0);
  if (fclose(to)) return 1;
  if (rename(draft, file) == -1) return 1;
  return argc > 2 ? atoi(argv[2]) : 0;
}
