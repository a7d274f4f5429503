// SPDX-License-Identifier: GPL-2.0
/* Pages that the kernel pins, reads and writes; see bench.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "iommufd.h"
#include "iommufd_user.h"
#include "meter.h"

#define LENGTH USER_MAX_PINNED
#define ROUNDS (WARM_UP + 2)
#define SHORT_ROUNDS (WARM_UP + 51)

static int call(int user, unsigned long command, uint64_t iova, uint64_t length,
		struct series *series)
{
	struct user_range range = { .iova = iova, .length = length };
	struct cost cost;
	int rc;

	meter_begin(&cost);
	rc = ioctl_errno(user, command, &range);
	meter_end(&cost);
	series_add(series, &cost);
	return rc;
}

static void bench_pin(int user, const char *pin_name, const char *unpin_name,
		      const struct memory *memory)
{
	struct series pin = {}, unpin = {};
	int rc = 0;

	for (int i = 0; i < ROUNDS && !rc; i++) {
		rc = call(user, USER_PIN, IOVA_BASE, LENGTH, &pin);
		if (!rc)
			rc = call(user, USER_UNPIN, IOVA_BASE, LENGTH, &unpin);
	}
	if (rc) {
		report_none(pin_name, memory->name, rc);
		return;
	}
	report_series(pin_name, memory->name, &pin, LENGTH / KIB4);
	report_series(unpin_name, memory->name, &unpin, LENGTH / KIB4);
}

static void bench_copy(int user, unsigned long command, const char *name, size_t length)
{
	struct series series = {}, nothing = {};
	struct cost copy, empty;
	int rc = 0;

	/* Page after page, each for the first time */
	for (size_t i = 0; i < SHORT_ROUNDS && !rc; i++) {
		rc = call(user, USER_NOTHING, 0, 0, &nothing);
		if (!rc)
			rc = call(user, command, IOVA_BASE + i * MIB, length, &series);
	}
	if (rc) {
		report_none("access", name, rc);
		return;
	}
	copy = series_typical(&series);
	empty = series_typical(&nothing);
	copy.ticks -= empty.ticks;
	copy.ns -= copy.ns > empty.ns ? empty.ns : copy.ns;
	report_cost("access", name, copy, 1);
}

static void bench_copies(int user)
{
	bench_copy(user, USER_READ, "read-64", 64);
	bench_copy(user, USER_WRITE, "write-64", 64);
	bench_copy(user, USER_READ, "read-4K", KIB4);
	bench_copy(user, USER_READ, "read-64K", 16 * KIB4);
}

/* Measures a user of an IOAS in which @memory is mapped. Returns 0 or a negative errno. */
static int open_user(const struct bench *bench, uint32_t ioas, int *user)
{
	struct user_attach attach = { .iommufd = bench->fd, .ioas = ioas };
	int rc;

	*user = open("/dev/" USER_NODE, O_RDWR | O_CLOEXEC);
	if (*user < 0)
		return -errno;
	rc = ioctl_errno(*user, USER_ATTACH, &attach);
	if (rc)
		close(*user);
	return rc;
}

/* Measures with a page table that has pinned the pages, and without */
static void bench_both(const struct bench *bench, const struct memory *memory)
{
	uint32_t ioas;
	int user, rc;

	rc = open_user(bench, bench->ioas, &user);
	if (rc) {
		report_none("access-pin", memory->name, rc);
		return;
	}
	must("map", iommufd_map_at(bench->fd, bench->ioas, memory->va, LENGTH, IOVA_BASE));
	bench_pin(user, "access-pin", "access-unpin", memory);
	close(user);
	must("unmap", iommufd_unmap(bench->fd, bench->ioas, IOVA_BASE, LENGTH, NULL));

	must("IOAS", iommufd_ioas_alloc(bench->fd, &ioas));
	must("attach", open_user(bench, ioas, &user));
	must("map", iommufd_map_at(bench->fd, ioas, memory->va, LENGTH, IOVA_BASE));
	bench_pin(user, "access-pin-alone", "access-unpin-alone", memory);
	if (memory == memory_file(false))
		bench_copies(user);
	close(user);
	must("destroy", iommufd_destroy(bench->fd, ioas));
}

void bench_access(const struct bench *bench)
{
	if (system("modprobe iommufd_user 2>/dev/null")) {
		report_none("access-pin", "memfd", -ENODEV);
		return;
	}
	bench_both(bench, memory_file(false));
	bench_both(bench, memory_file(true));
}
