/*
 * qmailfork-fence [-n] [-a BYTES] [-c SECONDS] [-f BYTES] [-o FILES] [-p PROCESSES] [-u USER[:GROUP]] PROGRAM [ARG...]
 *
 * Becomes PROGRAM, within limits that it cannot lift again. Named in SMTPEXTFORKFENCE, it stands before each checker
 * that is started (qmailfork-fence(8)).
 *
 * Where a limit cannot be set or PROGRAM not be run, it says why and kills itself: an exit code might let a recipient
 * pass, while a checker that was killed is one that failed (SMTPEXTFORKFAIL).
 */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#elif defined(__FreeBSD__)
#include <sys/procctl.h>
#endif

static const char usage[] = "usage: qmailfork-fence [-n] [-a bytes] [-c seconds] [-f bytes] [-o files] "
                            "[-p processes] [-u user[:group]] program [argument ...]";

static void fail(const char *what, ...)
{
  static const struct rlimit no_core = {0, 0};
  va_list words;

  if (what != usage)
    fputs("qmailfork-fence: ", stderr);
  va_start(words, what);
  vfprintf(stderr, what, words);
  va_end(words);
  fputc('\n', stderr);
  setrlimit(RLIMIT_CORE, &no_core);
  abort();
}

/* A number, perhaps with k, m or g after it where it counts bytes. */
static rlim_t number(int option, const char *text)
{
  static const char units[] = "kmg";
  const char *unit;
  char *end;
  unsigned long long value;

  errno = 0;
  value = strtoull(text, &end, 10);
  if (!isdigit((unsigned char)*text) || errno)
    fail("-%c %s: not a number", option, text);
  if (*end && (option == 'a' || option == 'f') && (unit = strchr(units, tolower((unsigned char)*end)))) {
    value = value >> (54 - 10 * (unit - units)) ? ~0ULL >> 1 : value << 10 * (unit - units + 1);
    ++end;
  }
  if (*end)
    fail("-%c %s: not a number", option, text);
  return value;
}

/* A limit that is lower already stays. */
static void limit(int resource, int option, const char *text)
{
  struct rlimit now;
  rlim_t most = number(option, text);

  if (getrlimit(resource, &now) == -1)
    fail("-%c %s: %s", option, text, strerror(errno));
  if (now.rlim_max == RLIM_INFINITY || most < now.rlim_max)
    now.rlim_max = most;
  if (now.rlim_cur == RLIM_INFINITY || now.rlim_max < now.rlim_cur)
    now.rlim_cur = now.rlim_max;
  if (setrlimit(resource, &now) == -1)
    fail("-%c %s: %s", option, text, strerror(errno));
}

static void become(char *user)
{
  char *colon = strchr(user, ':');
  struct passwd *account;
  struct group *group = 0;
  gid_t gid;

  if (colon)
    *colon++ = 0;
  if (!(account = getpwnam(user)))
    fail("-u %s: no such user", user);
  if (colon && !(group = getgrnam(colon)))
    fail("-u %s:%s: no such group", user, colon);
  gid = group ? group->gr_gid : account->pw_gid;
  if (geteuid() == account->pw_uid && getuid() == account->pw_uid && getgid() == gid && getegid() == gid)
    return;
  if ((group ? setgroups(1, &gid) : initgroups(user, gid)) == -1 || setgid(gid) == -1 || setuid(account->pw_uid) == -1)
    fail("-u %s: %s", user, strerror(errno));
}

static void forbid_new_privileges(void)
{
#ifdef __linux__
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
    fail("-n: %s", strerror(errno));
#elif defined(PROC_NO_NEW_PRIVS_CTL)
  int on = PROC_NO_NEW_PRIVS_ENABLE;
  if (procctl(P_PID, getpid(), PROC_NO_NEW_PRIVS_CTL, &on) == -1)
    fail("-n: %s", strerror(errno));
#else
  fail("-n: this system cannot do it");
#endif
}

int main(int argc, char **argv)
{
  static const struct { int option, resource; } limits[] = {
    {'a', RLIMIT_AS}, {'c', RLIMIT_CPU}, {'f', RLIMIT_FSIZE}, {'o', RLIMIT_NOFILE}, {'p', RLIMIT_NPROC},
  };
  static char *asked[256];
  size_t i;
  int option;

  while ((option = getopt(argc, argv, "+na:c:f:o:p:u:")) != -1) {
    if (option == '?')
      fail(usage);
    asked[option] = optarg ? optarg : "";
  }
  if (!argv[optind])
    fail(usage);
  if (asked['n'])
    forbid_new_privileges();
  if (asked['u'])
    become(asked['u']);
  for (i = 0; i < sizeof limits / sizeof *limits; ++i)
    if (asked[limits[i].option])
      limit(limits[i].resource, limits[i].option, asked[limits[i].option]);
  execv(argv[optind], argv + optind);
  fail("%s: %s", argv[optind], strerror(errno));
}
