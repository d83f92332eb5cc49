/* A checker that lets everything pass: the cost of a process and no more. */
int main(void)
{
  return 0;
}
