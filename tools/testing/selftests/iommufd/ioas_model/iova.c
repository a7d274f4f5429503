// SPDX-License-Identifier: GPL-2.0
/* The IOVAs that can be mapped, and the choice of an IOVA */
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

const struct range *first_overlap(const struct range *ranges, int num, uint64_t start,
				  uint64_t last)
{
	const struct range *first = NULL;

	for (int i = 0; i < num; i++)
		if (overlap(&ranges[i], start, last) &&
		    (!first || ranges[i].start < first->start))
			first = &ranges[i];
	return first;
}

const struct range *overlapping_area(const struct ioas *s, uint64_t start, uint64_t last)
{
	for (int i = 0; i < s->num_areas; i++)
		if (overlap(&s->areas[i].iova, start, last))
			return &s->areas[i].iova;
	return NULL;
}

const struct range *overlapping_allowed(const struct ioas *s, uint64_t start, uint64_t last)
{
	return first_overlap(s->allowed, s->num_allowed, start, last);
}

const struct range outside_aperture[2] = {
	{ 0, MOCK_FIRST - 1 }, { MOCK_LAST + 1, UINT64_MAX },
};

const struct range *overlapping_reserved(const struct ioas *s, uint64_t start, uint64_t last)
{
	const struct range *a = first_overlap(s->reserved, s->num_reserved, start, last);
	const struct range *b = s->hwpts ? first_overlap(outside_aperture, 2, start, last) : NULL;

	if (!a || !b)
		return a ? a : b;
	return a->start < b->start ? a : b;
}

/*
 * Finds the first hole between @start and @last: a range without reserved IOVAs and, if
 * @areas is set, without areas. Sets @start and @hole_last to its bounds; returns false
 * if there is none.
 */
static bool next_hole(const struct ioas *s, bool areas, uint64_t *start, uint64_t last,
		      uint64_t *hole_last)
{
	const struct range *used;

	for (;;) {
		used = overlapping_reserved(s, *start, *start);
		if (!used && areas)
			used = overlapping_area(s, *start, *start);
		if (!used)
			break;
		if (used->last >= last)
			return false;
		*start = used->last + 1;
	}
	*hole_last = last;
	used = overlapping_reserved(s, *start, last);
	if (used)
		*hole_last = used->start - 1;
	used = areas ? overlapping_area(s, *start, *hole_last) : NULL;
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

/* Raises *start to an IOVA that @length bytes can start at; false if they do not fit */
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
 * Chooses the lowest IOVA that fits, but not in the first or last page of the address
 * space. It has the alignment of the memory, so that huge pages can be mapped, up to
 * that of the length.
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
		const struct range *allowed = overlapping_allowed(s, from, all.last);
		struct range within;

		if (!allowed)
			break;
		within.start = allowed->start > from ? allowed->start : from;
		/* Join adjacent ranges */
		do {
			within.last = allowed->last < all.last ? allowed->last : all.last;
			allowed = within.last == all.last ? NULL :
				overlapping_allowed(s, within.last + 1, within.last + 1);
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
	if (overlapping_reserved(s, iova, iova + length - 1))
		return -EINVAL;
	return overlapping_area(s, iova, iova + length - 1) ? -EEXIST : 0;
}
