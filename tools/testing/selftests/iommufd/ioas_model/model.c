// SPDX-License-Identifier: GPL-2.0
/* The model of IO address spaces */
#include <errno.h>
#include <string.h>

#include "iova.h"
#include "model.h"

/* ---- pins ---- */

static unsigned int first_page(const struct piece *piece)
{
	return piece->start / PAGE;
}

static unsigned int last_page(const struct piece *piece)
{
	return (piece->start + piece->length - 1) / PAGE;
}

static struct piece area_piece(const struct area *area, uint64_t start, uint64_t last)
{
	if (start < area->iova.start)
		start = area->iova.start;
	if (last > area->iova.last)
		last = area->iova.last;
	return (struct piece){
		area->source, area->start + (start - area->iova.start), last - start + 1,
	};
}

/*
 * Pins the pages of a piece that are not pinned yet, and adds them to @charge. Returns
 * the errno if the kernel cannot pin them. The kernel charges an area after it has pinned
 * all of it, so the errors of pinning come before -ENOMEM.
 */
static int pin_piece(struct model *m, const struct piece *piece, uint64_t *charge)
{
	struct source *source = piece->source;
	const struct memory *memory = source->memory;
	bool beyond = false;
	uint64_t missing = 0;
	int rc = 0;

	if (memory->dmabuf)
		return 0;
	for (unsigned int i = first_page(piece); i <= last_page(piece); i++) {
		if (source->pinned[i])
			continue;
		source->pinned[i] = true;
		missing++;
		if (source->first + i >= memory->pages)
			beyond = true;
	}
	if (!missing)
		return 0;
	*charge += missing;
	if (source->file && (memory->unpinnable || beyond))
		rc = -EINVAL;
	else if (!source->file && (beyond || (memory->read_only && source->writable)))
		rc = -EFAULT;
	else if (m->account != ACCOUNT_NONE && *charge > m->limit)
		rc = -ENOMEM;
	return rc;
}

/* Pins all pages that an area of an IOAS with page tables, or an access, needs */
static void pin_all(struct model *m)
{
	uint64_t charge = 0;

	for (struct ioas *s = m->ioas; s < m->ioas + MAX_IOAS; s++) {
		for (int i = 0; s->hwpts && i < s->num_areas; i++) {
			struct area *area = &s->areas[i];
			struct piece piece = area_piece(area, area->iova.start, area->iova.last);

			pin_piece(m, &piece, &charge);
		}
	}
	for (struct item *item = m->items; item < m->items + MAX_ITEMS; item++) {
		struct ioas *s = item->access ? item->access->ioas : NULL;

		for (int i = 0; s && i < s->num_areas; i++) {
			struct area *area = &s->areas[i];
			struct piece piece;

			if (!overlap(&area->iova, item->iova.start, item->iova.last))
				continue;
			piece = area_piece(area, item->iova.start, item->iova.last);
			pin_piece(m, &piece, &charge);
		}
	}
}

void model_count(struct model *m)
{
	struct source *source;

	m->pinned = 0;
	for (source = m->sources; source < m->sources + MAX_SOURCES; source++)
		memset(source->pinned, 0, source->pages);
	for (int i = 0; i < m->num_memory; i++)
		memset(m->memory[i].pins, 0, sizeof(m->memory[i].pins));
	pin_all(m);
	for (source = m->sources; source < m->sources + MAX_SOURCES; source++) {
		for (unsigned int i = 0; source->refs && i < source->pages; i++) {
			if (!source->pinned[i])
				continue;
			m->pinned++;
			if (source->first + i < MAX_PAGES)
				source->memory->pins[source->first + i]++;
		}
	}
}

/* ---- sources ---- */

struct source *model_source(struct model *m, struct memory *memory, uint64_t start,
			    uint64_t length, bool file, bool writable)
{
	struct source *source = m->sources;

	while (source->refs)
		source++;
	*source = (struct source){
		.memory = memory,
		.first = start / PAGE,
		.pages = length ? (start % PAGE + length - 1) / PAGE + 1 : 0,
		.file = file,
		.writable = writable,
	};
	return source;
}

/* ---- areas ---- */

struct area *ioas_area(struct ioas *s, uint64_t iova)
{
	for (int i = 0; i < s->num_areas; i++)
		if (overlap(&s->areas[i].iova, iova, iova))
			return &s->areas[i];
	return NULL;
}

uint64_t area_byte(const struct area *area, uint64_t iova)
{
	return area->source->first * PAGE + area->start + (iova - area->iova.start);
}

static void insert(struct ioas *s, const struct area *area)
{
	int i = s->num_areas++;

	while (i > 0 && s->areas[i - 1].iova.start > area->iova.start) {
		s->areas[i] = s->areas[i - 1];
		i--;
	}
	s->areas[i] = *area;
	area->source->refs++;
}

static void remove_area(struct ioas *s, struct area *area)
{
	int after = s->areas + s->num_areas - (area + 1);

	area->source->refs--;
	memmove(area, area + 1, after * sizeof(*area));
	s->num_areas--;
}

static uint64_t piece_address(const struct piece *piece)
{
	const struct source *source = piece->source;
	uint64_t byte = source->first * PAGE + piece->start;

	return source->file ? byte : (uintptr_t)source->memory->va + byte;
}

int model_map(struct model *m, struct ioas *s, const struct piece *pieces, int num,
	      uint64_t length, bool fixed, uint64_t *iova, unsigned int rights)
{
	uint64_t alignment = ioas_alignment(m, s), at, charge = m->pinned;
	int rc;

	if (!length || (length & (alignment - 1)))
		return -EINVAL;
	if (fixed)
		rc = check_iova(m, s, *iova, length);
	else
		rc = choose_iova(m, s, piece_address(&pieces[0]), length, iova);
	if (rc)
		return rc;
	for (int i = 0; i < num; i++) {
		if ((rights & RIGHT_WRITE) && !pieces[i].source->writable)
			return -EPERM;
		if (pieces[i].start & (alignment - 1))
			return -EINVAL;
	}
	for (int i = 0; !rc && s->hwpts && i < num; i++)
		rc = pin_piece(m, &pieces[i], &charge);
	at = *iova;
	for (int i = 0; !rc && i < num; i++) {
		struct area area = {
			{ at, at + pieces[i].length - 1 },
			pieces[i].source, pieces[i].start, rights,
		};

		insert(s, &area);
		at += pieces[i].length;
	}
	model_count(m);
	return rc;
}

int model_pieces(struct ioas *s, uint64_t iova, uint64_t length, struct piece *pieces)
{
	uint64_t last = iova + length - 1;
	int num = 0;

	if (!length)
		return -EINVAL;
	if (overflows(iova, length))
		return -EOVERFLOW;
	for (;;) {
		struct area *area = ioas_area(s, iova);

		if (!area)
			return -ENOENT;
		pieces[num++] = area_piece(area, iova, last);
		if (area->iova.last >= last)
			return num;
		iova = area->iova.last + 1;
	}
}

bool area_is_accessed(const struct model *m, const struct ioas *s, const struct area *area)
{
	const struct item *item;

	for (item = m->items; item < m->items + MAX_ITEMS; item++)
		if (item->access && item->access->ioas == s &&
		    overlap(&area->iova, item->iova.start, item->iova.last))
			return true;
	return false;
}

/* The access is notified of the unmapped range, and unpins all items that overlap it */
static void notify(struct model *m, struct ioas *s, uint64_t start, uint64_t last)
{
	for (struct item *item = m->items; item < m->items + MAX_ITEMS; item++)
		if (item->access && item->access->ioas == s &&
		    overlap(&item->iova, start, last))
			item->access = NULL;
}

/* Removes area by area, up to the first one that the range covers only in part */
int model_unmap(struct model *m, struct ioas *s, uint64_t start, uint64_t last,
		uint64_t *unmapped)
{
	int rc = 0, i = 0;

	*unmapped = 0;
	while (i < s->num_areas) {
		struct area *area = &s->areas[i];

		if (!overlap(&area->iova, start, last)) {
			i++;
			continue;
		}
		if (area->iova.start < start || area->iova.last > last) {
			rc = -ENOENT;
			break;
		}
		if (area_is_accessed(m, s, area))
			notify(m, s, area->iova.start, area->iova.last);
		*unmapped += area->iova.last - area->iova.start + 1;
		remove_area(s, area);
	}
	model_count(m);
	return rc;
}

int model_reserve(struct ioas *s, uint64_t start, uint64_t last)
{
	if (overlapping_area(s, start, last) || overlapping_allowed(s, start, last))
		return -EADDRINUSE;
	s->reserved[s->num_reserved++] = (struct range){ start, last };
	return 0;
}

int model_allow(struct ioas *s, const struct range *ranges, int num)
{
	for (int i = 0; i < num; i++)
		if (ranges[i].start >= ranges[i].last ||
		    first_overlap(ranges, i, ranges[i].start, ranges[i].last))
			return -EINVAL;
	for (int i = 0; i < num; i++)
		if (overlapping_reserved(s, ranges[i].start, ranges[i].last))
			return -EADDRINUSE;
	memcpy(s->allowed, ranges, num * sizeof(*ranges));
	s->num_allowed = num;
	return 0;
}

int model_small_pages(struct model *m, struct ioas *s, bool small)
{
	if (small && !s->small_pages) {
		if (s->hwpts && s->num_areas)
			return -EINVAL;
		if (ioas_alignment(m, s) < PAGE && !fits_alignment(s, PAGE))
			return -EADDRINUSE;
	}
	s->small_pages = small;
	return 0;
}

/* ---- page tables and accesses ---- */

int model_add_hwpt(struct model *m, struct ioas *s, struct hwpt *hwpt)
{
	uint64_t charge = m->pinned;
	int rc = 0;

	if (ioas_alignment(m, s) < MOCK_PAGE && !fits_alignment(s, MOCK_PAGE))
		return -EADDRINUSE;
	for (int i = 0; i < 2; i++)
		if (overlapping_area(s, outside_aperture[i].start, outside_aperture[i].last) ||
		    overlapping_allowed(s, outside_aperture[i].start, outside_aperture[i].last))
			return -EADDRINUSE;
	for (int i = 0; !rc && !s->hwpts && i < s->num_areas; i++) {
		struct range iova = s->areas[i].iova;
		struct piece piece = area_piece(&s->areas[i], iova.start, iova.last);

		rc = pin_piece(m, &piece, &charge);
	}
	if (!rc) {
		*hwpt = (struct hwpt){ .ioas = s };
		s->hwpts++;
	}
	model_count(m);
	return rc;
}

void model_remove_hwpt(struct model *m, struct hwpt *hwpt)
{
	hwpt->ioas->hwpts--;
	hwpt->id = 0;
	model_count(m);
}

void model_access_detach(struct model *m, struct access *access)
{
	for (struct item *item = m->items; item < m->items + MAX_ITEMS; item++)
		if (item->access == access)
			item->access = NULL;
	model_count(m);
}

int model_access_attach(struct model *m, struct access *access, struct ioas *s)
{
	if (access->ioas == s)
		return 0;
	if (access->pins && ioas_alignment(m, s) < PAGE && !fits_alignment(s, PAGE))
		return -EADDRINUSE;
	model_access_detach(m, access);
	access->ioas = s;
	return 0;
}

int model_pin(struct model *m, struct access *access, uint64_t iova, uint64_t length,
	      bool write, struct item *item)
{
	uint64_t at = iova, last = iova + length - 1, charge = m->pinned;
	int rc = 0;

	if (!length)
		return -EINVAL;
	if (overflows(iova, length))
		return -EOVERFLOW;
	while (!rc) {
		struct area *area = ioas_area(access->ioas, at);
		struct piece piece;

		if (!area) {
			rc = -ENOENT;
			break;
		}
		/* The areas consist of whole pages, but @iova need not be the start of a page */
		piece = area_piece(area, at, last);
		if (piece.start % PAGE)
			rc = -EINVAL;
		else if (!(area->rights & (write ? RIGHT_WRITE : RIGHT_READ)))
			rc = -EPERM;
		else if (area->source->memory->dmabuf)
			rc = -EINVAL;
		else
			rc = pin_piece(m, &piece, &charge);
		if (area->iova.last >= last)
			break;
		at = area->iova.last + 1;
	}
	if (!rc)
		*item = (struct item){ .access = access, .iova = { iova, last } };
	model_count(m);
	return rc;
}

void model_unpin(struct model *m, struct item *item)
{
	item->access = NULL;
	model_count(m);
}
