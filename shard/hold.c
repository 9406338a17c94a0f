/* Holding several slots (hold.h). */
#include "shard/hold.h"

#include <urcu/arch.h>

/* After a first attempt: tries again, `spins` in all. */
static bool hold_patiently(struct slot *slot, int spins)
{
	while (--spins > 0) {
		caa_cpu_relax();
		if (slot_try_hold(slot))
			return true;
	}
	return false;
}

static struct slot *slot_at(struct keyspace *ks, struct slot *const *slots, uint32_t i)
{
	return slots ? slots[i] : &ks->slots[i];
}

/* What the unit will tell of must be in the files before its reply goes out. */
static void note_looks(struct shard *shard, struct slot *const *slots, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct slot *slot = slot_at(shard->ks, slots, i);
		journal_saw(shard, slot_last_write(slot));
	}
}

bool slots_try_hold(struct shard *shard, struct slot *const *slots, uint32_t count)
{
	struct keyspace *ks = shard->ks;
	if (!slots)
		count = SLOT_COUNT;
	for (uint32_t i = 0; i < count; i++) {
		struct slot *slot = slot_at(ks, slots, i);
		if (slot_try_hold(slot) || hold_patiently(slot, hold_spins(shard)))
			continue;
		while (i-- > 0)
			slot_release(slot_at(ks, slots, i), false);
		shard->hurried = true;
		return false;
	}
	freeze_unit_begin(shard, slots, count);
	if (shard->journal.on)
		note_looks(shard, slots, count);
	return true;
}

bool slots_try_hold_also(struct shard *shard, struct slot *slot)
{
	if (!slot_try_hold(slot) && !hold_patiently(slot, hold_spins(shard))) {
		shard->hurried = true;
		return false;
	}
	if (!freeze_unit_extend(shard, slot)) {
		slot_release(slot, false);
		return false;
	}
	if (shard->journal.on)
		note_looks(shard, &slot, 1);
	return true;
}

void unit_put_by(struct shard *shard, struct unit_put_by *unit)
{
	effects_put_by(&shard->journal, &unit->effects);
	unit->unit = shard->retire.unit;
	freeze_unit_end(shard);
}

void unit_take_back(struct shard *shard, struct unit_put_by *unit)
{
	effects_take_back(&shard->journal, &unit->effects);
	freeze_unit_go_on(shard, &unit->unit);
	unit->unit = (struct unit){0};
}

bool slots_note(struct shard *shard, struct slot *const *slots, uint32_t count, uint32_t *seqs)
{
	for (uint32_t i = 0; i < count; i++) {
		seqs[i] = slot_seq_begin(slots[i]);
		if (slot_seq_busy(seqs[i]))
			return false;
	}
	if (shard->journal.on)
		note_looks(shard, slots, count);
	return true;
}

bool slots_unchanged(struct slot *const *slots, uint32_t count, const uint32_t *seqs)
{
	atomic_thread_fence(memory_order_acquire);
	for (uint32_t i = 0; i < count; i++)
		if (!slot_seq_same(slots[i], seqs[i]))
			return false;
	return true;
}

void slots_release(struct shard *shard, struct slot *const *slots, uint32_t count, bool stored,
		   int64_t now)
{
	journal_commit(shard, slots, count, now);
	if (!slots)
		count = SLOT_COUNT;
	for (uint32_t i = 0; i < count; i++)
		slot_release(slot_at(shard->ks, slots, i), stored);
	freeze_unit_end(shard);
}
