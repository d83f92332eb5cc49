/* policy PATH: a policy server of one connection at a time, which answers DUNNO to every question. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char answer[] = "action=DUNNO\n\n";

static void serve(int connection)
{
	char question[65536];
	size_t length = 0;
	ssize_t more;

	while ((more = read(connection, question + length, sizeof question - length)) > 0) {
		length += more;
		if (length >= 2 && memcmp(question + length - 2, "\n\n", 2) == 0) {
			if (write(connection, answer, sizeof answer - 1) < 0)
				break;
			length = 0;
		}
	}
	close(connection);
}

int main(int argc, char **argv)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listening = socket(AF_UNIX, SOCK_STREAM, 0);

	if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path)
		return 100;
	strcpy(address.sun_path, argv[1]);
	if (bind(listening, (struct sockaddr *)&address, sizeof address) < 0 || listen(listening, 20) < 0)
		return 111;
	for (;;)
		serve(accept(listening, NULL, NULL));
}
