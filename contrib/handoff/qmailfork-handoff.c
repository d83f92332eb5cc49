/*
 * qmailfork-handoff SOCKET [FALLBACK [ARG...]]
 *
 * Stands where qmail-smtpd stood under tcpserver, sslserver or any UCSPI server: hands the session over to a warm
 * worker of `qmailfork listen --handoff SOCKET`, waits for its end, and exits with its status. Where nobody listens,
 * or the session was not taken, it becomes FALLBACK (qmailfork-smtpd), so that a restart loses nothing; without one
 * it exits 111.
 *
 * What goes over the Unix socket: descriptors 0, 1 and 2, and those of ucspi-tls(2) where $SSLCTLFD, $SSLREADFD and
 * $SSLWRITEFD name them, four octets with the length of the rest (network order), then the working directory and the
 * environment, each string with its NUL. What comes back: 'A' once the session is taken, and at its end one octet, the
 * exit status.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

extern char **environ;

enum { TEMPORARY = 111, USAGE = 100 };

static size_t parcel(char **data)
{
  static char directory[4096];
  char **variable, *end;
  size_t length;

  if (!getcwd(directory, sizeof directory))
    strcpy(directory, "/");
  length = 4 + strlen(directory) + 1;
  for (variable = environ; *variable; ++variable)
    length += strlen(*variable) + 1;
  if (!(*data = malloc(length)))
    return 0;
  end = *data;
  *end++ = (char)((length - 4) >> 24);
  *end++ = (char)((length - 4) >> 16);
  *end++ = (char)((length - 4) >> 8);
  *end++ = (char)(length - 4);
  end = stpcpy(end, directory) + 1;
  for (variable = environ; *variable; ++variable)
    end = stpcpy(end, *variable) + 1;
  return length;
}

static int reach(const char *path)
{
  struct sockaddr_un address;
  int s;

  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  strcpy(address.sun_path, path);
  if ((s = socket(AF_UNIX, SOCK_STREAM, 0)) == -1)
    return -1;
  if (connect(s, (struct sockaddr *)&address, sizeof address) == 0)
    return s;
  close(s);
  return -1;
}

/* The descriptor that a variable names, -1 for none. */
static int told(const char *name)
{
  const char *text = getenv(name);
  char *end;
  long number;

  if (!text || !*text)
    return -1;
  number = strtol(text, &end, 10);
  return *end || number < 3 || number > 65535 ? -1 : (int)number;
}

/* Send the parcel, with the descriptors beside its first octets. */
static int hand_over(int s, char *data, size_t length)
{
  int descriptors[6] = { 0, 1, 2, told("SSLCTLFD"), told("SSLREADFD"), told("SSLWRITEFD") };
  int all = descriptors[3] != -1 && descriptors[4] != -1 && descriptors[5] != -1;
  size_t given = (all ? 6 : 3) * sizeof *descriptors;
  union { struct cmsghdr header; char space[CMSG_SPACE(sizeof descriptors)]; } control;
  struct iovec piece;
  struct msghdr message;
  struct cmsghdr *rights;
  ssize_t sent;

  memset(&message, 0, sizeof message);
  memset(&control, 0, sizeof control);
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.space;
  message.msg_controllen = CMSG_SPACE(given);
  rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(given);
  memcpy(CMSG_DATA(rights), descriptors, given);
  while (length) {
    piece.iov_base = data;
    piece.iov_len = length;
    sent = sendmsg(s, &message, 0);
    if (sent == -1) {
      if (errno == EINTR)
        continue;
      return -1;
    }
    data += sent;
    length -= (size_t)sent;
    message.msg_control = 0;
    message.msg_controllen = 0;
  }
  return 0;
}

/* The next octet, -1 where there is none any more. */
static int answer(int s)
{
  unsigned char octet;
  ssize_t got;

  do
    got = read(s, &octet, 1);
  while (got == -1 && errno == EINTR);
  if (got == 0)
    errno = ECONNRESET;
  return got == 1 ? octet : -1;
}

static void fall_back(char **argv, const char *why)
{
  if (argv[2]) {
    execvp(argv[2], argv + 2);
    why = argv[2];
  }
  fprintf(stderr, "qmailfork-handoff: fatal: %s: %s\n", why, strerror(errno));
  exit(TEMPORARY);
}

int main(int argc, char **argv)
{
  char *data;
  size_t length;
  int s, status, flags[2];

  if (argc < 2) {
    fprintf(stderr, "qmailfork-handoff: usage: qmailfork-handoff socket [ fallback [ arg ... ] ]\n");
    return USAGE;
  }
  if ((s = reach(argv[1])) == -1)
    fall_back(argv, argv[1]);
  signal(SIGPIPE, SIG_IGN);
  flags[0] = fcntl(0, F_GETFL);
  flags[1] = fcntl(1, F_GETFL);
  length = parcel(&data);
  if (!length || hand_over(s, data, length) == -1 || answer(s) != 'A') {
    close(s);
    signal(SIGPIPE, SIG_DFL);
    fall_back(argv, argv[1]);
  }
  status = answer(s);
  /* Whoever else has them finds them as they were: the worker does not block on them. */
  fcntl(0, F_SETFL, flags[0]);
  fcntl(1, F_SETFL, flags[1]);
  return status == -1 ? TEMPORARY : status;
}
