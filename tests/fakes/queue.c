/* A queue for tests: speaks the qmail-queue interface and keeps what it is given under FAKE_QUEUE_DIR,
 * one directory for each message, with the files `message` and `envelope` in it. A directory appears by
 * rename(2), complete, and only where the envelope was: what is not there was not queued.
 * It is killed at the step that FAKE_QUEUE_DIES names, and waits FAKE_QUEUE_WAITS milliseconds at each one.
 * Exit codes as qmail-queue(8): 54 for an envelope that breaks off, 91 for one of another form. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void at(const char *step)
{
  const char *dies = getenv("FAKE_QUEUE_DIES"), *waits = getenv("FAKE_QUEUE_WAITS");
  if (waits) usleep(1000 * (useconds_t)atoi(waits));
  if (dies && strcmp(dies, step) == 0) kill(getpid(), SIGKILL);
}

static void copy(int from, const char *name)
{
  static char block[65536];
  ssize_t got;
  int to = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (to == -1) _exit(62);
  while ((got = read(from, block, sizeof block)) > 0) {
    if (write(to, block, got) != got) _exit(53);
    at(name);
  }
  if (got == -1) _exit(54);
  close(to);
}

/* 0, or the exit code that the envelope in this file deserves: F sender NUL (T recipient NUL)* NUL */
static int judge(const char *name)
{
  int first = 1, at_start = 1, octet;
  FILE *envelope = fopen(name, "r");
  if (!envelope) return 62;
  while ((octet = getc(envelope)) != EOF) {
    if (at_start && !first && octet == 0) return getc(envelope) == EOF ? 0 : 91;
    if (at_start && octet != (first ? 'F' : 'T')) return 91;
    at_start = octet == 0;
    if (at_start) first = 0;
  }
  return 54;
}

static void forget(const char *directory)
{
  unlink("message");
  unlink("envelope");
  if (chdir("..") == 0) rmdir(directory);
}

int main(void)
{
  char draft[64], final[64];
  struct timespec now;
  int code;
  const char *directory = getenv("FAKE_QUEUE_DIR");
  at("start");
  if (!directory || chdir(directory) == -1) return 61;
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(final, sizeof final, "%lld.%09ld.%ld", (long long)now.tv_sec, now.tv_nsec, (long)getpid());
  snprintf(draft, sizeof draft, ".%s", final);
  if (mkdir(draft, 0755) == -1 || chdir(draft) == -1) return 62;
  copy(0, "message");
  at("between");
  copy(1, "envelope");
  at("end");
  code = judge("envelope");
  if (code) { forget(draft); return code; }
  if (chdir("..") == -1 || rename(draft, final) == -1) return 64;
  at("queued");
  return 0;
}
