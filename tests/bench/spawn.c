/* spawn N PROGRAM: for each line on descriptor 0, starts the program N times with posix_spawn(3), waits for each, and
 * writes a line to descriptor 1: what a checker costs in C. */
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
  int status, left;
  char octet;
  pid_t child;
  char *words[] = {argc > 2 ? argv[2] : 0, 0};
  if (argc < 3) return 2;
  while (read(0, &octet, 1) == 1) {
    for (left = atoi(argv[1]); left; --left) {
      if (posix_spawn(&child, words[0], 0, 0, words, environ)) return 1;
      if (waitpid(child, &status, 0) == -1 || status) return 1;
    }
    if (write(1, "\n", 1) != 1) return 1;
  }
  return 0;
}
