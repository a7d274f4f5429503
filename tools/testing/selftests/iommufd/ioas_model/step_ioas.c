// SPDX-License-Identifier: GPL-2.0
/* Random steps that map, unmap and configure IO address spaces */
#include <errno.h>
#include <linux/iommufd.h>
#include <string.h>

#include "iommufd.h"
#include "run.h"

#define UNKNOWN_ID 0xfffffff0U	/* no object has this ID */

static struct ioas *pick(struct run *run)
{
	for (int i = 0; i < 4; i++) {
		struct ioas *s = &run->model.ioas[run_random(run, MAX_IOAS)];

		if (s->id)
			return s;
	}
	return NULL;
}

static uint32_t flags_of(unsigned int rights, bool fixed)
{
	return (rights & RIGHT_READ ? IOMMU_IOAS_MAP_READABLE : 0) |
	       (rights & RIGHT_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0) |
	       (fixed ? IOMMU_IOAS_MAP_FIXED_IOVA : 0);
}

/*
 * Returns an IOVA, mostly in a small part of the aperture so that collisions are frequent,
 * rarely at its bounds or outside of it.
 */
static uint64_t random_iova(struct run *run, const struct ioas *s)
{
	uint64_t iova = MOCK_FIRST + run_random(run, 160) * PAGE;

	/* Adjacent areas, for copies and unmaps of several areas */
	if (s->num_areas && !run_random(run, 3))
		iova = s->areas[run_random(run, s->num_areas)].iova.last + 1;
	switch (run_random(run, 24)) {
	case 0:
		return MOCK_FIRST - PAGE * run_random(run, 4);
	case 1:
		return MOCK_LAST + 1 - PAGE * run_random(run, 8);
	case 2:
		return -PAGE * run_random(run, 8);
	case 3:
		return iova + run_random(run, PAGE);
	case 4:
	case 5:
		return iova + MOCK_PAGE;
	case 6:
		return run_random(run, 8) * PAGE;
	}
	return iova;
}

/* Chooses a part of a memory, mostly of whole pages, sometimes beyond its end */
static void random_bytes(struct run *run, const struct memory *memory, uint64_t *start,
			 uint64_t *length)
{
	uint64_t most = memory->pages;

	*start = run_random(run, most);
	*length = 1 + run_random(run, run_random(run, 6) ? 16 : most);
	if (*length > most - *start)
		*length = most - *start + !run_random(run, 8);
	*start *= PAGE;
	*length *= PAGE;
	switch (run_random(run, 16)) {
	case 0:
		*start += run_random(run, PAGE);
		*length = 1 + run_random(run, *length);
		break;
	case 1:
	case 2:
		*start += MOCK_PAGE;
		*length -= run_random(run, 2) * MOCK_PAGE;
		break;
	case 3:
		*length = 0;
		break;
	}
}

/* Executes a map by address or, with @file, by file descriptor, in the model */
static int expect_map(struct run *run, struct ioas *s, struct memory *memory, bool file,
		      struct piece *piece, bool fixed, uint64_t *iova, unsigned int rights)
{
	uint64_t start = piece->start, length = piece->length;

	if (*iova == UINT64_MAX)
		return -EOVERFLOW;
	if (!length)
		return -EINVAL;
	if (memory->dmabuf) {
		if (start + length > memory->pages * PAGE)
			return -EINVAL;
		if (memory->revoked)
			return -ENODEV;
	}
	piece->source = model_source(&run->model, memory, start, length, file,
				     rights & RIGHT_WRITE);
	piece->start = start % PAGE;
	return model_map(&run->model, s, piece, 1, length, fixed, iova, rights);
}

static void map(struct run *run, struct ioas *s)
{
	struct memory *memory = &run->model.memory[run_random(run, run->model.num_memory)];
	bool file = memory->fd >= 0 && (!memory->va || run_random(run, 2));
	unsigned int rights = 1 + run_random(run, 3);
	bool fixed = run_random(run, 3);
	uint64_t iova = fixed ? random_iova(run, s) : 0, at = iova, start, length;
	struct piece piece;
	int expected, got;

	random_bytes(run, memory, &start, &length);
	piece = (struct piece){ .start = start, .length = length };
	expected = expect_map(run, s, memory, file, &piece, fixed, &iova, rights);
	run_log(run, "map%s ioas %u %s%s%s %s+%#lx length %#lx at %#lx%s", file ? " file" : "",
		s->id, rights & RIGHT_READ ? "r" : "", rights & RIGHT_WRITE ? "w" : "",
		fixed ? " fixed" : "", memory->name, start, length, iova,
		fixed ? "" : " (chosen)");
	if (file)
		got = ioas_map_file(run->fd, s->id, flags_of(rights, fixed), memory->fd, start,
				    length, &at);
	else
		got = iommufd_map(run->fd, s->id, flags_of(rights, fixed), memory->va + start,
				  length, &at);
	if (run_check(run, expected, got) && at != iova)
		run_fail(run, "mapped at %#lx, expected %#lx", at, iova);
}

/* Chooses a range, mostly one that has areas */
static void random_range(struct run *run, struct ioas *s, uint64_t *iova, uint64_t *length)
{
	*iova = random_iova(run, s);
	*length = (1 + run_random(run, 24)) * PAGE;
	if (s->num_areas && run_random(run, 8)) {
		int first = run_random(run, s->num_areas);
		int last = first;
		uint64_t end;

		/* Up to three areas, sometimes with a hole between them */
		while (last < s->num_areas - 1 && last < first + 2 &&
		       (s->areas[last].iova.last + 1 == s->areas[last + 1].iova.start ||
			!run_random(run, 8)))
			last++;
		*iova = s->areas[first].iova.start;
		end = s->areas[last].iova.last;
		/* The difference is 0 if the areas fill the whole address space */
		*length = end - *iova + 1 ? end - *iova + 1 : PAGE;
		switch (run_random(run, 8)) {
		case 0:
			*iova += PAGE * run_random(run, 3);
			break;
		case 1:
			*length -= *length > PAGE ? PAGE : 0;
			break;
		case 2:
			*iova += run_random(run, PAGE);
			*length = 1 + run_random(run, *length);
			break;
		case 3:
			*length += PAGE * 16;
			break;
		case 4:
			*iova += MOCK_PAGE;
			break;
		}
	}
	if (!run_random(run, 40))
		*length = 0;
	if (!run_random(run, 40))
		*length = -PAGE;
}

static void copy(struct run *run, struct ioas *s)
{
	struct ioas *to = pick(run);
	unsigned int rights = 1 + run_random(run, 3);
	bool fixed = run_random(run, 3);
	struct piece pieces[MAX_AREAS];
	uint64_t from, length, iova, at;
	int expected, got, num;

	if (!to)
		return;
	iova = at = fixed ? random_iova(run, to) : 0;
	random_range(run, s, &from, &length);
	num = from == UINT64_MAX || iova == UINT64_MAX ? -EOVERFLOW :
	      model_pieces(s, from, length, pieces);
	if (num > 0 && to->num_areas + num > MAX_AREAS)
		return;
	expected = num < 0 ? num :
		   model_map(&run->model, to, pieces, num, length, fixed, &iova, rights);
	run_log(run, "copy%s %s%s from ioas %u %#lx length %#lx (%d pieces) to ioas %u at %#lx",
		fixed ? " fixed" : "", rights & RIGHT_READ ? "r" : "",
		rights & RIGHT_WRITE ? "w" : "", s->id, from, length, num, to->id, iova);
	got = ioas_copy(run->fd, flags_of(rights, fixed), to->id, &at, s->id, from, length);
	if (run_check(run, expected, got) && at != iova)
		run_fail(run, "copied to %#lx, expected %#lx", at, iova);
}

static void unmap(struct run *run, struct ioas *s)
{
	uint64_t iova, length, unmapped, got_unmapped = 0;
	int expected, got;

	random_range(run, s, &iova, &length);
	if (iova == UINT64_MAX)
		return;
	if (!length)
		expected = -EINVAL;
	else if (iova + (length - 1) < iova)
		expected = -EOVERFLOW;
	else {
		expected = model_unmap(&run->model, s, iova, iova + length - 1, &unmapped);
		if (!expected && !unmapped)
			expected = -ENOENT;
	}
	run_log(run, "unmap ioas %u %#lx length %#lx", s->id, iova, length);
	got = iommufd_unmap(run->fd, s->id, iova, length, &got_unmapped);
	if (run_check(run, expected, got) && unmapped != got_unmapped)
		run_fail(run, "%#lx bytes unmapped, expected %#lx", got_unmapped, unmapped);
}

static void unmap_all(struct run *run, struct ioas *s)
{
	uint64_t unmapped, got_unmapped = ~0UL;
	int expected = model_unmap(&run->model, s, 0, UINT64_MAX, &unmapped);

	run_log(run, "unmap everything of ioas %u", s->id);
	if (run_check(run, expected, iommufd_unmap_all(run->fd, s->id, &got_unmapped)) &&
	    unmapped != got_unmapped)
		run_fail(run, "%#lx bytes unmapped, expected %#lx", got_unmapped, unmapped);
}

static void create(struct run *run)
{
	struct ioas *s = run->model.ioas;

	while (s < run->model.ioas + MAX_IOAS && s->id)
		s++;
	if (s == run->model.ioas + MAX_IOAS)
		return;
	memset(s, 0, sizeof(*s));
	run_log(run, "create an ioas");
	run_check(run, 0, iommufd_ioas_alloc(run->fd, &s->id));
}

static void destroy(struct run *run, struct ioas *s)
{
	const struct model *m = &run->model;
	bool used = s->hwpts;
	uint64_t unmapped;

	for (int i = 0; i < MAX_ACCESSES; i++)
		used |= m->accesses[i].fd >= 0 && m->accesses[i].ioas == s;
	run_log(run, "destroy ioas %u", s->id);
	if (run_check(run, used ? -EBUSY : 0, iommufd_destroy(run->fd, s->id))) {
		model_unmap(&run->model, s, 0, UINT64_MAX, &unmapped);
		s->id = 0;
	}
}

static void allow(struct run *run, struct ioas *s)
{
	struct range ranges[3];
	int num = run_random(run, 3), expected;

	for (int i = 0; i < num; i++) {
		ranges[i].start = random_iova(run, s);
		ranges[i].last = ranges[i].start + run_random(run, 512) * PAGE - run_random(run, 2);
	}
	/* Replace a list mostly by an empty one, which allows all IOVAs */
	if (s->num_allowed && run_random(run, 4))
		num = 0;
	expected = model_allow(s, ranges, num);
	run_log(run, "allow ioas %u: %d ranges", s->id, num);
	run_check(run, expected, ioas_allow(run->fd, s->id, ranges, num));
}

static void reserve(struct run *run, struct ioas *s)
{
	uint64_t start = random_iova(run, s), length = (1 + run_random(run, 8)) * PAGE;
	int expected;

	if (s->num_reserved == 2 || start + length < start)
		return;
	expected = model_reserve(s, start, start + length - 1);
	run_log(run, "reserve ioas %u %#lx length %#lx", s->id, start, length);
	run_check(run, expected, test_add_reserved(run->fd, s->id, start, length));
}

static void small_pages(struct run *run, struct ioas *s)
{
	bool small = !run_random(run, 4);
	int expected = model_small_pages(&run->model, s, small);

	run_log(run, "%s large pages in ioas %u", small ? "forbid" : "allow", s->id);
	run_check(run, expected, option_set(run->fd, IOMMU_OPTION_HUGE_PAGES, s->id, !small));
}

/* Fails if an area is not of a file. Otherwise the charge remains with this process. */
static void change_process(struct run *run)
{
	int expected = 0;

	for (struct ioas *s = run->model.ioas; s < run->model.ioas + MAX_IOAS; s++)
		for (int i = 0; s->id && i < s->num_areas; i++)
			if (!s->areas[i].source->file || s->areas[i].source->memory->dmabuf)
				expected = -EINVAL;
	run_log(run, "change process");
	run_check(run, expected, ioas_change_process(run->fd));
}

/* Revokes or restores the dma-buf. Its existing mappings remain revoked when it is restored. */
static void revoke(struct run *run)
{
	for (int i = 0; i < run->model.num_memory; i++) {
		struct memory *memory = &run->model.memory[i];

		if (!memory->dmabuf)
			continue;
		memory->revoked = !memory->revoked;
		run_log(run, "%s the dma-buf", memory->revoked ? "revoke" : "restore");
		run_check(run, 0, test_dmabuf_revoke(run->fd, memory->fd, memory->revoked));
	}
}

/*
 * Sets the size of the temporary buffers. The kernel processes a long range in several
 * parts, whose size depends on it.
 */
static void batch(struct run *run)
{
	uint32_t bytes = run_random(run, 2) ? BATCH_NORMAL : 12 + run_random(run, 400);

	run_log(run, "temporary buffers of %u bytes", bytes);
	run_check(run, 0, test_batch(run->fd, bytes));
}

static void bad_id(struct run *run, struct ioas *s)
{
	uint64_t iova = 0;

	run_log(run, "unknown IDs and invalid flags");
	run_check(run, -ENOENT, iommufd_map(run->fd, UNKNOWN_ID, MAP_RW, run->buffer, PAGE, &iova));
	run_check(run, -ENOENT, iommufd_unmap(run->fd, UNKNOWN_ID, 0, PAGE, NULL));
	run_check(run, -ENOENT, ioas_copy(run->fd, MAP_RW, s->id, &iova, UNKNOWN_ID, PAGE, PAGE));
	run_check(run, -ENOENT, iommufd_destroy(run->fd, UNKNOWN_ID));
	run_check(run, -EINVAL, iommufd_map(run->fd, s->id, 0, run->buffer, PAGE, &iova));
	run_check(run, -EOPNOTSUPP,
		  iommufd_map(run->fd, s->id, 1U << 31, run->buffer, PAGE, &iova));
}

void step_ioas(struct run *run)
{
	struct ioas *s = pick(run);
	uint64_t what = run_random(run, 100);

	if (!s || what < 4)
		create(run);
	else if (what < 46 && s->num_areas < MAX_AREAS)
		map(run, s);
	else if (what < 66)
		copy(run, s);
	else if (what < 86)
		unmap(run, s);
	else if (what < 87)
		unmap_all(run, s);
	else if (what < 89)
		destroy(run, s);
	else if (what < 91)
		allow(run, s);
	else if (what < 92)
		reserve(run, s);
	else if (what < 94)
		small_pages(run, s);
	else if (what < 96)
		change_process(run);
	else if (what < 97)
		revoke(run);
	else if (what < 99)
		batch(run);
	else
		bad_id(run, s);
}
