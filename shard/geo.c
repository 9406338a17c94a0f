/*
 * Geohashes, distances and areas (geo.h).
 *
 * A cell is named by its size (2^steps cells around the earth and as many from south to north) and
 * by its column and row, both counted from the south-western corner. Whoever stands at the very
 * north or east is in a column or row beyond the last one; its neighbours then are found round the
 * corner, as in Redis.
 */
#include "shard/geo.h"

#include <math.h>

/* Steps of the scores. */
#define STEPS_MAX 26
/* Of the sphere. */
#define EARTH_RADIUS 6372797.560856
/* Half of the way around the map: areas of that size get the largest cells. */
#define MERCATOR_MAX 20037726.37
/* Beyond these latitudes cells are so narrow that an area needs larger ones. */
#define LATITUDE_NARROW   66
#define LATITUDE_NARROWER 80

struct cell {
	uint32_t steps;
	uint32_t column;
	uint32_t row;
};

/* A cell's borders. */
struct borders {
	double west, south, east, north;
};

static double radians(double degrees)
{
	return degrees * (M_PI / 180);
}

static double degrees(double radians)
{
	return radians / (M_PI / 180);
}

/* --- bits --- */

/* Moves bit i to bit 2i. */
static uint64_t spread(uint32_t n)
{
	uint64_t x = n;
	x = (x | x << 16) & 0x0000ffff0000ffff;
	x = (x | x << 8) & 0x00ff00ff00ff00ff;
	x = (x | x << 4) & 0x0f0f0f0f0f0f0f0f;
	x = (x | x << 2) & 0x3333333333333333;
	return (x | x << 1) & 0x5555555555555555;
}

/* Moves bit 2i to bit i. */
static uint32_t gather(uint64_t x)
{
	x &= 0x5555555555555555;
	x = (x | x >> 1) & 0x3333333333333333;
	x = (x | x >> 2) & 0x0f0f0f0f0f0f0f0f;
	x = (x | x >> 4) & 0x00ff00ff00ff00ff;
	x = (x | x >> 8) & 0x0000ffff0000ffff;
	return (uint32_t)(x | x >> 16);
}

static uint64_t cell_bits(const struct cell *cell)
{
	return spread(cell->row) | spread(cell->column) << 1;
}

/* The score as bits; one that is no number of 64 bits as processors usually convert it. */
static uint64_t score_bits(double score)
{
	if (score >= 0x1p64)
		return 0;
	if (score >= 0x1p63)
		return (uint64_t)score;
	return score >= -0x1p63 ? (uint64_t)(int64_t)score : (uint64_t)1 << 63;
}

/* --- cells --- */

/* `latitude_max`: where the rows end, in the north as in the south. */
static struct cell cell_at(struct geo_place place, uint32_t steps, double latitude_max)
{
	double across = (place.longitude + GEO_LONGITUDE_MAX) / (2 * GEO_LONGITUDE_MAX);
	double up = (place.latitude + latitude_max) / (2 * latitude_max);
	return (struct cell){
		.steps = steps,
		.column = (uint32_t)(across * (double)(1ull << steps)),
		.row = (uint32_t)(up * (double)(1ull << steps)),
	};
}

static struct borders cell_borders(const struct cell *cell)
{
	const double count = (double)(1ull << cell->steps);
	const double width = 2 * GEO_LONGITUDE_MAX, height = 2 * GEO_LATITUDE_MAX;
	return (struct borders){
		.west = -GEO_LONGITUDE_MAX + cell->column / count * width,
		.south = -GEO_LATITUDE_MAX + cell->row / count * height,
		.east = -GEO_LONGITUDE_MAX + (cell->column + 1.0) / count * width,
		.north = -GEO_LATITUDE_MAX + (cell->row + 1.0) / count * height,
	};
}

/* The next one in a direction, round the earth; what doesn't move stays as it is. */
static struct cell cell_neighbour(struct cell cell, int right, int up)
{
	uint32_t mask = (uint32_t)((1ull << cell.steps) - 1);
	if (right)
		cell.column = (cell.column + (uint32_t)right) & mask;
	if (up)
		cell.row = (cell.row + (uint32_t)up) & mask;
	return cell;
}

static struct geo_range cell_range(const struct cell *cell)
{
	unsigned shift = 2 * (STEPS_MAX - cell->steps);
	uint64_t bits = cell_bits(cell);
	return (struct geo_range){(double)(bits << shift), (double)((bits + 1) << shift)};
}

/* --- places --- */

bool geo_place_valid(struct geo_place place)
{
	return fabs(place.longitude) <= GEO_LONGITUDE_MAX &&
	       fabs(place.latitude) <= GEO_LATITUDE_MAX;
}

double geo_score(struct geo_place place)
{
	struct cell cell = cell_at(place, STEPS_MAX, GEO_LATITUDE_MAX);
	return (double)cell_bits(&cell);
}

static double clamp(double x, double limit)
{
	return x > limit ? limit : x < -limit ? -limit : x;
}

struct geo_place geo_place_of(double score)
{
	uint64_t bits = score_bits(score);
	struct cell cell = {STEPS_MAX, gather(bits >> 1), gather(bits)};
	struct borders b = cell_borders(&cell);
	return (struct geo_place){
		clamp((b.west + b.east) / 2, GEO_LONGITUDE_MAX),
		clamp((b.south + b.north) / 2, GEO_LATITUDE_MAX),
	};
}

void geo_text(double score, char *out)
{
	static const char alphabet[] = "0123456789bcdefghjkmnpqrstuvwxyz";
	/*
	 * Others count rows from pole to pole. The last character has bits that we don't have:
	 * zeros.
	 */
	struct cell cell = cell_at(geo_place_of(score), STEPS_MAX, 90);
	uint64_t bits = cell_bits(&cell);
	for (int i = 0; i < GEO_TEXT_LENGTH - 1; i++)
		out[i] = alphabet[bits >> (2 * STEPS_MAX - 5 * (i + 1)) & 31];
	out[GEO_TEXT_LENGTH - 1] = alphabet[0];
}

/* --- distances --- */

static double latitude_distance(double a, double b)
{
	return EARTH_RADIUS * fabs(radians(b) - radians(a));
}

/* By the haversine formula. */
double geo_distance(struct geo_place a, struct geo_place b)
{
	double v = sin((radians(b.longitude) - radians(a.longitude)) / 2);
	if (v == 0)
		return latitude_distance(a.latitude, b.latitude);
	double u = sin((radians(b.latitude) - radians(a.latitude)) / 2);
	double h = u * u + cos(radians(a.latitude)) * cos(radians(b.latitude)) * v * v;
	return 2 * EARTH_RADIUS * asin(sqrt(h < 1 ? h : 1));
}

/* --- areas --- */

static bool box_holds(const struct geo_area *area, struct geo_place place)
{
	struct geo_place beside = {area->centre.longitude, place.latitude};
	return latitude_distance(place.latitude, area->centre.latitude) <= area->height / 2 &&
	       geo_distance(place, beside) <= area->width / 2;
}

bool geo_area_holds(const struct geo_area *area, struct geo_place place, double *distance)
{
	if (area->box && !box_holds(area, place))
		return false;
	*distance = geo_distance(area->centre, place);
	return area->box || *distance <= area->radius;
}

/* The farthest that it reaches in each direction. */
static struct borders area_borders(const struct geo_area *area)
{
	double longitude = area->centre.longitude, latitude = area->centre.latitude;
	double up = degrees((area->box ? area->height / 2 : area->radius) / EARTH_RADIUS);
	double across = (area->box ? area->width / 2 : area->radius) / EARTH_RADIUS;
	/* Meridians are closest at the side of the pole; in the south that is the lower one. */
	double narrowest = latitude < 0 ? latitude - up : latitude + up;
	double right = degrees(across / cos(radians(narrowest)));
	return (struct borders){
		.west = longitude - right,
		.south = latitude - up,
		.east = longitude + right,
		.north = latitude + up,
	};
}

/* From the centre to what is farthest away. */
static double area_reach(const struct geo_area *area)
{
	double x = area->width / 2, y = area->height / 2;
	return area->box ? sqrt(x * x + y * y) : area->radius;
}

/* Cells of so many steps are larger than the area, in most cases. */
static uint32_t area_steps(const struct geo_area *area)
{
	double reach = area_reach(area);
	double latitude = fabs(area->centre.latitude);
	int steps = -1;
	if (reach == 0)
		return STEPS_MAX;
	for (; reach < MERCATOR_MAX; reach *= 2)
		steps++;
	steps -= (latitude > LATITUDE_NARROW) + (latitude > LATITUDE_NARROWER);
	return steps < 1 ? 1 : steps > STEPS_MAX ? STEPS_MAX : (uint32_t)steps;
}

/* Whether the cell with its neighbours reaches as far as the area, in each direction. */
static bool cells_cover(struct cell cell, const struct borders *area)
{
	struct cell north = cell_neighbour(cell, 0, 1), south = cell_neighbour(cell, 0, -1);
	struct cell east = cell_neighbour(cell, 1, 0), west = cell_neighbour(cell, -1, 0);
	return !(cell_borders(&north).north < area->north) &&
	       !(cell_borders(&south).south > area->south) &&
	       !(cell_borders(&east).east < area->east) && !(cell_borders(&west).west > area->west);
}

uint32_t geo_area_ranges(const struct geo_area *area, struct geo_range *out)
{
	/* right, up */
	static const struct {
		int8_t x, y;
	} around[GEO_RANGES_MAX] = {{0, 0}, {0, 1},  {0, -1}, {1, 0},  {-1, 0},
				    {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};
	struct borders reach = area_borders(area);
	uint32_t steps = area_steps(area);
	struct cell cell = cell_at(area->centre, steps, GEO_LATITUDE_MAX);
	if (steps > 1 && !cells_cover(cell, &reach))
		cell = cell_at(area->centre, steps - 1, GEO_LATITUDE_MAX);
	struct borders b = cell_borders(&cell);
	bool all = cell.steps < 2;
	uint32_t count = 0;
	for (uint32_t i = 0; i < GEO_RANGES_MAX; i++) {
		bool needless = (around[i].y < 0 && b.south < reach.south) ||
				(around[i].y > 0 && b.north > reach.north) ||
				(around[i].x < 0 && b.west < reach.west) ||
				(around[i].x > 0 && b.east > reach.east);
		if (needless && !all)
			continue;
		struct cell next = cell_neighbour(cell, around[i].x, around[i].y);
		struct geo_range range = cell_range(&next);
		/*
		 * Of the largest cells several neighbours are the same one, and follow each other.
		 */
		if (count > 0 && out[count - 1].low == range.low)
			continue;
		out[count++] = range;
	}
	return count;
}
