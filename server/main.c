/* sherd: reads the command line, runs the server. */
#include "server/config.h"
#include "server/server.h"

static struct server server;

int main(int argc, char **argv)
{
	config_init(&server.config);
	int result = config_load(&server.config, argc, argv);
	if (result)
		return result < 0 ? 1 : 0;
	return server_run(&server);
}
