// SPDX-License-Identifier: GPL-2.0
/*
 * The life of an address space, again and again, and each time another memory
 * allocation fails: the first, the second, and so on until none is left. What
 * makes things may say ENOMEM, and must leave nothing behind then; what takes
 * them away must not fail.
 *
 * Needs a kernel with failslab and fail_page_alloc; skips itself elsewhere.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define DEBUGFS "/sys/kernel/debug/"
#define PAGE 4096UL
#define SMALL (64 * PAGE)
#define LARGE (2UL << 20)
#define IOVA_SMALL 0x10000000UL
#define IOVA_LARGE 0x20000000UL
/* Far more allocations than the scenario can need: a loop that never ends is a bug */
#define LIMIT 2000
/* Fewer, and nothing was injected at all */
#define AT_LEAST 30

FIXTURE(fail_nth) {
	struct rig rig;
	char *small;
	char *large;
	int fd;		/* of this thread's fail-nth */
};

/* Every allocation may fail, also one that may sleep; and silently */
static const struct {
	const char *file;
	const char *value;
} settings[] = {
	{ DEBUGFS "failslab/ignore-gfp-wait", "N" },
	{ DEBUGFS "failslab/verbose", "0" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
	{ DEBUGFS "fail_page_alloc/min-order", "0" },
	{ DEBUGFS "fail_page_alloc/verbose", "0" },
};

static bool write_file(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY);
	bool done = fd >= 0 && write(fd, value, strlen(value)) > 0;

	if (fd >= 0)
		close(fd);
	return done;
}

FIXTURE_SETUP(fail_nth)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (!write_file(settings[i].file, settings[i].value))
			SKIP(return, "no %s", settings[i].file);
	self->fd = open("/proc/thread-self/fail-nth", O_RDWR);
	ASSERT_LE(0, self->fd);
	self->small = alloc_small(SMALL);
	self->large = alloc_thp(LARGE);
	ASSERT_NE(NULL, self->small);
	ASSERT_NE(NULL, self->large);
	memset(self->small, 1, SMALL);
	memset(self->large, 1, LARGE);
	ASSERT_EQ(0, rig_open(&self->rig));
}

FIXTURE_TEARDOWN(fail_nth)
{
	if (self->fd <= 0)
		return;
	rig_close(&self->rig);
	EXPECT_EQ(0, rig_pins(&self->rig));
}

static void arm(FIXTURE_DATA(fail_nth) *self, int nth)
{
	char number[16];
	int length = snprintf(number, sizeof(number), "%d", nth);

	if (pwrite(self->fd, number, length, 0) != length)
		abort();
}

/* Whether the allocation that was to fail did come; none fails afterwards */
static bool disarm(FIXTURE_DATA(fail_nth) *self)
{
	char number[16] = "";
	bool came;

	if (pread(self->fd, number, sizeof(number) - 1, 0) <= 0)
		abort();
	came = atoi(number) == 0;
	arm(self, 0);
	return came;
}

/* Makes everything there is to be made; the first error ends it */
static int make(FIXTURE_DATA(fail_nth) *self, uint32_t *second)
{
	struct rig *rig = &self->rig;
	uint64_t iova;
	int rc;

	rc = iommufd_map_at(rig->fd, rig->ioas, self->small, SMALL, IOVA_SMALL);
	if (!rc)
		rc = rig_attach(rig, rig->ioas);
	if (!rc)
		rc = iommufd_map_at(rig->fd, rig->ioas, self->large, LARGE,
				    IOVA_LARGE);
	if (!rc)
		rc = iommufd_map(rig->fd, rig->ioas, MAP_RW, self->small, PAGE,
				 &iova);
	if (!rc)
		rc = iommufd_ioas_alloc(rig->fd, second);
	if (!rc)
		rc = iommufd_map_at(rig->fd, *second, self->small, SMALL,
				    IOVA_SMALL);
	if (!rc)
		rc = rig_attach(rig, *second);
	return rc;
}

/* Takes everything away; none of it may fail, whatever was made */
static int take_away(FIXTURE_DATA(fail_nth) *self, uint32_t second)
{
	struct rig *rig = &self->rig;
	int rc = iommufd_unmap_all(rig->fd, rig->ioas, NULL);

	vfio_dev_detach(&rig->edu);
	if (!rc && second)
		rc = iommufd_unmap_all(rig->fd, second, NULL);
	if (!rc && second)
		rc = iommufd_destroy(rig->fd, second);
	return rc;
}

TEST_F_TIMEOUT(fail_nth, making, 300)
{
	bool came = true;
	int nth, rc = 0;

	for (nth = 1; came && nth < LIMIT; nth++) {
		uint32_t second = 0;

		arm(self, nth);
		rc = make(self, &second);
		came = disarm(self);
		if (rc)
			ASSERT_EQ(-ENOMEM, rc) TH_LOG("allocation %d", nth);
		ASSERT_EQ(0, take_away(self, second));
		ASSERT_EQ(0, rig_pins(&self->rig)) TH_LOG("allocation %d", nth);
	}
	EXPECT_EQ(0, rc);
	EXPECT_LT(AT_LEAST, nth);
	EXPECT_GT(LIMIT, nth);
	TH_LOG("%d allocations have failed in turn", nth - 2);
}

TEST_F_TIMEOUT(fail_nth, taking_away, 300)
{
	bool came = true;
	int nth;

	for (nth = 1; came && nth < LIMIT; nth++) {
		uint32_t second = 0;

		ASSERT_EQ(0, make(self, &second));
		arm(self, nth);
		ASSERT_EQ(0, take_away(self, second)) TH_LOG("allocation %d", nth);
		came = disarm(self);
		ASSERT_EQ(0, rig_pins(&self->rig)) TH_LOG("allocation %d", nth);
	}
	EXPECT_GT(LIMIT, nth);
	TH_LOG("%d allocations have failed in turn", nth - 2);
}

TEST_HARNESS_MAIN
