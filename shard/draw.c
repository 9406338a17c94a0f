/* Replies of elements that are drawn (draw.h). */
#include "shard/draw.h"

/* No element takes less than an empty one: "$0\r\n\r\n". */
#define ELEMENT_BYTES_MIN 6

static const char error_too_many[] = "ERR value is out of range";

bool draw_begin(struct draw *draw, struct ctx *ctx, uint64_t count)
{
	size_t max = atomic_load_explicit(&ctx->ks->string_max, memory_order_relaxed);

	if (max > DRAW_BYTES_MAX)
		max = DRAW_BYTES_MAX;
	if (count > max / ELEMENT_BYTES_MIN) {
		reply_error(ctx->reply, error_too_many);
		return false;
	}
	*draw = (struct draw){.ctx = ctx, .left = count, .max = max};
	reply_init(&draw->elements, ctx->reply->resp);
	return true;
}

bool draw_more(struct draw *draw)
{
	struct reply *r = &draw->elements;

	draw->bytes += r->len - draw->counted.len;
	draw->bytes += (r->pin_count - draw->counted.pin_count) * sizeof(*r->pins);
	reply_seal(r);
	draw->counted = reply_mark(r);
	draw->left--;
	return draw->left > 0 && draw->bytes <= draw->max;
}

void draw_end(struct draw *draw, uint64_t length)
{
	struct reply *reply = draw->ctx->reply;

	if (draw->left > 0) {
		reply_error(reply, error_too_many);
	} else {
		reply_array(reply, length);
		reply_move(reply, &draw->elements);
	}
	reply_deinit(&draw->elements);
}
