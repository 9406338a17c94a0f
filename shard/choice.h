/*
 * A sample taken on a walk over all elements: each in turn is chosen with the chance that is left,
 * as many as are wanted over as many as are to come. So every set of so many elements is as likely
 * as any other.
 */
#ifndef SHARD_CHOICE_H
#define SHARD_CHOICE_H

#include "shard/keyspace.h"

struct choice {
	struct shard *shard;
	uint64_t wanted; /* yet */
	uint64_t left;   /* elements to come */
};

/* Of `count` elements so many, or all when there are no more. */
static inline struct choice choice_of(struct shard *shard, uint64_t wanted, uint64_t count)
{
	return (struct choice){shard, wanted < count ? wanted : count, count};
}

/*
 * Whether the next element is one of them. (A reader in a writer's way may meet more than there
 * were.)
 */
static inline bool choose(struct choice *choice)
{
	if (choice->wanted == 0 || choice->left == 0 ||
	    shard_random(choice->shard) % choice->left-- >= choice->wanted)
		return false;
	choice->wanted--;
	return true;
}

#endif
