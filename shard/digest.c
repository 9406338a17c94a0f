/* Digests: three keyed hashes side by side, each with a fixed key of its own (digest.h). */
#include "shard/digest.h"

#include "shard/hash.h"

#include <stdio.h>

static const struct hash_seed seeds[DIGEST_WORDS] = {
	{0x736865726420312d, 0x6469676573742061},
	{0x736865726420322d, 0x6469676573742062},
	{0x736865726420332d, 0x6469676573742063},
};

void digest_mix(struct digest *digest, struct slice bytes)
{
	for (int i = 0; i < DIGEST_WORDS; i++) {
		uint64_t pair[2] = {
			digest->words[i],
			hash_bytes(&seeds[i], bytes.ptr, bytes.len),
		};
		digest->words[i] = hash_bytes(&seeds[i], (const char *)pair, sizeof(pair));
	}
}

void digest_mix_number(struct digest *digest, uint64_t n)
{
	digest_mix(digest, (struct slice){(const char *)&n, sizeof(n)});
}

void digest_join(struct digest *digest, const struct digest *member)
{
	for (int i = 0; i < DIGEST_WORDS; i++)
		digest->words[i] += member->words[i];
}

void digest_format(const struct digest *digest, char out[DIGEST_TEXT + 1])
{
	char text[DIGEST_WORDS * 16 + 1];

	for (int i = 0; i < DIGEST_WORDS; i++)
		snprintf(text + 16 * i, 17, "%016llx", (unsigned long long)digest->words[i]);
	memcpy(out, text, DIGEST_TEXT);
	out[DIGEST_TEXT] = '\0';
}
