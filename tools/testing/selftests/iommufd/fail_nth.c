// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of failing memory allocations. A scenario is repeated, and in each round another
 * allocation fails: the first, the second, and so on until there is none left. Commands
 * that create or map may fail with ENOMEM, and then must have no effect. Commands that
 * destroy or unmap must not fail.
 *
 * Requires a kernel with failslab and fail_page_alloc, and is skipped on others.
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
/* Far more than the allocations of the scenario, so that a loop without end fails */
#define LIMIT 2000
/* Less than the allocations of the scenario, to check that failures are injected */
#define AT_LEAST 30

FIXTURE(fail_nth) {
	struct rig rig;
	char *small;
	char *large;
	int fd;		/* of /proc/thread-self/fail-nth */
};

/* Make all allocations fail, including those that may sleep, without log messages */
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

/* Stops the injection; returns whether an allocation has failed */
static bool disarm(FIXTURE_DATA(fail_nth) *self)
{
	char number[16] = "";
	bool injected;

	if (pread(self->fd, number, sizeof(number) - 1, 0) <= 0)
		abort();
	injected = atoi(number) == 0;
	arm(self, 0);
	return injected;
}

/* Maps memory in two IOASes and attaches the device to each; stops at the first error */
static int set_up(FIXTURE_DATA(fail_nth) *self, uint32_t *second)
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

/* Undoes set_up(), also after an error of it */
static int tear_down(FIXTURE_DATA(fail_nth) *self, uint32_t second)
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

TEST_F_TIMEOUT(fail_nth, set_up, 300)
{
	bool injected = true;
	int nth, rc = 0;

	for (nth = 1; injected && nth < LIMIT; nth++) {
		uint32_t second = 0;

		arm(self, nth);
		rc = set_up(self, &second);
		injected = disarm(self);
		if (rc)
			ASSERT_EQ(-ENOMEM, rc) TH_LOG("allocation %d", nth);
		ASSERT_EQ(0, tear_down(self, second));
		ASSERT_EQ(0, rig_pins(&self->rig)) TH_LOG("allocation %d", nth);
	}
	EXPECT_EQ(0, rc);
	EXPECT_LT(AT_LEAST, nth);
	EXPECT_GT(LIMIT, nth);
	TH_LOG("each of %d allocations has failed once", nth - 2);
}

TEST_F_TIMEOUT(fail_nth, tear_down, 300)
{
	bool injected = true;
	int nth;

	for (nth = 1; injected && nth < LIMIT; nth++) {
		uint32_t second = 0;

		ASSERT_EQ(0, set_up(self, &second));
		arm(self, nth);
		ASSERT_EQ(0, tear_down(self, second)) TH_LOG("allocation %d", nth);
		injected = disarm(self);
		ASSERT_EQ(0, rig_pins(&self->rig)) TH_LOG("allocation %d", nth);
	}
	EXPECT_GT(LIMIT, nth);
	TH_LOG("each of %d allocations has failed once", nth - 2);
}

TEST_HARNESS_MAIN
