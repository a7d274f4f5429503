// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of IOMMU_IOAS_ALLOW_IOVAS: the kernel chooses IOVAs in the allowed ranges only,
 * and a device that would have to reserve part of them cannot be attached.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define PAGE 4096UL
#define MSI_FIRST 0xfee00000UL
#define MSI_LAST 0xfeefffffUL
#define UNKNOWN_ID 0x7ffffff0

static int allow(int fd, uint32_t ioas, const struct iommu_iova_range *ranges,
		 uint32_t num)
{
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = num,
		.allowed_iovas = (uintptr_t)ranges,
	};

	return ioctl_errno(fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

static int allow_one(int fd, uint32_t ioas, uint64_t start, uint64_t last)
{
	struct iommu_iova_range range = { start, last };

	return allow(fd, ioas, &range, 1);
}

FIXTURE(allow) {
	int fd;
	uint32_t ioas;
	unsigned char *memory;
};

FIXTURE_SETUP(allow)
{
	ASSERT_EQ(0, load_modules());
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas));
	self->memory = alloc_small(4 * PAGE);
	ASSERT_NE(NULL, self->memory);
}

FIXTURE_TEARDOWN(allow)
{
	close(self->fd);
}

/* Maps pages; returns the IOVA that the kernel has chosen, or a negative errno */
static int64_t map_anywhere(FIXTURE_DATA(allow) *self, unsigned int pages)
{
	uint64_t iova = 0;
	int rc = iommufd_map(self->fd, self->ioas, MAP_RW, self->memory,
			     pages * PAGE, &iova);

	return rc ? rc : (int64_t)iova;
}

TEST_F(allow, bad_ranges)
{
	struct iommu_iova_range overlap[] = {
		{ 0x10000, 0x1ffff }, { 0x30000, 0x3ffff }, { 0x1ffff, 0x2ffff },
	};
	struct iommu_iova_range *ranges;

	EXPECT_EQ(-EINVAL, allow_one(self->fd, self->ioas, 0x1000, 0xfff));
	/* A range must have at least two addresses */
	EXPECT_EQ(-EINVAL, allow_one(self->fd, self->ioas, 0x1000, 0x1000));
	EXPECT_EQ(-EINVAL, allow(self->fd, self->ioas, overlap, 3));
	EXPECT_EQ(0, allow(self->fd, self->ioas, overlap, 2));
	EXPECT_EQ(-EFAULT, allow(self->fd, self->ioas, NULL, 1));
	EXPECT_EQ(-ENOENT, allow(self->fd, UNKNOWN_ID, NULL, 1));
	EXPECT_EQ(-ENOENT, allow(self->fd, 0, overlap, 1));

	/* Readable ranges are checked before an unreadable one is reached */
	ranges = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ranges);
	ASSERT_EQ(0, munmap((char *)ranges + PAGE, PAGE));
	ranges = (void *)((char *)ranges + PAGE - sizeof(*ranges));
	EXPECT_EQ(-EINVAL, allow(self->fd, self->ioas, ranges, 2));
	ranges->last = 1;
	EXPECT_EQ(-EFAULT, allow(self->fd, self->ioas, ranges, UINT32_MAX));

	/* The failed calls have not changed the list */
	EXPECT_EQ(0x10000, map_anywhere(self, 1));
}

TEST_F(allow, chosen_iovas_are_allowed)
{
	struct iommu_iova_range ranges[] = {
		{ 0x50000, 0x51fff }, { 0x20000, 0x20fff }, { 0x10800, 0x10fff },
	};

	ASSERT_EQ(0, allow(self->fd, self->ioas, ranges, 3));
	EXPECT_EQ(0x20000, map_anywhere(self, 1));
	EXPECT_EQ(0x50000, map_anywhere(self, 1));
	EXPECT_EQ(0x51000, map_anywhere(self, 1));
	EXPECT_EQ(-ENOSPC, map_anywhere(self, 1));

	/* The list does not restrict IOVAs that the caller chooses */
	EXPECT_EQ(0, iommufd_map_at(self->fd, self->ioas, self->memory, PAGE,
				    0x100000));
	/* An empty list removes the restriction */
	ASSERT_EQ(0, allow(self->fd, self->ioas, NULL, 0));
	EXPECT_EQ(PAGE, map_anywhere(self, 1));
}

TEST_F(allow, adjacent_ranges_are_joined)
{
	struct iommu_iova_range ranges[] = {
		{ 0x22000, 0x23fff }, { 0x20000, 0x21fff },
	};

	ASSERT_EQ(0, allow(self->fd, self->ioas, ranges, 2));
	EXPECT_EQ(0x20000, map_anywhere(self, 4));
}

TEST_F(allow, ends_of_the_address_space)
{
	ASSERT_EQ(0, allow_one(self->fd, self->ioas, 0, 2 * PAGE - 1));
	EXPECT_EQ(PAGE, map_anywhere(self, 1));
	EXPECT_EQ(-ENOSPC, map_anywhere(self, 1));
	ASSERT_EQ(0, allow_one(self->fd, self->ioas, UINT64_MAX - 2 * PAGE + 1,
			       UINT64_MAX));
	EXPECT_EQ(-ENOSPC, map_anywhere(self, 2));
	ASSERT_EQ(0, allow_one(self->fd, self->ioas, 0, UINT64_MAX));
	EXPECT_EQ(2 * PAGE, map_anywhere(self, 1));
}

TEST_F(allow, iova_ranges_are_unchanged)
{
	struct iommu_iova_range range;
	uint32_t num = 1;

	ASSERT_EQ(0, allow_one(self->fd, self->ioas, 0x10000, 0x1ffff));
	ASSERT_EQ(0, iommufd_iova_ranges(self->fd, self->ioas, &range, &num,
					 NULL));
	EXPECT_EQ(0, range.start);
	EXPECT_EQ(UINT64_MAX, range.last);
}

/* Each new range is checked for overlaps with all others */
TEST_F(allow, thousands_of_ranges)
{
	static struct iommu_iova_range ranges[20000];

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		ranges[i] = (struct iommu_iova_range){
			(i + 1) * 4 * PAGE, (i + 1) * 4 * PAGE + PAGE - 1,
		};
	ASSERT_EQ(0, allow(self->fd, self->ioas, ranges, ARRAY_SIZE(ranges)));
	EXPECT_EQ(4 * PAGE, map_anywhere(self, 1));
	EXPECT_EQ(-ENOSPC, map_anywhere(self, 2));
	EXPECT_EQ(0, allow(self->fd, self->ioas, NULL, 0));
}

FIXTURE(device) {
	struct rig rig;
};

FIXTURE_SETUP(device)
{
	ASSERT_EQ(0, rig_open(&self->rig));
}

FIXTURE_TEARDOWN(device)
{
	rig_close(&self->rig);
}

TEST_F(device, reserved_iovas_cannot_be_allowed)
{
	int fd = self->rig.fd;
	uint32_t ioas = self->rig.ioas;

	ASSERT_EQ(0, rig_attach(&self->rig, ioas));
	EXPECT_EQ(-EADDRINUSE, allow_one(fd, ioas, MSI_LAST, MSI_LAST + 1));
	EXPECT_EQ(-EADDRINUSE, allow_one(fd, ioas, 0, MSI_FIRST));
	EXPECT_EQ(-EADDRINUSE, allow_one(fd, ioas, 0, UINT64_MAX));
	EXPECT_EQ(0, allow_one(fd, ioas, 0, MSI_FIRST - 1));
	EXPECT_EQ(0, allow_one(fd, ioas, MSI_LAST + 1, UINT32_MAX));
	EXPECT_EQ(0, allow(fd, ioas, NULL, 0));
}

TEST_F(device, allowed_iovas_cannot_be_reserved)
{
	int fd = self->rig.fd;
	uint32_t ioas = self->rig.ioas;

	ASSERT_EQ(0, allow_one(fd, ioas, MSI_FIRST, MSI_LAST));
	EXPECT_EQ(-EADDRINUSE, rig_attach(&self->rig, ioas));
	ASSERT_EQ(0, allow_one(fd, ioas, 0x10000, 0x1ffff));
	EXPECT_EQ(0, rig_attach(&self->rig, ioas));
}

TEST_F(device, allowed_iovas_must_be_in_the_aperture)
{
	int fd = self->rig.fd;
	uint32_t ioas = self->rig.ioas, num = 16;
	struct iommu_iova_range ranges[16];

	ASSERT_EQ(0, rig_attach(&self->rig, ioas));
	ASSERT_EQ(0, iommufd_iova_ranges(fd, ioas, ranges, &num, NULL));
	ASSERT_EQ(0, vfio_dev_detach(&self->rig.edu));
	if (ranges[num - 1].last == UINT64_MAX)
		SKIP(return, "the page tables of this IOMMU translate all addresses");
	ASSERT_EQ(0, allow_one(fd, ioas, UINT64_MAX - 1, UINT64_MAX));
	EXPECT_EQ(-EADDRINUSE, rig_attach(&self->rig, ioas));
}

TEST_F(device, list_is_kept_on_attach_and_detach)
{
	int fd = self->rig.fd;
	uint32_t ioas = self->rig.ioas;
	void *memory = alloc_small(PAGE);
	uint64_t iova = 0;

	ASSERT_NE(NULL, memory);
	ASSERT_EQ(0, allow_one(fd, ioas, 0x30000, 0x30fff));
	ASSERT_EQ(0, rig_attach(&self->rig, ioas));
	ASSERT_EQ(0, vfio_dev_detach(&self->rig.edu));
	ASSERT_EQ(0, iommufd_map(fd, ioas, MAP_RW, memory, PAGE, &iova));
	EXPECT_EQ(0x30000, iova);
	EXPECT_EQ(-ENOSPC, iommufd_map(fd, ioas, MAP_RW, memory, PAGE, &iova));
}

TEST_HARNESS_MAIN
