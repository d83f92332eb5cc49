/* LD_PRELOAD: a disk that fails when a directory shall be brought to it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>

int fsync(int descriptor)
{
  struct stat found;
  int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
  if (fstat(descriptor, &found) == 0 && S_ISDIR(found.st_mode)) {
    errno = EIO;
    return -1;
  }
  return real(descriptor);
}
