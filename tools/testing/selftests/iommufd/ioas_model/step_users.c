// SPDX-License-Identifier: GPL-2.0
/* Random steps on the users of IO address spaces: devices, page tables and accesses */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "iommufd.h"
#include "run.h"

static struct ioas *pick_ioas(struct run *run)
{
	for (int i = 0; i < 4; i++) {
		struct ioas *s = &run->model.ioas[run_random(run, MAX_IOAS)];

		if (s->id)
			return s;
	}
	return NULL;
}

static struct device *pick_device(struct run *run)
{
	struct device *device = &run->model.devices[run_random(run, MAX_DEVICES)];

	return device->ids.stdev ? device : NULL;
}

static struct hwpt *pick_hwpt(struct run *run)
{
	struct hwpt *hwpt = &run->model.hwpts[run_random(run, MAX_HWPTS)];

	return hwpt->id ? hwpt : NULL;
}

static struct hwpt *free_hwpt(struct model *m)
{
	for (struct hwpt *hwpt = m->hwpts; hwpt < m->hwpts + MAX_HWPTS; hwpt++)
		if (!hwpt->id)
			return hwpt;
	return NULL;
}

/* ---- devices and page tables ---- */

/*
 * Finds the page table that attaching a device to an IOAS uses: an existing automatic one,
 * or a new one.
 */
static int expect_attach(struct model *m, struct ioas *s, struct hwpt **hwpt)
{
	int rc;

	for (*hwpt = m->hwpts; *hwpt < m->hwpts + MAX_HWPTS; (*hwpt)++)
		if ((*hwpt)->id && (*hwpt)->ioas == s && (*hwpt)->automatic)
			return 0;
	*hwpt = free_hwpt(m);
	rc = model_add_hwpt(m, s, *hwpt);
	if (!rc)
		(*hwpt)->automatic = true;
	return rc;
}

static void release(struct model *m, struct hwpt *hwpt)
{
	hwpt->devices--;
	if (!hwpt->devices && hwpt->automatic)
		model_remove_hwpt(m, hwpt);
}

/* Chooses the ID of a page table or an IOAS to attach to; 0 if there is none */
static uint32_t pick_target(struct run *run, struct hwpt **hwpt, int *expected)
{
	struct ioas *s = pick_ioas(run);

	*expected = 0;
	*hwpt = run_random(run, 3) ? NULL : pick_hwpt(run);
	if (*hwpt)
		return (*hwpt)->id;
	if (!s || !free_hwpt(&run->model))
		return 0;
	*expected = expect_attach(&run->model, s, hwpt);
	return s->id;
}

static void attached(struct run *run, struct device *device, struct hwpt *hwpt, uint32_t id)
{
	if (!hwpt->id)
		hwpt->id = id;
	else if (hwpt->id != id)
		run_fail(run, "attached to page table %u, expected %u", id, hwpt->id);
	hwpt->devices++;
	device->hwpt = hwpt;
}

static void device_create(struct run *run)
{
	struct device *device = run->model.devices;
	struct mock_ids ids;
	struct hwpt *hwpt;
	int expected;
	uint32_t id;

	while (device < run->model.devices + MAX_DEVICES && device->ids.stdev)
		device++;
	if (device == run->model.devices + MAX_DEVICES)
		return;
	id = pick_target(run, &hwpt, &expected);
	if (!id)
		return;
	run_log(run, "create a device, attach it to %u", id);
	if (run_check(run, expected, test_device_create(run->fd, id, &ids))) {
		device->ids = ids;
		attached(run, device, hwpt, ids.hwpt);
	}
}

static void device_replace(struct run *run, struct device *device)
{
	struct hwpt *hwpt, *old = device->hwpt;
	uint32_t id, got_hwpt;
	int expected;

	id = pick_target(run, &hwpt, &expected);
	if (!id)
		return;
	run_log(run, "device %u from page table %u to %u", device->ids.stdev, old->id, id);
	if (run_check(run, expected,
		      test_device_replace(run->fd, device->ids.stdev, id, &got_hwpt))) {
		attached(run, device, hwpt, got_hwpt);
		release(&run->model, old);
	}
}

static void device_destroy(struct run *run, struct device *device)
{
	run_log(run, "destroy device %u", device->ids.stdev);
	if (run_check(run, 0, iommufd_destroy(run->fd, device->ids.stdev))) {
		release(&run->model, device->hwpt);
		device->ids.stdev = 0;
	}
}

static void table_create(struct run *run, struct device *device)
{
	struct hwpt *hwpt = free_hwpt(&run->model);
	struct ioas *s = pick_ioas(run);
	uint32_t id;
	int expected;

	if (!s || !hwpt)
		return;
	expected = model_add_hwpt(&run->model, s, hwpt);
	run_log(run, "create a page table in ioas %u", s->id);
	if (run_check(run, expected, hwpt_alloc(run->fd, device->ids.idev, s->id, &id)))
		hwpt->id = id;
}

static void table_destroy(struct run *run, struct hwpt *hwpt)
{
	run_log(run, "destroy page table %u", hwpt->id);
	if (run_check(run, hwpt->devices ? -EBUSY : 0, iommufd_destroy(run->fd, hwpt->id)))
		model_remove_hwpt(&run->model, hwpt);
}

/* ---- accesses ---- */

static struct access *pick_access(struct run *run)
{
	struct access *access = &run->model.accesses[run_random(run, MAX_ACCESSES)];

	return access->fd >= 0 ? access : NULL;
}

static void access_create(struct run *run)
{
	struct access *access = run->model.accesses;
	struct ioas *s = pick_ioas(run);
	int expected, fd;

	while (access < run->model.accesses + MAX_ACCESSES && access->fd >= 0)
		access++;
	if (!s || access == run->model.accesses + MAX_ACCESSES)
		return;
	*access = (struct access){ .fd = -1, .pins = run_random(run, 4) };
	expected = model_access_attach(&run->model, access, s);
	run_log(run, "create an access to ioas %u%s", s->id, access->pins ? " that pins" : "");
	if (run_check(run, expected, test_access_create(run->fd, s->id, access->pins, &fd)))
		access->fd = fd;
}

static void access_destroy(struct run *run, struct access *access)
{
	run_log(run, "close access %d", access->fd);
	model_access_detach(&run->model, access);
	close(access->fd);
	access->fd = -1;
}

static void access_replace(struct run *run, struct access *access)
{
	struct ioas *s = pick_ioas(run);
	int expected;

	if (!s)
		return;
	expected = model_access_attach(&run->model, access, s);
	run_log(run, "access %d to ioas %u", access->fd, s->id);
	run_check(run, expected, test_access_replace(run->fd, access->fd, s->id));
}

/* Chooses a range, mostly in one area or a few */
static void random_range(struct run *run, struct ioas *s, bool whole_pages, uint64_t *iova,
			 uint64_t *length)
{
	uint64_t end;
	int first;

	*iova = MOCK_FIRST + run_random(run, 128) * PAGE;
	*length = run_random(run, 4 * PAGE);
	if (!s->num_areas || !run_random(run, 10))
		return;
	first = run_random(run, s->num_areas);
	*iova = s->areas[first].iova.start;
	first += run_random(run, 3);
	if (first >= s->num_areas)
		first = s->num_areas - 1;
	end = s->areas[first].iova.last;
	if (whole_pages)
		*iova += run_random(run, 3) * PAGE;
	else
		*iova += run_random(run, 2 * PAGE);
	*length = end > *iova ? end - *iova + 1 : PAGE;
	if (run_random(run, 2))
		*length = 1 + run_random(run, *length);
	if (*length > 512 * PAGE)
		*length = 512 * PAGE;
	if (!run_random(run, 30))
		*length += PAGE;
}

static void pin(struct run *run, struct access *access)
{
	struct model *m = &run->model;
	struct item *item = m->items;
	struct area *area;
	uint64_t iova, length;
	char *va = NULL;
	bool write = run_random(run, 2);
	uint32_t id;
	int expected;

	while (item < m->items + MAX_ITEMS && item->access)
		item++;
	if (item == m->items + MAX_ITEMS)
		return;
	random_range(run, access->ioas, run_random(run, 20), &iova, &length);
	area = ioas_area(access->ioas, iova);
	/* If the range is in one area, the kernel compares the pages with those at @va */
	if (area && area->source->memory->va && length && length - 1 <= area->iova.last - iova)
		va = area->source->memory->va + area_byte(area, iova);
	expected = access->pins ? model_pin(m, access, iova, length, write, item) : -EOPNOTSUPP;
	run_log(run, "access %d pins %#lx length %#lx of ioas %u%s", access->fd, iova, length,
		access->ioas->id, write ? " to write" : "");
	if (run_check(run, expected, test_access_pin(run->fd, access->fd, iova, length, va, write,
						     &id)))
		item->id = id;
}

static void unpin(struct run *run)
{
	struct item *item = &run->model.items[run_random(run, MAX_ITEMS)];
	int fd;

	if (!item->access)
		return;
	fd = item->access->fd;
	run_log(run, "access %d unpins %#lx", fd, item->iova.start);
	if (run_check(run, 0, test_access_unpin(run->fd, fd, item->id)))
		model_unpin(&run->model, item);
	run_check(run, -ENOENT, test_access_unpin(run->fd, fd, item->id));
}

/* Whether some pages of a part of a source are not pinned */
static bool is_missing(const struct source *source, uint64_t start, uint64_t length)
{
	for (uint64_t i = start / PAGE; i <= (start + length - 1) / PAGE; i++)
		if (!source->pinned[i])
			return true;
	return false;
}

/*
 * The expected result of copying from or to one area. Pages of a file are pinned for the
 * copy. So is memory of a process if @slow is set: a single page with the permissions
 * that the copy needs, several pages with those of the mapping.
 */
static int expect_copy(const struct area *area, uint64_t iova, uint64_t length, bool write,
		       bool slow)
{
	const struct source *source = area->source;
	const struct memory *memory = source->memory;
	uint64_t start = area->start + (iova - area->iova.start);
	bool beyond = source->first * PAGE + start + length > memory->pages * PAGE;
	bool one_page = start / PAGE == (start + length - 1) / PAGE;

	if (memory->dmabuf)
		return -EINVAL;
	if (source->file)
		return (memory->unpinnable || beyond) && is_missing(source, start, length) ?
			-EINVAL : 0;
	if (beyond)
		return -EFAULT;
	if (!memory->read_only)
		return 0;
	if (slow && !one_page)
		return source->writable ? -EFAULT : 0;
	return write ? -EFAULT : 0;
}

/* Copies to or from the shadow, area by area, up to the first error */
static int expect_rw(struct ioas *s, uint64_t iova, uint64_t length, char *data,
		     bool write, bool slow)
{
	uint64_t last = iova + length - 1;

	if (!length)
		return -EINVAL;
	if (last < iova)
		return -EOVERFLOW;
	for (;;) {
		struct area *area = ioas_area(s, iova);
		uint64_t bytes, at;
		struct memory *memory;
		int rc;

		if (!area)
			return -ENOENT;
		if (!(area->rights & (write ? RIGHT_WRITE : RIGHT_READ)))
			return -EPERM;
		bytes = (area->iova.last < last ? area->iova.last : last) - iova + 1;
		memory = area->source->memory;
		at = area_byte(area, iova);
		rc = expect_copy(area, iova, bytes, write, slow);
		if (!rc && write)
			memcpy(memory->shadow + at, data, bytes);
		else if (!rc)
			memcpy(data, memory->shadow + at, bytes);
		if (rc || area->iova.last >= last)
			return rc;
		data += bytes;
		iova = area->iova.last + 1;
	}
}

/*
 * Compares the memory that was written and the bytes beside it with the shadow. If a copy
 * has failed in an area, the model does not predict how much of that area was written.
 */
static void verify_written(struct run *run, struct ioas *s, uint64_t iova, uint64_t length,
			   int expected)
{
	uint64_t last = iova + length - 1;

	while (length && iova <= last) {
		struct area *area = ioas_area(s, iova);
		struct memory *memory;
		uint64_t bytes, at, before;

		if (!area)
			break;
		memory = area->source->memory;
		bytes = (area->iova.last < last ? area->iova.last : last) - iova + 1;
		at = area_byte(area, iova);
		before = at < PAGE ? at : PAGE;
		if (memory->va && at < memory->pages * PAGE) {
			if (expected && expect_copy(area, iova, bytes, true, true))
				memory_accept(memory, at, bytes);
			if (!memory_matches(memory, at - before, before + bytes + PAGE))
				run_fail(run, "%s+%#lx: unexpected contents", memory->name, at);
		}
		iova = area->iova.last + 1;
		if (!iova)
			break;
	}
}

static void rw(struct run *run, struct access *access)
{
	bool write = run_random(run, 2), slow = run_random(run, 2);
	struct ioas *s = access->ioas;
	uint64_t iova, length;
	int expected;
	char *data = run->buffer, *expected_data = run->buffer + MAX_PAGES / 2 * PAGE;

	random_range(run, s, false, &iova, &length);
	if (length > 64 * PAGE)
		length = 64 * PAGE;
	for (uint64_t i = 0; write && i < length; i++)
		data[i] = run->step + i * 7;
	expected = expect_rw(s, iova, length, write ? data : expected_data, write, slow);
	run_log(run, "access %d %s %#lx length %#lx of ioas %u%s", access->fd,
		write ? "writes" : "reads", iova, length, s->id, slow ? " slowly" : "");
	if (run_check(run, expected,
		      test_access_rw(run->fd, access->fd, iova, length, data,
				     (write ? RW_WRITE : 0) | (slow ? RW_SLOW : 0))) &&
	    !write && memcmp(data, expected_data, length))
		run_fail(run, "the data read differ from the contents of the memory");
	if (write)
		verify_written(run, s, iova, length, expected);
}

static void step_access(struct run *run, struct access *access)
{
	uint64_t what = run_random(run, 100);

	if (what < 35)
		pin(run, access);
	else if (what < 50)
		unpin(run);
	else if (what < 88)
		rw(run, access);
	else if (what < 94)
		access_replace(run, access);
	else
		access_destroy(run, access);
}

static void step_device(struct run *run)
{
	struct device *device = pick_device(run);
	struct hwpt *hwpt = pick_hwpt(run);
	uint64_t what = run_random(run, 100);

	if (!device || what < 30)
		device_create(run);
	else if (what < 50)
		device_replace(run, device);
	else if (what < 70)
		table_create(run, device);
	else if (what < 85 && hwpt)
		table_destroy(run, hwpt);
	else
		device_destroy(run, device);
}

void step_users(struct run *run)
{
	struct access *access = pick_access(run);

	if (!access && !run_random(run, 3))
		access_create(run);
	else if (!access || !run_random(run, 3))
		step_device(run);
	else
		step_access(run, access);
}
