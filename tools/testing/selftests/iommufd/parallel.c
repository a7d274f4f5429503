// SPDX-License-Identifier: GPL-2.0
/*
 * Tests that the IOAS can be used while another process pins memory for it, however long
 * that takes. The pinning is made slow by a memory cgroup: a process far above memory.high
 * sleeps for up to two seconds for every 64 pages that it allocates, here in the middle of
 * an IOAS_MAP of memory that is not present yet. A command that waited for it would take
 * minutes, and the test would time out.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define PAGE 4096UL
#define SLOW_PAGES 16384UL
#define SLOW_IOVA 0x100000000UL
#define IOVA 0x10000000UL
#define ROUNDS 20UL

#define CGROUPS "/sys/fs/cgroup"
#define SLOW_GROUP CGROUPS "/slow"

FIXTURE(parallel) {
	struct rig rig;
	char *memory;
	pid_t slow;
	int go;		/* pipe; a byte written to it starts the slow process */
};

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		rc = -errno;
	close(fd);
	return rc;
}

/* Moves a process to a cgroup in which allocations are slow; 0 or a negative errno */
static int slow_down(pid_t pid)
{
	char text[16];
	int rc;

	snprintf(text, sizeof(text), "%d", pid);
	rc = write_file(CGROUPS "/cgroup.subtree_control", "+memory");
	if (!rc && mkdir(SLOW_GROUP, 0755) && errno != EEXIST)
		rc = -errno;
	if (!rc)
		rc = write_file(SLOW_GROUP "/cgroup.procs", text);
	return rc ? rc : write_file(SLOW_GROUP "/memory.high", "0");
}

/* Runs in the slow process: waits for a byte, then maps memory that is not present */
static int map_slowly(struct rig *rig, int start)
{
	char *memory = alloc_small(SLOW_PAGES * PAGE);
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!memory || read(start, &c, 1) != 1)
		return 1;
	return iommufd_map_at(rig->fd, rig->ioas, memory, SLOW_PAGES * PAGE, SLOW_IOVA) ? 1 : 0;
}

static bool still_runs(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == 0;
}

/* Waits until the process has pinned its first pages; returns whether it is still pinning */
static bool is_pinning(struct rig *rig, pid_t pid)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	while (rig_pins(rig) == 0 && still_runs(pid))
		nanosleep(&ms, NULL);
	return still_runs(pid) && rig_pins(rig) < (int64_t)SLOW_PAGES;
}

FIXTURE_SETUP(parallel)
{
	int ends[2];

	self->memory = alloc_small(ROUNDS * PAGE);
	ASSERT_NE(NULL, self->memory);
	memset(self->memory, 1, ROUNDS * PAGE);
	ASSERT_EQ(0, rig_open(&self->rig));
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	ASSERT_EQ(0, iommufd_map_at(self->rig.fd, self->rig.ioas, self->memory, PAGE, 0));
	ASSERT_EQ(0, iommufd_unmap_all(self->rig.fd, self->rig.ioas, NULL));

	ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
	self->go = ends[1];
	self->slow = fork();
	ASSERT_LE(0, self->slow);
	if (!self->slow)
		_exit(map_slowly(&self->rig, ends[0]));
	close(ends[0]);
	ASSERT_EQ(0, slow_down(self->slow));
	ASSERT_EQ(1, write(self->go, "", 1));
	ASSERT_TRUE(is_pinning(&self->rig, self->slow));
}

FIXTURE_TEARDOWN(parallel)
{
	if (self->slow > 0) {
		kill(self->slow, SIGKILL);
		waitpid(self->slow, NULL, 0);
	}
	EXPECT_EQ(0, rmdir(SLOW_GROUP));
	EXPECT_EQ(0, write_file(CGROUPS "/cgroup.subtree_control", "-memory"));
	close(self->go);
	rig_close(&self->rig);
	EXPECT_EQ(0, rig_pins(&self->rig));
}

TEST_F(parallel, map_and_unmap_elsewhere)
{
	for (uint64_t i = 0; i < ROUNDS; i++)
		ASSERT_EQ(0, iommufd_map_at(self->rig.fd, self->rig.ioas, self->memory + i * PAGE,
					    PAGE, IOVA + i * PAGE));
	for (uint64_t i = 0; i < ROUNDS; i++)
		ASSERT_EQ(0, iommufd_unmap(self->rig.fd, self->rig.ioas, IOVA + i * PAGE, PAGE,
					   NULL));
	EXPECT_TRUE(still_runs(self->slow));
}

TEST_F(parallel, iova_ranges)
{
	struct iommu_iova_range ranges[16];
	uint32_t num = 16;

	EXPECT_EQ(0, iommufd_iova_ranges(self->rig.fd, self->rig.ioas, ranges, &num, NULL));
	EXPECT_TRUE(still_runs(self->slow));
}

/* The IOVA of the area is in use, and the area cannot be unmapped yet */
TEST_F(parallel, map_and_unmap_of_the_same_iova)
{
	EXPECT_EQ(-EEXIST, iommufd_map_at(self->rig.fd, self->rig.ioas, self->memory, PAGE,
					  SLOW_IOVA));
	EXPECT_EQ(-EBUSY, iommufd_unmap(self->rig.fd, self->rig.ioas, SLOW_IOVA,
					SLOW_PAGES * PAGE, NULL));
	EXPECT_TRUE(still_runs(self->slow));
}

TEST_F(parallel, kill_during_map)
{
	ASSERT_EQ(0, kill(self->slow, SIGKILL));
	ASSERT_EQ(self->slow, waitpid(self->slow, NULL, 0));
	self->slow = 0;
	EXPECT_EQ(0, rig_pins(&self->rig));
	EXPECT_EQ(0, iommufd_map_at(self->rig.fd, self->rig.ioas, self->memory, PAGE, SLOW_IOVA));
}

TEST_HARNESS_MAIN
