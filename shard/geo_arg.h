/*
 * What the commands on places share: arguments, members, and places in replies.
 */
#ifndef SHARD_GEO_ARG_H
#define SHARD_GEO_ARG_H

#include "shard/geo.h"
#include "shard/zset_value.h"

/* Arguments i and i + 1 as a place. On failure replies. */
bool geo_arg_place(struct ctx *ctx, uint32_t i, struct geo_place *place);

/* Argument i as a unit: so many metres. On failure replies. */
bool geo_arg_unit(struct ctx *ctx, uint32_t i, double *metres);

/* The score of the member at argument i; false when there is none. `e` may be NULL. */
bool geo_member_score(const struct ctx *ctx, const struct entry *e, uint32_t i, double *score);

/* Longitude and latitude. */
void geo_reply_place(struct reply *r, struct geo_place place);

/* Four decimals. */
void geo_reply_distance(struct reply *r, double distance);

#endif
