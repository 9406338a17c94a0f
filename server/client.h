/*
 * What CLIENT commands share: the texts a client gives itself, the line of CLIENT LIST, filters.
 *
 * All functions: the connection's worker.
 */
#ifndef SERVER_CLIENT_H
#define SERVER_CLIENT_H

#include "server/conn.h"

/* True when CLIENT LIST can show it: no spaces, nothing unprintable. */
bool client_text_ok(struct slice text);

/* Replaces a name; an empty text removes it. */
void client_set_text(char **field, struct slice text);

/* Appends the connection's line of CLIENT LIST, with its line end. */
void client_format(const struct conn *conn, struct reply *out);

/*
 * Which connections CLIENT LIST shows and CLIENT KILL closes: those to which every given part
 * applies.
 */
struct client_filter {
	const uint64_t *ids; /* any of these, when id_count > 0; rising */
	uint32_t id_count;
	char addr[CONN_ADDRESS_MAX];  /* empty: any */
	char laddr[CONN_ADDRESS_MAX];
	bool none;    /* a type or user that no connection has */
	uint64_t not_id; /* SKIPME: not this one; 0 = none is left out */
};

/* For qsort and bsearch. */
int client_compare_ids(const void *a, const void *b);

bool client_matches(const struct client_filter *filter, const struct conn *conn);

#endif
