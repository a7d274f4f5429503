// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of a device that is attached to VFIO's container, on /dev/iommu or on
 * /dev/vfio/vfio, through its group: DMA, areas that are split, and the information that
 * the container returns.
 */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"
#include "vfio_container.h"

#define PAGE 4096UL
#define PAGES 8
/* Aligned for huge pages */
#define IOVA 0x400000UL

FIXTURE(group) {
	int64_t pins;
	int container;
	int group;
	struct vfio_dev edu;
	unsigned char *memory;
};

FIXTURE_VARIANT(group) {
	const char *path;
};

FIXTURE_VARIANT_ADD(group, iommu) { "/dev/iommu" };
FIXTURE_VARIANT_ADD(group, vfio) { "/dev/vfio/vfio" };

FIXTURE_SETUP(group)
{
	char path[64];

	self->edu = (struct vfio_dev)VFIO_DEV_CLOSED;
	ASSERT_EQ(0, setup_system());
	self->memory = alloc_small(PAGES * PAGE);
	ASSERT_NE(NULL, self->memory);
	ASSERT_EQ(0, vfio_dev_find_single(&self->edu, EDU_VENDOR, EDU_DEVICE));
	ASSERT_EQ(0, vfio_dev_claim(&self->edu));
	self->pins = pinned_pages();
	self->container = open(variant->path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->container);
	snprintf(path, sizeof(path), "/dev/vfio/%d", self->edu.group);
	self->group = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->group);
}

FIXTURE_TEARDOWN(group)
{
	vfio_dev_close(&self->edu);
	close(self->group);
	close(self->container);
	EXPECT_EQ(self->pins, pinned_pages());
}

/* Attaches the group, and so the device, to the container, and opens the device */
static int join(FIXTURE_DATA(group) *self, unsigned long type)
{
	int rc = ioctl_errno(self->group, VFIO_GROUP_SET_CONTAINER,
			     &self->container);

	if (!rc)
		rc = set_iommu(self->container, type);
	if (rc)
		return rc;
	self->edu.fd = ioctl_errno(self->group, VFIO_GROUP_GET_DEVICE_FD,
				   self->edu.bdf);
	if (self->edu.fd < 0)
		return self->edu.fd;
	return vfio_dev_enable(&self->edu);
}

TEST_F(group, set_container_creates_an_ioas)
{
	struct iommu_iova_range range;
	uint32_t id, num = 1;

	EXPECT_EQ(-ENODEV, container_ioas(self->container, &id));
	EXPECT_EQ(-ENODEV, set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, ioctl_errno(self->group, VFIO_GROUP_SET_CONTAINER,
				 &self->container));
	ASSERT_EQ(0, container_ioas(self->container, &id));
	EXPECT_EQ(0, iommufd_iova_ranges(self->container, id, &range, &num,
					 NULL));
	EXPECT_EQ(UINT64_MAX, range.last);
	/* The IOAS is an ordinary object */
	EXPECT_EQ(0, iommufd_destroy(self->container, id));
	EXPECT_EQ(-ENODEV, container_ioas(self->container, &id));
}

TEST_F(group, set_container_uses_an_existing_ioas)
{
	uint32_t ioas, id;

	ASSERT_EQ(0, iommufd_ioas_alloc(self->container, &ioas));
	ASSERT_EQ(0, choose_ioas(self->container, ioas));
	ASSERT_EQ(0, join(self, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, container_ioas(self->container, &id));
	EXPECT_EQ(ioas, id);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->container, ioas));
}

TEST_F(group, dma_to_mapped_memory)
{
	uint64_t size = PAGES * PAGE;

	ASSERT_EQ(0, join(self, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, map_dma(self->container, self->memory, size, IOVA));
	EXPECT_TRUE(edu_reaches(&self->edu, IOVA, self->memory, PAGE));
	EXPECT_EQ(self->pins + PAGES, pinned_pages());
	EXPECT_EQ(0, unmap_dma(self->container, 0, IOVA, &size));
	EXPECT_EQ(self->pins, pinned_pages());
	EXPECT_TRUE(edu_write_refused(&self->edu, IOVA, self->memory, PAGE));
}

TEST_F(group, dma_to_the_rest_of_a_split_area)
{
	uint64_t size = PAGE;

	ASSERT_EQ(0, join(self, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, map_dma(self->container, self->memory, PAGES * PAGE, IOVA));
	ASSERT_EQ(0, unmap_dma(self->container, 0, IOVA + PAGE, &size));
	EXPECT_EQ(PAGE, size);
	EXPECT_EQ(self->pins + PAGES - 1, pinned_pages());
	EXPECT_TRUE(edu_reaches(&self->edu, IOVA, self->memory, PAGE));
	EXPECT_TRUE(edu_reaches(&self->edu, IOVA + 2 * PAGE,
				self->memory + 2 * PAGE, PAGE));
	EXPECT_TRUE(edu_write_refused(&self->edu, IOVA + PAGE,
				      self->memory + PAGE, PAGE));
	size = 0;
	EXPECT_EQ(0, unmap_dma(self->container, VFIO_DMA_UNMAP_FLAG_ALL, 0,
			       &size));
	EXPECT_EQ((PAGES - 1) * PAGE, size);
}

/* Type 1 must not map a huge page with one entry, since that could not be split */
TEST_F(group, dma_to_the_rest_of_a_split_huge_page)
{
	const uint64_t huge = 2UL << 20, all = 2 * huge;
	/* Inside a huge page, and on both sides of the boundary between two */
	const uint64_t cuts[] = { huge / 2, huge - PAGE, huge };
	unsigned char *memory = alloc_thp(all);
	uint64_t size;

	ASSERT_NE(NULL, memory);
	memset(memory, 1, all);
	ASSERT_EQ(0, join(self, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, map_dma(self->container, memory, all, IOVA));
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		size = PAGE;
		ASSERT_EQ(0, unmap_dma(self->container, 0, IOVA + cuts[i], &size));
		EXPECT_EQ(PAGE, size);
	}
	EXPECT_EQ(self->pins + (int64_t)(all / PAGE - ARRAY_SIZE(cuts)), pinned_pages());
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++)
		EXPECT_TRUE(edu_write_refused(&self->edu, IOVA + cuts[i],
					      memory + cuts[i], PAGE));
	for (uint64_t at = huge / 2 - PAGE; at <= huge / 2 + PAGE; at += 2 * PAGE)
		EXPECT_TRUE(edu_reaches(&self->edu, IOVA + at, memory + at, PAGE));
	EXPECT_TRUE(edu_reaches(&self->edu, IOVA + huge - 2 * PAGE,
				memory + huge - 2 * PAGE, PAGE));
	EXPECT_TRUE(edu_reaches(&self->edu, IOVA + huge + PAGE, memory + huge + PAGE,
				PAGE));
	size = 0;
	EXPECT_EQ(0, unmap_dma(self->container, VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
	EXPECT_EQ(all - ARRAY_SIZE(cuts) * PAGE, size);
	munmap(memory, all);
}

/* The returned IOVAs and page sizes are those that the device can use */
TEST_F(group, info_with_a_device)
{
	struct iommu_iova_range expected[16];
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	struct vfio_iommu_type1_info *info;
	uint32_t id, num = ARRAY_SIZE(expected);
	union {
		unsigned char bytes[1024];
		uint64_t aligned;
	} buf;

	ASSERT_EQ(0, join(self, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, container_ioas(self->container, &id));
	ASSERT_EQ(0, iommufd_iova_ranges(self->container, id, expected, &num,
					 NULL));
	ASSERT_LT(1, num);

	info = (void *)buf.bytes;
	info->argsz = sizeof(buf);
	ASSERT_EQ(0, ioctl_errno(self->container, VFIO_IOMMU_GET_INFO, info));
	EXPECT_EQ(RANGES_AT + RANGES_SIZE(num), info->argsz);
	EXPECT_EQ(PAGE, info->iova_pgsizes & -info->iova_pgsizes);
	EXPECT_NE(~(PAGE - 1), info->iova_pgsizes);
	ranges = (void *)(buf.bytes + RANGES_AT);
	ASSERT_EQ(num, ranges->nr_iovas);
	for (uint32_t i = 0; i < num; i++) {
		EXPECT_EQ(expected[i].start, ranges->iova_ranges[i].start);
		EXPECT_EQ(expected[i].last, ranges->iova_ranges[i].end);
	}
}

#define CLIENT_FIRST 0x10000UL
#define CLIENT_END (1ULL << 39)
#define CLIENT_ROOM (16UL * PAGE)

/*
 * Programs such as QEMU's driver for NVMe ask before they open the device, and only
 * then. They take IOVAs from the lowest range upwards and, below a bound of their own,
 * from the end of the last one downwards.
 */
TEST_F(group, what_info_promises_before_the_device_is_open_holds)
{
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	struct vfio_iommu_type1_info *info;
	struct vfio_iova_range *last;
	uint64_t end, size = CLIENT_ROOM;
	unsigned char *memory = alloc_small(CLIENT_ROOM);
	union {
		unsigned char bytes[1024];
		uint64_t aligned;
	} buf;

	ASSERT_NE(NULL, memory);
	ASSERT_EQ(0, ioctl_errno(self->group, VFIO_GROUP_SET_CONTAINER,
				 &self->container));
	ASSERT_EQ(0, set_iommu(self->container, VFIO_TYPE1_IOMMU));
	info = (void *)buf.bytes;
	info->argsz = sizeof(buf);
	ASSERT_EQ(0, ioctl_errno(self->container, VFIO_IOMMU_GET_INFO, info));
	ASSERT_EQ(DMA_AVAIL_AT, info->cap_offset);
	ranges = (void *)(buf.bytes + RANGES_AT);
	ASSERT_LT(0, ranges->nr_iovas);
	last = &ranges->iova_ranges[ranges->nr_iovas - 1];
	end = last->end + 1;
	if (end > CLIENT_END)
		end = CLIENT_END;
	ASSERT_LE(last->start + CLIENT_ROOM, end);

	self->edu.fd = ioctl_errno(self->group, VFIO_GROUP_GET_DEVICE_FD,
				   self->edu.bdf);
	ASSERT_LE(0, self->edu.fd);
	ASSERT_EQ(0, vfio_dev_enable(&self->edu));
	ASSERT_EQ(0, map_dma(self->container, self->memory, PAGE, CLIENT_FIRST));
	EXPECT_TRUE(edu_reaches(&self->edu, CLIENT_FIRST, self->memory, PAGE));
	ASSERT_EQ(0, map_dma(self->container, memory, CLIENT_ROOM, end - CLIENT_ROOM));
	EXPECT_TRUE(edu_reaches(&self->edu, end - PAGE, memory + CLIENT_ROOM - PAGE, PAGE));
	EXPECT_EQ(0, unmap_dma(self->container, 0, end - CLIENT_ROOM, &size));

	/* The borders of all that was promised: where one is, the device can get */
	for (uint32_t i = 0; i < ranges->nr_iovas; i++) {
		uint64_t first = ranges->iova_ranges[i].start;

		EXPECT_EQ(0, map_dma(self->container, memory, PAGE, first));
		EXPECT_EQ(0, map_dma(self->container, memory, PAGE,
				     ranges->iova_ranges[i].end + 1 - PAGE));
	}
	size = 0;
	EXPECT_EQ(0, unmap_dma(self->container, VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
	munmap(memory, CLIENT_ROOM);
}

TEST_F(group, type1_after_map)
{
	ASSERT_EQ(0, join(self, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, map_dma(self->container, self->memory, PAGE, IOVA));
	EXPECT_EQ(-EINVAL, set_iommu(self->container, VFIO_TYPE1_IOMMU));
}

TEST_HARNESS_MAIN
