/*
 * Places on earth as numbers: a geohash of 52 bits, which a sorted set keeps as a score.
 *
 * Longitude (-180 to 180) and latitude (-85.05112878 to 85.05112878, where the Mercator projection
 * is as high as wide) are each cut into 2^26 equal steps, and the bits of the two step numbers are
 * interleaved, those of the longitude at the odd places. So all places of one cell, that is with
 * the same highest bits, have neighbouring scores; what lies in a given area is found in at most
 * nine ranges of scores: those of the cell around its centre, of a size that fits the area, and of
 * the cells around that.
 *
 * The earth is a sphere. Distances are in metres, angles in degrees.
 *
 * Plain functions of numbers; any thread.
 */
#ifndef SHARD_GEO_H
#define SHARD_GEO_H

#include <stdbool.h>
#include <stdint.h>

#define GEO_LONGITUDE_MAX 180.0
#define GEO_LATITUDE_MAX  85.05112878

struct geo_place {
	double longitude;
	double latitude;
};

/* Whether it can be kept. */
bool geo_place_valid(struct geo_place place);

/*
 * The score of a valid place, and the middle of the smallest cell that a score (any but NaN) stands
 * for.
 */
double geo_score(struct geo_place place);
struct geo_place geo_place_of(double score);

double geo_distance(struct geo_place a, struct geo_place b);

/* The geohash of a score as others write it: GEO_TEXT_LENGTH characters, not terminated. */
#define GEO_TEXT_LENGTH 11
void geo_text(double score, char *out);

/* What a search covers: a circle, or a box along the meridians and parallels. */
struct geo_area {
	struct geo_place centre;
	bool box;
	double radius;        /* of a circle */
	double width, height; /* of a box */
};

/* Whether the place is in the area, and if so how far from its centre. */
bool geo_area_holds(const struct geo_area *area, struct geo_place place, double *distance);

/*
 * The ranges of scores, from `low` to below `high`, that cover the area, in the order in which
 * Redis goes through them. Returns how many.
 */
#define GEO_RANGES_MAX 9
struct geo_range {
	double low, high;
};
uint32_t geo_area_ranges(const struct geo_area *area, struct geo_range *out);

#endif
