/* Geohashes: known ones, random places there and back, and that the ranges of an area cover it. */
#include "check.h"

#include "shard/geo.h"

#include <math.h>
#include <string.h>

#define PLACES 200000
#define AREAS  3000

static double uniform(struct check_random *random, double max)
{
	return ((double)check_random_below(random, 1u << 30) / (1u << 29) - 1) * max;
}

static struct geo_place random_place(struct check_random *random)
{
	return (struct geo_place){uniform(random, GEO_LONGITUDE_MAX),
				  uniform(random, GEO_LATITUDE_MAX)};
}

static void test_known(void **state)
{
	static const struct {
		const char *label;
		struct geo_place place;
		double score;
		const char *text;
	} rows[] = {
		{"Palermo", {13.361389, 38.115556}, 3479099956230698, "sqc8b49rny0"},
		{"Catania", {15.087269, 37.502669}, 3479447370796909, "sqdtr74hyu0"},
		{"south west", {-180, -85.05112878}, 0, "00bh0hbj200"},
		{"middle", {0, 0}, 3377699720527872, "s0000000000"},
	};
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char text[GEO_TEXT_LENGTH];
		print_message("# %s\n", rows[i].label);
		assert_true(geo_place_valid(rows[i].place));
		assert_true(geo_score(rows[i].place) == rows[i].score);
		geo_text(rows[i].score, text);
		assert_memory_equal(text, rows[i].text, sizeof(text));
	}
	assert_false(geo_place_valid((struct geo_place){180.1, 0}));
	assert_false(geo_place_valid((struct geo_place){0, -85.06}));
	double distance =
		geo_distance(geo_place_of(3479099956230698), geo_place_of(3479447370796909));
	assert_true(fabs(distance - 166274.1516) < 0.001);
}

/* A place is found again within a cell: less than a metre. */
static void test_there_and_back(void **state)
{
	struct check_random random = check_random_start();
	for (int i = 0; i < PLACES; i++) {
		struct geo_place place = random_place(&random);
		double score = geo_score(place);
		struct geo_place back = geo_place_of(score);
		assert_true(geo_place_valid(back));
		assert_true(geo_distance(place, back) < 1);
		assert_true(geo_score(back) == score);
	}
}

/* Scores that no place has are places all the same. */
static void test_any_score(void **state)
{
	static const double scores[] = {-1,     -INFINITY, INFINITY, 0x1p52,
					0x1p63, 0x1p64,    -0x1p70,  0.5};
	for (size_t i = 0; i < COUNT_OF(scores); i++) {
		char text[GEO_TEXT_LENGTH];
		assert_true(geo_place_valid(geo_place_of(scores[i])));
		geo_text(scores[i], text);
	}
}

static struct geo_area random_area(struct check_random *random)
{
	double size = pow(10, (double)check_random_below(random, 60) / 10);
	struct geo_area area = {
		.centre = {uniform(random, 170), uniform(random, 75)},
		.box = check_random_below(random, 2),
		.radius = size,
		.width = size,
		.height = size * (double)(1 + check_random_below(random, 4)),
	};
	return area;
}

/* Somewhere around the area's centre. */
static struct geo_place place_near(struct check_random *random, const struct geo_area *area)
{
	double degrees = (area->height + area->width) / 111000;
	struct geo_place place = area->centre;
	place.longitude += uniform(random, degrees * 2);
	place.latitude += uniform(random, degrees);
	return place;
}

/* Away from the poles and the date line (where Redis' search has gaps) nothing is missed. */
static void test_cover(void **state)
{
	struct check_random random = check_random_start();
	uint64_t inside = 0;
	for (int i = 0; i < AREAS; i++) {
		struct geo_area area = random_area(&random);
		struct geo_range ranges[GEO_RANGES_MAX];
		uint32_t count = geo_area_ranges(&area, ranges);
		assert_in_range(count, 1, GEO_RANGES_MAX);
		for (int k = 0; k < 50; k++) {
			struct geo_place place = place_near(&random, &area);
			double distance;
			if (!geo_place_valid(place))
				continue;
			double score = geo_score(place);
			if (!geo_area_holds(&area, geo_place_of(score), &distance))
				continue;
			uint32_t hits = 0;
			for (uint32_t r = 0; r < count; r++)
				hits += score >= ranges[r].low && score < ranges[r].high;
			assert_int_equal(hits, 1);
			inside++;
		}
	}
	assert_true(inside > AREAS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_any_score),
		cmocka_unit_test(test_cover),
	};
	return cmocka_run_group_tests_name("geo", tests, NULL, NULL);
}
