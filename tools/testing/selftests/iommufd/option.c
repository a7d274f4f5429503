// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of IOMMU_OPTION: the capability that setting RLIMIT_MODE requires, when it can be
 * set, and the option for large pages of an IOAS.
 */
#include <linux/capability.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define PAGE 4096UL
#define IOVA 0x100000UL
#define UNKNOWN_ID 0x7ffffff0

static int option(int fd, uint32_t id, uint16_t op, uint32_t object,
		  uint64_t *value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = id,
		.op = op,
		.object_id = object,
		.val64 = *value,
	};
	int rc = ioctl_errno(fd, IOMMU_OPTION, &cmd);

	*value = cmd.val64;
	return rc;
}

static int set(int fd, uint32_t id, uint32_t object, uint64_t value)
{
	uint64_t before = value;
	int rc = option(fd, id, IOMMU_OPTION_OP_SET, object, &value);

	return value == before ? rc : -EPROTO;
}

/* Returns the value or a negative errno */
static int64_t get(int fd, uint32_t id, uint32_t object)
{
	uint64_t value = ~0ULL;
	int rc = option(fd, id, IOMMU_OPTION_OP_GET, object, &value);

	return rc ? rc : (int64_t)value;
}

FIXTURE(option) {
	int fd;
	uint32_t ioas;
	unsigned char *memory;
};

FIXTURE_SETUP(option)
{
	ASSERT_EQ(0, load_modules());
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	self->memory = alloc_small(2 * PAGE);
	ASSERT_NE(NULL, self->memory);
}

FIXTURE_TEARDOWN(option)
{
	close(self->fd);
}

TEST_F(option, rlimit_mode)
{
	const uint32_t mode = IOMMU_OPTION_RLIMIT_MODE;

	EXPECT_EQ(0, get(self->fd, mode, 0));
	EXPECT_EQ(0, set(self->fd, mode, 0, 1));
	EXPECT_EQ(1, get(self->fd, mode, 0));
	EXPECT_EQ(-EINVAL, set(self->fd, mode, 0, 2));
	EXPECT_EQ(-EINVAL, set(self->fd, mode, 0, 1ULL << 32));
	EXPECT_EQ(1, get(self->fd, mode, 0));
	EXPECT_EQ(0, set(self->fd, mode, 0, 0));
	EXPECT_EQ(0, get(self->fd, mode, 0));
	EXPECT_EQ(-EOPNOTSUPP, get(self->fd, mode, 1));
	EXPECT_EQ(-EOPNOTSUPP, set(self->fd, mode, 1, 0));
}

TEST_F(option, rlimit_mode_is_fixed_by_the_first_object)
{
	const uint32_t mode = IOMMU_OPTION_RLIMIT_MODE;

	EXPECT_EQ(0, set(self->fd, mode, 0, 1));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas));
	EXPECT_EQ(-EBUSY, set(self->fd, mode, 0, 0));
	/* This is checked before the value */
	EXPECT_EQ(-EBUSY, set(self->fd, mode, 0, 2));
	EXPECT_EQ(1, get(self->fd, mode, 0));
	ASSERT_EQ(0, iommufd_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, set(self->fd, mode, 0, 0));
}

TEST_F(option, rlimit_mode_requires_a_capability)
{
	const uint32_t mode = IOMMU_OPTION_RLIMIT_MODE;

	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, drop_capability(CAP_SYS_RESOURCE));
	EXPECT_EQ(-EPERM, set(self->fd, mode, 0, 2));
	ASSERT_EQ(0, iommufd_destroy(self->fd, self->ioas));
	EXPECT_EQ(-EPERM, set(self->fd, mode, 0, 1));
	EXPECT_EQ(0, get(self->fd, mode, 0));
}

TEST_F(option, huge_pages)
{
	const uint32_t huge = IOMMU_OPTION_HUGE_PAGES;

	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas));
	EXPECT_EQ(1, get(self->fd, huge, self->ioas));
	EXPECT_EQ(0, set(self->fd, huge, self->ioas, 0));
	EXPECT_EQ(0, get(self->fd, huge, self->ioas));
	EXPECT_EQ(0, set(self->fd, huge, self->ioas, 0));
	EXPECT_EQ(-EINVAL, set(self->fd, huge, self->ioas, 2));
	EXPECT_EQ(0, get(self->fd, huge, self->ioas));
	EXPECT_EQ(0, set(self->fd, huge, self->ioas, 1));
	EXPECT_EQ(1, get(self->fd, huge, self->ioas));
	EXPECT_EQ(-ENOENT, get(self->fd, huge, 0));
	EXPECT_EQ(-ENOENT, set(self->fd, huge, UNKNOWN_ID, 2));
}

/* Without large pages, areas must consist of whole pages, so that they can be split */
TEST_F(option, huge_pages_and_alignment)
{
	const uint32_t huge = IOMMU_OPTION_HUGE_PAGES;
	struct iommu_iova_range range;
	uint64_t alignment;
	uint32_t num = 1;

	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, iommufd_map_at(self->fd, self->ioas, self->memory + 16, 16,
				    IOVA + 16));
	EXPECT_EQ(-EADDRINUSE, set(self->fd, huge, self->ioas, 0));
	EXPECT_EQ(1, get(self->fd, huge, self->ioas));
	ASSERT_EQ(0, iommufd_unmap_all(self->fd, self->ioas, NULL));

	ASSERT_EQ(0, iommufd_map_at(self->fd, self->ioas, self->memory, PAGE,
				    IOVA));
	EXPECT_EQ(0, set(self->fd, huge, self->ioas, 0));
	EXPECT_EQ(0, iommufd_iova_ranges(self->fd, self->ioas, &range, &num,
					 &alignment));
	EXPECT_EQ(PAGE, alignment);
	EXPECT_EQ(-EINVAL, iommufd_map_at(self->fd, self->ioas, self->memory, 16,
					  2 * IOVA));
	EXPECT_EQ(0, set(self->fd, huge, self->ioas, 1));
	EXPECT_EQ(0, iommufd_map_at(self->fd, self->ioas, self->memory, 16,
				    2 * IOVA));
}

TEST_F(option, unknown_options)
{
	for (unsigned int bit = 1; bit < 32; bit++)
		EXPECT_EQ(-EOPNOTSUPP, get(self->fd, 1U << bit, 0));
}

/* The rest of the structure may lie in memory that cannot be written */
TEST_F(option, only_the_value_is_written)
{
	struct iommu_option *cmd;
	unsigned char *p;

	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas));
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	cmd = (void *)(p + PAGE - offsetof(struct iommu_option, val64));
	*cmd = (struct iommu_option){
		.size = sizeof(*cmd),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_GET,
		.object_id = self->ioas,
		.val64 = ~0ULL,
	};
	ASSERT_EQ(0, mprotect(p, PAGE, PROT_READ));
	EXPECT_EQ(0, ioctl_errno(self->fd, IOMMU_OPTION, cmd));
	EXPECT_EQ(1, cmd->val64);

	/* Where the value cannot be written, it is nevertheless set */
	ASSERT_EQ(0, mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	cmd->op = IOMMU_OPTION_OP_SET;
	cmd->val64 = 0;
	ASSERT_EQ(0, mprotect(p + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, ioctl_errno(self->fd, IOMMU_OPTION, cmd));
	EXPECT_EQ(0, get(self->fd, IOMMU_OPTION_HUGE_PAGES, self->ioas));
}

/* Large pages cannot be disabled once a page table has mappings */
TEST(huge_pages_with_mappings_in_page_tables)
{
	const uint32_t huge = IOMMU_OPTION_HUGE_PAGES;
	void *memory = alloc_small(PAGE);
	struct rig rig;

	ASSERT_NE(NULL, memory);
	ASSERT_EQ(0, rig_open(&rig));
	ASSERT_EQ(0, rig_attach(&rig, rig.ioas));
	EXPECT_EQ(0, set(rig.fd, huge, rig.ioas, 0));
	EXPECT_EQ(0, set(rig.fd, huge, rig.ioas, 1));
	ASSERT_EQ(0, iommufd_map_at(rig.fd, rig.ioas, memory, PAGE, IOVA));
	EXPECT_EQ(-EINVAL, set(rig.fd, huge, rig.ioas, 0));
	EXPECT_EQ(1, get(rig.fd, huge, rig.ioas));
	EXPECT_EQ(0, set(rig.fd, huge, rig.ioas, 1));
	rig_close(&rig);
}

#define LONG (128UL << 20)
#define ATTEMPTS 10

/* A page table that is being filled, by another thread */
struct filling {
	int fd;
	struct iommu_hwpt_alloc cmd;
	int rc;
	atomic_bool done;
};

static void *fill_thread(void *arg)
{
	struct filling *filling = arg;

	filling->rc = ioctl_errno(filling->fd, IOMMU_HWPT_ALLOC, &filling->cmd);
	filling->done = true;
	return NULL;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/*
 * Asks for the option over and over while a page table is filled. The longest time
 * without an answer, as a part of the time that filling takes; negative if it failed.
 */
static double longest_wait(struct rig *rig)
{
	struct filling filling = {
		.fd = rig->fd,
		.cmd = { sizeof(filling.cmd), .dev_id = rig->edu.id, .pt_id = rig->ioas },
	};
	double start = seconds(), last = start, longest = 0, now;
	pthread_t thread;

	if (pthread_create(&thread, NULL, fill_thread, &filling))
		return -1;
	do {
		if (get(rig->fd, IOMMU_OPTION_HUGE_PAGES, rig->ioas) != 1)
			return -1;
		now = seconds();
		if (now - last > longest)
			longest = now - last;
		last = now;
	} while (!filling.done);
	pthread_join(thread, NULL);
	if (filling.rc || iommufd_destroy(rig->fd, filling.cmd.out_hwpt_id))
		return -1;
	return longest / (now - start);
}

/* GET does not wait for a page table that pins all that is mapped. A busy host can look like that. */
TEST(getting_huge_pages_does_not_wait)
{
	unsigned char *memory = alloc_small(LONG);
	struct rig rig;
	double wait = 1;

	ASSERT_NE(NULL, memory);
	memset(memory, 1, LONG);
	ASSERT_EQ(0, rig_open(&rig));
	ASSERT_EQ(0, iommufd_map_at(rig.fd, rig.ioas, memory, LONG, IOVA));
	for (int i = 0; i < ATTEMPTS && wait > 0.5; i++) {
		wait = longest_wait(&rig);
		ASSERT_LE(0, wait);
	}
	EXPECT_GE(0.5, wait);
	rig_close(&rig);
}

TEST_HARNESS_MAIN
