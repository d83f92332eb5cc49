/* A queue program that takes everything, keeps nothing and exits 0: the cost of a queue, less the disk. */
#include <unistd.h>

int main(void)
{
  static char block[65536];
  while (read(0, block, sizeof block) > 0);
  while (read(1, block, sizeof block) > 0);
  return 0;
}
