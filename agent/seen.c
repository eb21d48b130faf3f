/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/seen.h"

#include <string.h>

static bool bit_get(const struct seen *seen, uint64_t number)
{
	uint64_t i = number % SEEN_WINDOW;

	return seen->bits[i / 64] >> (i % 64) & 1;
}

static void bit_set(struct seen *seen, uint64_t number, bool value)
{
	uint64_t i = number % SEEN_WINDOW;
	uint64_t mask = 1ULL << (i % 64);

	if (value)
		seen->bits[i / 64] |= mask;
	else
		seen->bits[i / 64] &= ~mask;
}

void seen_init(struct seen *seen, uint64_t first)
{
	memset(seen, 0, sizeof(*seen));
	seen->low = seen->end = first;
}

bool seen_has(const struct seen *seen, uint64_t number)
{
	return number < seen->low || (number < seen->end && bit_get(seen, number));
}

uint64_t seen_holes(const struct seen *seen)
{
	uint64_t count = 0;

	for (uint64_t number = seen->low; number < seen->end; number++)
		count += !bit_get(seen, number);
	return count;
}

/* Move low over what is in the set. */
static void settle(struct seen *seen)
{
	while (seen->low < seen->end && bit_get(seen, seen->low))
		bit_set(seen, seen->low++, false);
}

void seen_add(struct seen *seen, uint64_t number)
{
	uint64_t first, last;

	if (number < seen->low || number == UINT64_MAX) /* which has no end behind it */
		return;
	if (number - seen->low >= SEEN_WINDOW)
		seen->lost += seen_give_up(seen, number - SEEN_WINDOW + 1, &first, &last);
	bit_set(seen, number, true);
	if (number >= seen->end)
		seen->end = number + 1;
	settle(seen);
}

uint64_t seen_give_up(struct seen *seen, uint64_t limit, uint64_t *ret_first, uint64_t *ret_last)
{
	uint64_t count = 0;

	while (seen->low < limit) {
		if (seen->low >= seen->end) { /* nothing but holes from here */
			if (!count)
				*ret_first = seen->low;
			*ret_last = limit - 1;
			count += limit - seen->low;
			seen->low = seen->end = limit;
			break;
		}
		if (bit_get(seen, seen->low)) {
			bit_set(seen, seen->low, false);
		} else {
			if (!count)
				*ret_first = seen->low;
			*ret_last = seen->low;
			count++;
		}
		seen->low++;
	}
	settle(seen);
	return count;
}

/* low, end, lost, then a bit for every number from low to end. */
size_t seen_save(const struct seen *seen, uint8_t ret_bytes[static SEEN_SAVED_MAX])
{
	uint64_t head[3] = { seen->low, seen->end, seen->lost };
	size_t span = (size_t)(seen->end - seen->low);

	memcpy(ret_bytes, head, sizeof(head));
	memset(ret_bytes + sizeof(head), 0, (span + 7) / 8);
	for (size_t i = 0; i < span; i++)
		if (bit_get(seen, seen->low + i))
			ret_bytes[sizeof(head) + i / 8] |= (uint8_t)(1U << i % 8);
	return sizeof(head) + (span + 7) / 8;
}

size_t seen_restore(struct seen *ret_seen, const uint8_t *bytes, size_t len)
{
	uint64_t head[3];
	size_t span;

	if (len < sizeof(head))
		return 0;
	memcpy(head, bytes, sizeof(head));
	if (head[1] < head[0] || head[1] - head[0] > SEEN_WINDOW)
		return 0;
	span = (size_t)(head[1] - head[0]);
	if (len - sizeof(head) < (span + 7) / 8)
		return 0;
	seen_init(ret_seen, head[0]);
	ret_seen->end = head[1];
	ret_seen->lost = head[2];
	for (size_t i = 0; i < span; i++)
		bit_set(ret_seen, head[0] + i, bytes[sizeof(head) + i / 8] >> (i % 8) & 1);
	return sizeof(head) + (span + 7) / 8;
}
