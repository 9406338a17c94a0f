/* sherd: reads the command line, runs the server, or one of the tools. */
#include "server/config.h"
#include "server/server.h"
#include "server/tools/tools.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct server server;

/*
 * Standard files that are closed: their numbers must not come to mean sockets, which the log would
 * go to.
 */
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
	if (tools_wanted(argc, argv))
		return tools_run(argc, argv);
	config_init(&server.config);
	int result = config_load(&server.config, argc, argv);
	if (result > 0 && strcmp(argv[1], "--version") != 0 && strcmp(argv[1], "-v") != 0)
		tools_print_help();
	if (result)
		return result < 0 ? 1 : 0;
	return server_run(&server);
}
