// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the ioctls of VFIO's container on /dev/iommu and on /dev/vfio/vfio, without a
 * device: the IOAS that they apply to, sizes and flags, the capability chain, the number
 * of unmapped bytes, and the accounting mode.
 */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"
#include "vfio_container.h"

#define PAGE 4096UL
#define PAGES 8
#define IOVA 0x400000UL
#define CANARY 0xa5
#define UNKNOWN_ID 0x7ffffff0

#define INFO_MIN offsetofend(struct vfio_iommu_type1_info, iova_pgsizes)

#define offsetofend(type, member) \
	(offsetof(type, member) + sizeof(((type *)0)->member))

static int extension(int fd, unsigned long number)
{
	return ioctl_errno(fd, VFIO_CHECK_EXTENSION, (void *)number);
}

static int huge_pages(int fd, uint32_t ioas)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_GET,
		.object_id = ioas,
		.val64 = ~0ULL,
	};
	int rc = ioctl_errno(fd, IOMMU_OPTION, &cmd);

	return rc ? rc : (int)cmd.val64;
}

FIXTURE(container) {
	int fd;
	uint32_t ioas;
	unsigned char *memory;
};

FIXTURE_VARIANT(container) {
	const char *path;
	int per_process;
};

FIXTURE_VARIANT_ADD(container, iommu) {
	.path = "/dev/iommu", .per_process = 0
};

FIXTURE_VARIANT_ADD(container, vfio) {
	.path = "/dev/vfio/vfio", .per_process = 1
};

FIXTURE_SETUP(container)
{
	ASSERT_EQ(0, load_modules());
	self->fd = open(variant->path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, choose_ioas(self->fd, self->ioas));
	self->memory = alloc_small(PAGES * PAGE);
	ASSERT_NE(NULL, self->memory);
}

FIXTURE_TEARDOWN(container)
{
	close(self->fd);
}

TEST_F(container, version)
{
	EXPECT_EQ(VFIO_API_VERSION, ioctl_errno(self->fd, VFIO_GET_API_VERSION,
						NULL));
}

TEST_F(container, extensions)
{
	uint32_t none = 0;

	EXPECT_EQ(1, extension(self->fd, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(1, extension(self->fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(1, extension(self->fd, VFIO_UNMAP_ALL));
	EXPECT_EQ(1, extension(self->fd, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, extension(self->fd, VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(0, extension(self->fd, 6));	/* the former nesting type */
	EXPECT_EQ(0, extension(self->fd, VFIO_UPDATE_VADDR));
	EXPECT_EQ(0, extension(self->fd, 0));
	EXPECT_EQ(0, extension(self->fd, ~0UL));

	/* All page tables enforce coherent DMA, since there is none */
	EXPECT_EQ(1, extension(self->fd, VFIO_DMA_CC_IOMMU));
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_CLEAR, &none));
	EXPECT_EQ(-ENODEV, extension(self->fd, VFIO_DMA_CC_IOMMU));
	EXPECT_EQ(1, extension(self->fd, VFIO_TYPE1_IOMMU));
}

TEST_F(container, types)
{
	EXPECT_EQ(0, set_iommu(self->fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(1, huge_pages(self->fd, self->ioas));
	EXPECT_EQ(0, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, huge_pages(self->fd, self->ioas));
	EXPECT_EQ(0, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, set_iommu(self->fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, huge_pages(self->fd, self->ioas));

	EXPECT_EQ(-EINVAL, set_iommu(self->fd, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-EINVAL, set_iommu(self->fd, VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(-EINVAL, set_iommu(self->fd, 0));
	EXPECT_EQ(-EINVAL, set_iommu(self->fd, ~0UL));
}

TEST_F(container, unknown_ioctls_are_enotty)
{
	struct vfio_iommu_type1_dirty_bitmap dirty = {
		.argsz = sizeof(dirty),
		.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START,
	};

	EXPECT_EQ(-ENOTTY, ioctl_errno(self->fd, VFIO_IOMMU_DIRTY_PAGES, &dirty));
	EXPECT_EQ(-ENOTTY, ioctl_errno(self->fd, VFIO_IOMMU_ENABLE, NULL));
	EXPECT_EQ(-ENOTTY, ioctl_errno(self->fd, VFIO_GROUP_GET_STATUS, NULL));
	EXPECT_EQ(-ENOTTY, ioctl_errno(self->fd, VFIO_GET_API_VERSION |
				       _IOC(_IOC_READ, 0, 0, 4), NULL));
}

TEST_F(container, set_get_and_clear_ioas)
{
	uint32_t id = 0, other;

	ASSERT_EQ(0, container_ioas(self->fd, &id));
	EXPECT_EQ(self->ioas, id);
	EXPECT_EQ(-ENOENT, choose_ioas(self->fd, UNKNOWN_ID));
	EXPECT_EQ(-ENOENT, choose_ioas(self->fd, 0));
	ASSERT_EQ(0, container_ioas(self->fd, &id));
	EXPECT_EQ(self->ioas, id);

	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, choose_ioas(self->fd, other));
	ASSERT_EQ(0, container_ioas(self->fd, &id));
	EXPECT_EQ(other, id);

	id = UNKNOWN_ID;
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_CLEAR, &id));
	EXPECT_EQ(-ENODEV, container_ioas(self->fd, &id));
	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_CLEAR, &id));
}

/* The container does not keep its IOAS alive, and does not use a new one of the same ID */
TEST_F(container, destroyed_ioas)
{
	uint32_t id;

	ASSERT_EQ(0, iommufd_destroy(self->fd, self->ioas));
	EXPECT_EQ(-ENODEV, container_ioas(self->fd, &id));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &id));
	ASSERT_EQ(self->ioas, id);
	EXPECT_EQ(-ENODEV, container_ioas(self->fd, &id));
	EXPECT_EQ(-ENODEV, map_dma(self->fd, self->memory, PAGE, IOVA));
}

TEST_F(container, without_ioas)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	uint32_t none = 0;
	uint64_t size = PAGE;

	ASSERT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_CLEAR, &none));
	EXPECT_EQ(-ENODEV, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-ENODEV, set_iommu(self->fd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, set_iommu(self->fd, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENODEV, ioctl_errno(self->fd, VFIO_IOMMU_GET_INFO, &info));
	EXPECT_EQ(-ENODEV, map_dma(self->fd, self->memory, PAGE, IOVA));
	EXPECT_EQ(-ENODEV, unmap_dma(self->fd, 0, IOVA, &size));
	EXPECT_EQ(PAGE, size);

	/* The members of the structure are checked before */
	info.argsz = INFO_MIN - 1;
	EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, VFIO_IOMMU_GET_INFO, &info));
	EXPECT_EQ(-EINVAL, unmap_dma(self->fd, 1U << 31, IOVA, &size));
}

TEST_F(container, map_sizes_and_flags)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map) - 1,
		.flags = VFIO_DMA_MAP_FLAG_READ,
		.vaddr = (uintptr_t)self->memory,
		.iova = IOVA,
		.size = PAGE,
	};

	EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	map.argsz = sizeof(map);
	for (unsigned int bit = 2; bit < 32; bit++) {
		map.flags = VFIO_DMA_MAP_FLAG_READ | 1U << bit;
		EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, VFIO_IOMMU_MAP_DMA,
					       &map));
	}
	map.flags = VFIO_DMA_MAP_FLAG_READ;
	map.argsz = sizeof(map) + 100;
	EXPECT_EQ(0, ioctl_errno(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	EXPECT_EQ(-EEXIST, ioctl_errno(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	map.iova = 0;
	EXPECT_EQ(0, ioctl_errno(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	map.size = 0;
	map.iova = 2 * IOVA;
	EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	EXPECT_EQ(-EFAULT, ioctl_errno(self->fd, VFIO_IOMMU_MAP_DMA, NULL));
}

TEST_F(container, unmap_sizes_and_flags)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap) - 1,
		.iova = IOVA,
		.size = PAGE,
	};
	uint64_t size;

	ASSERT_EQ(0, map_dma(self->fd, self->memory, PAGE, IOVA));
	EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	unmap.argsz = sizeof(unmap);
	for (unsigned int bit = 0; bit < 32; bit++) {
		unmap.flags = 1U << bit;
		/* This includes VFIO_DMA_UNMAP_FLAG_ALL, which must not be given with a range */
		EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, VFIO_IOMMU_UNMAP_DMA,
					       &unmap));
		EXPECT_EQ(PAGE, unmap.size);
	}
	EXPECT_EQ(-EFAULT, ioctl_errno(self->fd, VFIO_IOMMU_UNMAP_DMA, NULL));

	/* These errors set the size to the number of unmapped bytes, which is 0 */
	size = 0;
	EXPECT_EQ(-EINVAL, unmap_dma(self->fd, 0, IOVA, &size));
	size = UINT64_MAX;
	EXPECT_EQ(-EOVERFLOW, unmap_dma(self->fd, 0, IOVA, &size));
	EXPECT_EQ(0, size);
	size = PAGE;
	EXPECT_EQ(0, unmap_dma(self->fd, 0, IOVA, &size));
	EXPECT_EQ(PAGE, size);
}

TEST_F(container, unmap_returns_the_size)
{
	uint64_t size = PAGES * PAGE;

	/* Unmapping a range without mappings is not an error */
	EXPECT_EQ(0, unmap_dma(self->fd, 0, IOVA, &size));
	EXPECT_EQ(0, size);
	EXPECT_EQ(0, unmap_dma(self->fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
	EXPECT_EQ(0, size);

	for (unsigned int i = 0; i < PAGES; i++)
		ASSERT_EQ(0, map_dma(self->fd, self->memory + i * PAGE, PAGE,
				     IOVA + 2 * i * PAGE));
	size = 3 * PAGE;
	EXPECT_EQ(0, unmap_dma(self->fd, 0, IOVA, &size));
	EXPECT_EQ(2 * PAGE, size);
	size = 0;
	EXPECT_EQ(0, unmap_dma(self->fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
	EXPECT_EQ((PAGES - 2) * PAGE, size);
}

/* Areas before the one that cannot be split are unmapped, and their size is returned */
TEST_F(container, type1v2_does_not_split_areas)
{
	uint64_t size;

	ASSERT_EQ(0, set_iommu(self->fd, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, map_dma(self->fd, self->memory, PAGE, IOVA));
	ASSERT_EQ(0, map_dma(self->fd, self->memory, PAGES * PAGE, IOVA + PAGE));
	size = 2 * PAGE;
	EXPECT_EQ(-ENOENT, unmap_dma(self->fd, 0, IOVA, &size));
	EXPECT_EQ(PAGE, size);
	size = PAGE;
	EXPECT_EQ(-ENOENT, unmap_dma(self->fd, 0, IOVA + 2 * PAGE, &size));
	EXPECT_EQ(0, size);
	size = PAGES * PAGE;
	EXPECT_EQ(0, unmap_dma(self->fd, 0, IOVA + PAGE, &size));
	EXPECT_EQ(PAGES * PAGE, size);
}

/* Type 1 splits areas at any page */
TEST_F(container, type1_splits_areas)
{
	uint64_t size;

	ASSERT_EQ(0, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, map_dma(self->fd, self->memory, PAGES * PAGE, IOVA));
	size = 2 * PAGE;
	EXPECT_EQ(0, unmap_dma(self->fd, 0, IOVA + PAGE, &size));
	EXPECT_EQ(2 * PAGE, size);
	size = PAGE;
	EXPECT_EQ(0, unmap_dma(self->fd, 0, IOVA, &size));
	EXPECT_EQ(PAGE, size);
	size = 100 * PAGE;
	EXPECT_EQ(0, unmap_dma(self->fd, 0, IOVA + (PAGES - 1) * PAGE, &size));
	EXPECT_EQ(PAGE, size);
	/* A range that starts at IOVA 0 has no split at its start */
	size = IOVA + 4 * PAGE;
	EXPECT_EQ(0, unmap_dma(self->fd, 0, 0, &size));
	EXPECT_EQ(PAGE, size);
	size = 0;
	EXPECT_EQ(0, unmap_dma(self->fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, &size));
	EXPECT_EQ((PAGES - 5) * PAGE, size);
}

TEST_F(container, type1_requires_whole_pages)
{
	ASSERT_EQ(0, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EINVAL, map_dma(self->fd, self->memory, PAGE / 2, IOVA));
	EXPECT_EQ(-EINVAL, map_dma(self->fd, self->memory, PAGE, IOVA + 16));
	EXPECT_EQ(-EINVAL, map_dma(self->fd, self->memory + 16, PAGE, IOVA));
	EXPECT_EQ(0, map_dma(self->fd, self->memory, PAGE, IOVA));
}

TEST_F(container, type1_after_map_of_part_of_a_page)
{
	ASSERT_EQ(0, map_dma(self->fd, self->memory, PAGE / 2, IOVA));
	EXPECT_EQ(-EADDRINUSE, set_iommu(self->fd, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(1, huge_pages(self->fd, self->ioas));
}

/* GET_INFO with all buffer sizes; it must not write beyond the buffer */
TEST_F(container, info_with_buffers_of_all_sizes)
{
	const size_t total = RANGES_AT + RANGES_SIZE(2);
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	struct vfio_iommu_type1_info_dma_avail *avail;
	struct vfio_iommu_type1_info *info;
	union {
		struct vfio_iommu_type1_info info;
		unsigned char bytes[256];
		uint64_t aligned;
	} buf;

	info = &buf.info;
	avail = (void *)(buf.bytes + DMA_AVAIL_AT);
	ranges = (void *)(buf.bytes + RANGES_AT);
	for (uint32_t room = 0; room < 200; room++) {
		memset(&buf, CANARY, sizeof(buf));
		info->argsz = room;
		if (room < INFO_MIN) {
			EXPECT_EQ(-EINVAL, ioctl_errno(self->fd,
					VFIO_IOMMU_GET_INFO, &buf));
			EXPECT_EQ(room, info->argsz);
			continue;
		}
		ASSERT_EQ(0, ioctl_errno(self->fd, VFIO_IOMMU_GET_INFO, &buf));
		EXPECT_EQ(total, info->argsz);
		EXPECT_EQ(VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS,
			  info->flags);
		EXPECT_EQ(~(PAGE - 1), info->iova_pgsizes);
		for (size_t i = room < total ? room : total; i < sizeof(buf); i++)
			ASSERT_EQ(CANARY, buf.bytes[i]);
		if (room < sizeof(*info))
			continue;
		EXPECT_EQ(room < total ? 0 : sizeof(*info), info->cap_offset);
		EXPECT_EQ(0, info->pad);
		if (room >= DMA_AVAIL_AT + 12) {
			EXPECT_EQ(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
				  avail->header.id);
			EXPECT_EQ(1, avail->header.version);
			EXPECT_EQ(UINT32_MAX, avail->avail);
			EXPECT_EQ(room < RANGES_AT ? 0 : RANGES_AT,
				  avail->header.next);
		}
		if (room < total)
			continue;
		EXPECT_EQ(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
			  ranges->header.id);
		EXPECT_EQ(1, ranges->header.version);
		EXPECT_EQ(0, ranges->header.next);
		EXPECT_EQ(2, ranges->nr_iovas);
		EXPECT_EQ(0, ranges->reserved);
		EXPECT_EQ(0, ranges->iova_ranges[0].start);
		EXPECT_EQ(0xfedfffff, ranges->iova_ranges[0].end);
		EXPECT_EQ(0xfef00000, ranges->iova_ranges[1].start);
		EXPECT_EQ((1ULL << 39) - 1, ranges->iova_ranges[1].end);
	}
}

/* What no device has restricted can be mapped all the same, and iommufd's own command says so */
TEST_F(container, ranges_without_a_device_are_a_promise_not_a_limit)
{
	struct iommu_iova_range range;
	uint32_t num = 1;

	EXPECT_EQ(0, map_dma(self->fd, self->memory, PAGE, 0xfee00000));
	EXPECT_EQ(0, map_dma(self->fd, self->memory, PAGE, 1ULL << 48));
	ASSERT_EQ(0, iommufd_iova_ranges(self->fd, self->ioas, &range, &num,
					 NULL));
	EXPECT_EQ(0, range.start);
	EXPECT_EQ(UINT64_MAX, range.last);
}

TEST_F(container, info_into_bad_memory)
{
	struct vfio_iommu_type1_info *info;
	unsigned char *p;

	EXPECT_EQ(-EFAULT, ioctl_errno(self->fd, VFIO_IOMMU_GET_INFO, NULL));
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, munmap(p + PAGE, PAGE));

	/* argsz extends to unmapped addresses */
	info = (void *)(p + PAGE - sizeof(*info));
	info->argsz = 200;
	EXPECT_EQ(-EFAULT, ioctl_errno(self->fd, VFIO_IOMMU_GET_INFO, info));
	info->argsz = sizeof(*info);
	EXPECT_EQ(0, ioctl_errno(self->fd, VFIO_IOMMU_GET_INFO, info));
	ASSERT_EQ(0, mprotect(p, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, ioctl_errno(self->fd, VFIO_IOMMU_GET_INFO, info));
}

TEST_F(container, accounting)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_GET,
		.val64 = ~0ULL,
	};

	ASSERT_EQ(0, ioctl_errno(self->fd, IOMMU_OPTION, &cmd));
	EXPECT_EQ(variant->per_process, cmd.val64);
}

TEST(node)
{
	struct stat st;

	ASSERT_EQ(0, load_modules());
	ASSERT_EQ(0, stat("/dev/vfio/vfio", &st));
	EXPECT_EQ(S_IFCHR | 0666, st.st_mode);
	EXPECT_EQ(10, major(st.st_rdev));
	EXPECT_EQ(196, minor(st.st_rdev));
}

TEST_HARNESS_MAIN
