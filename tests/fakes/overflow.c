/* A checker that copies REMOTERCPT into 254 octets, whatever its length, as an example may. */
#include <stdlib.h>
#include <string.h>

static void copy(char *to, const char *from)
{
  while ((*to++ = *from++));
}

int main(void)
{
  char recipient[254];
  copy(recipient, getenv("REMOTERCPT"));
  return strcmp(recipient, "nobody") == 0;
}
