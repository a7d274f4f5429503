// SPDX-License-Identifier: GPL-2.0
/* Which addresses can be mapped, and which the kernel chooses; see the header. */
#include <errno.h>
#include <stddef.h>

#include "iova.h"

uint64_t ioas_alignment(const struct model *m, const struct ioas *s)
{
	const struct access *access;

	if (s->small_pages)
		return PAGE;
	for (access = m->accesses; access < m->accesses + MAX_ACCESSES; access++)
		if (access->fd >= 0 && access->ioas == s && access->pins)
			return PAGE;
	return s->hwpts ? MOCK_PAGE : 1;
}

bool fits_alignment(const struct ioas *s, uint64_t alignment)
{
	const uint64_t mask = alignment - 1;

	for (int i = 0; i < s->num_areas; i++) {
		const struct area *area = &s->areas[i];

		if ((area->iova.start & mask) || ((area->iova.last + 1) & mask) ||
		    (area->start & mask))
			return false;
	}
	return true;
}

const struct range *among(const struct range *ranges, int num, uint64_t start, uint64_t last)
{
	const struct range *first = NULL;

	for (int i = 0; i < num; i++)
		if (overlap(&ranges[i], start, last) &&
		    (!first || ranges[i].start < first->start))
			first = &ranges[i];
	return first;
}

const struct range *area_among(const struct ioas *s, uint64_t start, uint64_t last)
{
	for (int i = 0; i < s->num_areas; i++)
		if (overlap(&s->areas[i].iova, start, last))
			return &s->areas[i].iova;
	return NULL;
}

const struct range outside[2] = {
	{ 0, MOCK_FIRST - 1 }, { MOCK_LAST + 1, UINT64_MAX },
};

const struct range *reserved_among(const struct ioas *s, uint64_t start, uint64_t last)
{
	const struct range *a = among(s->reserved, s->num_reserved, start, last);
	const struct range *b = s->hwpts ? among(outside, 2, start, last) : NULL;

	if (!a || !b)
		return a ? a : b;
	return a->start < b->start ? a : b;
}

/*
 * The first hole from @start on, which is where it begins then; false if there is
 * none up to @last. With @areas, areas are not holes either.
 */
static bool next_hole(const struct ioas *s, bool areas, uint64_t *start, uint64_t last,
		      uint64_t *hole_last)
{
	const struct range *used;

	for (;;) {
		used = reserved_among(s, *start, *start);
		if (!used && areas)
			used = area_among(s, *start, *start);
		if (!used)
			break;
		if (used->last >= last)
			return false;
		*start = used->last + 1;
	}
	*hole_last = last;
	used = reserved_among(s, *start, last);
	if (used)
		*hole_last = used->start - 1;
	used = areas ? area_among(s, *start, *hole_last) : NULL;
	if (used)
		*hole_last = used->start - 1;
	return true;
}

int ioas_usable(const struct ioas *s, struct range *ranges, int most)
{
	uint64_t start = 0, last;
	int num = 0;

	while (next_hole(s, false, &start, UINT64_MAX, &last)) {
		if (num < most)
			ranges[num] = (struct range){ start, last };
		num++;
		if (last == UINT64_MAX)
			break;
		start = last + 1;
	}
	return num;
}

static uint64_t round_up_pow2(uint64_t n)
{
	uint64_t power = 1;

	while (power < n)
		power <<= 1;
	return power;
}

/* Raises *start to where @length bytes can begin; false if they do not fit */
static bool fit(uint64_t *start, uint64_t last, uint64_t length, uint64_t alignment,
		uint64_t offset)
{
	uint64_t at;

	if (__builtin_add_overflow(*start, alignment - 1, &at))
		return false;
	at = (at & ~(alignment - 1)) | offset;
	if (at >= last || last - at < length - 1)
		return false;
	*start = at;
	return true;
}

static bool choose_within(const struct ioas *s, struct range within, uint64_t length,
			  uint64_t alignment, uint64_t offset, uint64_t *iova)
{
	uint64_t start = within.start, last;

	if (!fit(&start, within.last, length, alignment, offset))
		return false;
	while (next_hole(s, true, &start, within.last, &last)) {
		*iova = start;
		if (fit(iova, last, length, alignment, offset))
			return true;
		if (last == within.last)
			break;
		start = last + 1;
	}
	return false;
}

/*
 * The lowest address that fits, never in the first nor the last page of all. It is
 * as much aligned as the memory is, so that huge pages can be, but not beyond the
 * length.
 */
int choose_iova(const struct model *m, const struct ioas *s, uint64_t address, uint64_t length,
		uint64_t *iova)
{
	uint64_t alignment = round_up_pow2(length);
	struct range all = { PAGE, UINT64_MAX - PAGE };

	if (length >= UINT64_MAX / 2)
		return -EOVERFLOW;
	if (address && (address & -address) < alignment)
		alignment = address & -address;
	if (alignment > MIB2)
		alignment = MIB2;
	if (alignment < ioas_alignment(m, s))
		return -EINVAL;
	if (!s->num_allowed)
		return choose_within(s, all, length, alignment, address % PAGE, iova) ? 0 : -ENOSPC;

	for (uint64_t from = all.start; from <= all.last;) {
		const struct range *allowed = among(s->allowed, s->num_allowed, from, all.last);
		struct range within;

		if (!allowed)
			break;
		within.start = allowed->start > from ? allowed->start : from;
		/* Ranges that touch are one */
		do {
			within.last = allowed->last < all.last ? allowed->last : all.last;
			allowed = within.last == all.last ? NULL :
				among(s->allowed, s->num_allowed, within.last + 1, within.last + 1);
		} while (allowed);
		if (choose_within(s, within, length, alignment, address % PAGE, iova))
			return 0;
		from = within.last + 1;
	}
	return -ENOSPC;
}

int check_iova(const struct model *m, const struct ioas *s, uint64_t iova, uint64_t length)
{
	if (iova & (ioas_alignment(m, s) - 1))
		return -EINVAL;
	if (overflows(iova, length))
		return -EOVERFLOW;
	if (reserved_among(s, iova, iova + length - 1))
		return -EINVAL;
	return area_among(s, iova, iova + length - 1) ? -EEXIST : 0;
}
