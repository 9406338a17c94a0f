/*
 * Loans (loan.h).
 *
 * slot->queue points to a struct slot_queue while the slot is lent: its first place holds the slot, the
 * others wait.
 */
#include "server/loan.h"

#include "proto/mem.h"

#include <assert.h>

struct slot_queue {
	struct loan_place *first;
	struct loan_place *last;
};

static size_t loan_bytes(uint32_t place_count)
{
	return sizeof(struct loan) + place_count * sizeof(struct loan_place);
}

struct loan *loan_new(uint16_t shard, void *owner, bool for_txn, struct slot *const *slots,
		      uint32_t slot_count)
{
	struct loan *loan = mem_alloc(loan_bytes(slot_count));
	*loan = (struct loan){.owner = owner,
			      .for_txn = for_txn,
			      .all = slots == NULL,
			      .shard = shard,
			      .place_count = slot_count};
	for (uint32_t i = 0; i < slot_count; i++)
		loan->places[i] = (struct loan_place){.loan = loan, .slot = slots[i]};
	return loan;
}

void loan_free(struct loan *loan)
{
	if (loan)
		mem_free(loan, loan_bytes(loan->place_count));
}

static void list_push(struct loan **first, struct loan **last, struct loan *loan)
{
	loan->next = NULL;
	if (*first)
		(*last)->next = loan;
	else
		*first = loan;
	*last = loan;
}

static struct loan *list_pop(struct loan **first)
{
	struct loan *loan = *first;
	if (loan)
		*first = loan->next;
	return loan;
}

static void grant(struct loans *loans, struct loan *loan)
{
	list_push(&loans->granted_first, &loans->granted_last, loan);
}

/* Puts the loan into the queues of all its slots. */
static void enter_slots(struct loans *loans, struct loan *loan)
{
	for (uint32_t i = 0; i < loan->place_count; i++) {
		struct loan_place *place = &loan->places[i];
		struct slot_queue *queue = place->slot->queue;
		if (queue) {
			queue->last->next = place;
			queue->last = place;
			loan->missing++;
		} else {
			queue = mem_alloc(sizeof(*queue));
			*queue = (struct slot_queue){place, place};
			place->slot->queue = queue;
			loans->busy++;
		}
	}
	if (loan->missing == 0)
		grant(loans, loan);
}

/* Lets in what waits at the gate, up to the next loan of everything that can't be granted yet. */
static void open_gate(struct loans *loans)
{
	while (loans->gate_first && !loans->all_holder) {
		if (loans->gate_first->all && loans->busy > 0)
			return;
		struct loan *loan = list_pop(&loans->gate_first);
		if (loan->all) {
			loans->all_holder = loan;
			grant(loans, loan);
		} else {
			enter_slots(loans, loan);
		}
	}
}

void loans_request(struct loans *loans, struct loan *loan)
{
	list_push(&loans->gate_first, &loans->gate_last, loan);
	open_gate(loans);
}

struct loan *loans_next_granted(struct loans *loans)
{
	return list_pop(&loans->granted_first);
}

static void leave_slot(struct loans *loans, struct loan_place *place)
{
	struct slot_queue *queue = place->slot->queue;
	assert(queue && queue->first == place);
	queue->first = place->next;
	if (!queue->first) {
		place->slot->queue = NULL;
		mem_free(queue, sizeof(*queue));
		loans->busy--;
		return;
	}
	struct loan *next = queue->first->loan;
	assert(next->missing > 0);
	if (--next->missing == 0)
		grant(loans, next);
}

void loans_return(struct loans *loans, struct loan *loan)
{
	if (loan->all) {
		assert(loans->all_holder == loan);
		loans->all_holder = NULL;
	} else {
		for (uint32_t i = 0; i < loan->place_count; i++)
			leave_slot(loans, &loan->places[i]);
	}
	open_gate(loans);
}
