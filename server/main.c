/* sherd: reads the command line, runs the server. */
#include "server/config.h"
#include "server/server.h"

#include <fcntl.h>
#include <unistd.h>

static struct server server;

/* Standard files that are closed: their numbers must not come to mean sockets, which the log would go to. */
static void fill_standard_files(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	fill_standard_files();
	config_init(&server.config);
	int result = config_load(&server.config, argc, argv);
	if (result)
		return result < 0 ? 1 : 0;
	return server_run(&server);
}
