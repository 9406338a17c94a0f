/*
 * `sherd check`, `sherd export`, `sherd restore`: what is done with a data directory while no
 * server has it; `sherd backup`: at any time.
 *
 * They read the directory as a start would (persist/recovery.h) and change nothing in it, but for
 * check --fix. While they do, but for backup, no server can start there, and where one runs they
 * refuse. SIGINT and SIGTERM end them at any moment: what they have begun to write is removed
 * (undo.h).
 */
#ifndef SERVER_TOOLS_TOOLS_H
#define SERVER_TOOLS_TOOLS_H

#include <stdbool.h>

/* Whether the command line asks for one of them. */
bool tools_wanted(int argc, char **argv);

/* Does it. The process' exit status. */
int tools_run(int argc, char **argv);

/* How to call them, for --help. */
void tools_print_help(void);

#endif
