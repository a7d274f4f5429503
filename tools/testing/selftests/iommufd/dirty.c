// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty tracking through the mock IOMMU, whose devices write where IOMMU_TEST_CMD says.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "system.h"

#define TEST_CMD _IO(IOMMUFD_TYPE, 0xa0)
#define OP_DEVICE_CREATE_FLAGS 12
#define OP_DIRTY 13
#define OP_READ_BY_C 1001
#define DEVICE_NO_DIRTY 1
#define DATA_SELFTEST 0xdead
#define HUGE_TABLE 1

#define PAGE 4096UL
#define LEAF (1UL << 20)	/* a large page of the mock IOMMU */
#define BASE (1UL << 24)	/* the first IOVA of its small page tables */
#define LENGTH (64 * PAGE)
#define CANARY 0xa5

struct test_cmd {
	uint32_t size;
	uint32_t op;
	uint32_t id;
	uint32_t reserved;
	union {
		struct {
			uint32_t stdev;
			uint32_t hwpt;
			uint32_t device;
			uint32_t flags;
		} create;
		struct {
			uint32_t flags;
			uint32_t padding;
			uint64_t iova;
			uint64_t length;
			uint64_t page_size;
			uint64_t uptr;
			uint64_t count;
		} dirty;
	};
	uint32_t last;
	uint32_t end;
};

FIXTURE(dirty) {
	int fd;
	uint32_t ioas;
	uint32_t stdev;
	uint32_t device;
	uint32_t hwpt;
	uint8_t *memory;
	uint8_t *bitmap;	/* two pages, of zeroes */
};

/*
 * The page tables of the mock IOMMU are read by a function that other drivers in Rust have
 * as well, or by those that C calls, as the page tables of a C driver are.
 */
FIXTURE_VARIANT(dirty) {
	bool by_c;
};

FIXTURE_VARIANT_ADD(dirty, rust) { .by_c = false };

FIXTURE_VARIANT_ADD(dirty, c) { .by_c = true };

static int create_device(int fd, uint32_t pt, uint32_t flags, struct test_cmd *cmd)
{
	*cmd = (struct test_cmd){
		.size = sizeof(*cmd), .op = OP_DEVICE_CREATE_FLAGS, .id = pt,
		.create.flags = flags,
	};
	return ioctl_errno(fd, TEST_CMD, cmd);
}

static int alloc_table(int fd, uint32_t device, uint32_t ioas, uint32_t flags, bool huge,
		       uint32_t *id)
{
	uint32_t data[2] = { 0, HUGE_TABLE };
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = device, .pt_id = ioas,
		.data_type = huge ? DATA_SELFTEST : IOMMU_HWPT_DATA_NONE,
		.data_len = huge ? sizeof(data) : 0, .data_uptr = huge ? (uintptr_t)data : 0,
	};
	int rc = ioctl_errno(fd, IOMMU_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return rc;
}

static int track(int fd, uint32_t hwpt, uint32_t flags)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd), .flags = flags, .hwpt_id = hwpt,
	};

	return ioctl_errno(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

static int read_dirty(int fd, uint32_t hwpt, uint32_t flags, uint64_t iova, uint64_t length,
		      uint64_t page_size, const void *bitmap)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd), .hwpt_id = hwpt, .flags = flags, .iova = iova,
		.length = length, .page_size = page_size, .data = (uintptr_t)bitmap,
	};

	return ioctl_errno(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

/* Has the device write to the page at @iova */
static int write_page(int fd, uint32_t hwpt, uint64_t iova)
{
	uint8_t one = 1;
	struct test_cmd cmd = {
		.size = sizeof(cmd), .op = OP_DIRTY, .id = hwpt,
		.dirty = { .iova = iova, .length = PAGE, .page_size = PAGE,
			   .uptr = (uintptr_t)&one },
	};
	int rc = ioctl_errno(fd, TEST_CMD, &cmd);

	return rc ? rc : cmd.dirty.count == 1 ? 0 : -EIO;
}

static bool bit(const uint8_t *bitmap, size_t n)
{
	return bitmap[n / 8] >> n % 8 & 1;
}

static size_t count_bits(const uint8_t *bitmap, size_t bits)
{
	size_t count = 0;

	for (size_t n = 0; n < bits; n++)
		count += bit(bitmap, n);
	return count;
}

FIXTURE_SETUP(dirty)
{
	struct test_cmd cmd = { .size = sizeof(cmd), .op = OP_READ_BY_C, .id = variant->by_c };

	ASSERT_EQ(0, load_modules());
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioctl_errno(self->fd, TEST_CMD, &cmd));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, create_device(self->fd, self->ioas, 0, &cmd));
	self->stdev = cmd.create.stdev;
	self->device = cmd.create.device;
	self->memory = alloc_small(LENGTH);
	ASSERT_NE(NULL, self->memory);
	self->bitmap = alloc_small(2 * PAGE);
	ASSERT_NE(NULL, self->bitmap);
	memset(self->bitmap, 0, 2 * PAGE);
	ASSERT_EQ(0, iommufd_map_at(self->fd, self->ioas, self->memory, LENGTH, BASE));
	ASSERT_EQ(0, alloc_table(self->fd, self->device, self->ioas,
				 IOMMU_HWPT_ALLOC_DIRTY_TRACKING, false, &self->hwpt));
	ASSERT_EQ(0, track(self->fd, self->hwpt, IOMMU_HWPT_DIRTY_TRACKING_ENABLE));
}

FIXTURE_TEARDOWN(dirty)
{
	close(self->fd);
}

#define READ(flags, iova, length, size, bitmap) \
	read_dirty(self->fd, self->hwpt, flags, iova, length, size, bitmap)
#define WRITE(iova) write_page(self->fd, self->hwpt, iova)

TEST_F(dirty, devices_without)
{
	struct iommu_hw_info info = { .size = sizeof(info), .dev_id = self->device };
	struct test_cmd cmd;
	uint32_t ioas, id;

	ASSERT_EQ(0, ioctl_errno(self->fd, IOMMU_GET_HW_INFO, &info));
	EXPECT_NE(0, info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, create_device(self->fd, ioas, DEVICE_NO_DIRTY, &cmd));
	info.dev_id = cmd.create.device;
	info.data_len = 0;
	ASSERT_EQ(0, ioctl_errno(self->fd, IOMMU_GET_HW_INFO, &info));
	EXPECT_EQ(0, info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING);
	EXPECT_EQ(-EOPNOTSUPP, alloc_table(self->fd, cmd.create.device, ioas,
					   IOMMU_HWPT_ALLOC_DIRTY_TRACKING, false, &id));
	EXPECT_EQ(0, alloc_table(self->fd, cmd.create.device, ioas, 0, false, &id));
	EXPECT_EQ(-EINVAL, create_device(self->fd, self->hwpt, DEVICE_NO_DIRTY, &cmd));
	EXPECT_EQ(0, create_device(self->fd, self->hwpt, 0, &cmd));
}

TEST_F(dirty, flags)
{
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get), .hwpt_id = self->hwpt, .iova = BASE, .length = PAGE,
		.page_size = PAGE, .data = (uintptr_t)self->bitmap,
	};
	struct iommu_hwpt_set_dirty_tracking set = {
		.size = sizeof(set), .hwpt_id = self->hwpt, .__reserved = 1,
	};

	for (int n = 1; n < 32; n++) {
		EXPECT_EQ(-EOPNOTSUPP, track(self->fd, self->hwpt, 1U << n));
		EXPECT_EQ(-EOPNOTSUPP, READ(1U << n, BASE, PAGE, PAGE, self->bitmap));
	}
	/* Flags are checked before anything else */
	EXPECT_EQ(-EOPNOTSUPP, track(self->fd, 0x7fffffff, 2));
	EXPECT_EQ(-EOPNOTSUPP, read_dirty(self->fd, 0x7fffffff, 2, 0, 0, 0, NULL));
	EXPECT_EQ(0, ioctl_errno(self->fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &set));
	get.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_errno(self->fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
	get.__reserved = 0;
	get.size = sizeof(get) - 1;
	EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &get));
}

TEST_F(dirty, objects)
{
	const uint32_t wrong[] = { 0, self->ioas, self->device, self->stdev, 0x7fffffff };
	uint32_t id;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(-ENOENT, track(self->fd, wrong[i], 1));
		EXPECT_EQ(-ENOENT, read_dirty(self->fd, wrong[i], 0, BASE, PAGE, PAGE,
					      self->bitmap));
	}
	ASSERT_EQ(0, alloc_table(self->fd, self->device, self->ioas, 0, false, &id));
	EXPECT_EQ(-EOPNOTSUPP, track(self->fd, id, 0));
	EXPECT_EQ(-EOPNOTSUPP, track(self->fd, id, 1));
	EXPECT_EQ(-EOPNOTSUPP, read_dirty(self->fd, id, 0, BASE, PAGE, PAGE, self->bitmap));
	/* The range is checked first */
	EXPECT_EQ(-EINVAL, read_dirty(self->fd, id, 0, BASE, 0, PAGE, self->bitmap));
	ASSERT_EQ(0, iommufd_destroy(self->fd, self->hwpt));
	EXPECT_EQ(-ENOENT, track(self->fd, self->hwpt, 1));
	EXPECT_EQ(-ENOENT, READ(0, BASE, PAGE, PAGE, self->bitmap));
}

TEST_F(dirty, ranges)
{
	EXPECT_EQ(-EINVAL, READ(0, BASE, 0, PAGE, self->bitmap));
	EXPECT_EQ(-EINVAL, READ(0, BASE, PAGE, 0, self->bitmap));
	EXPECT_EQ(-EINVAL, READ(0, BASE + 1024, PAGE, 1024, self->bitmap));
	EXPECT_EQ(-EINVAL, READ(0, BASE, PAGE + 1, 1, self->bitmap));
	EXPECT_EQ(-EINVAL, READ(0, BASE, PAGE, 2 * PAGE, self->bitmap));
	EXPECT_EQ(-EINVAL, READ(0, BASE + PAGE, 2 * PAGE, 2 * PAGE, self->bitmap));
	EXPECT_EQ(-EOVERFLOW, READ(0, BASE, -PAGE, PAGE, self->bitmap));
	EXPECT_EQ(-EOVERFLOW, READ(0, -PAGE, 2 * PAGE, PAGE, self->bitmap));
	EXPECT_EQ(-EOVERFLOW, READ(0, -1UL, -1UL, PAGE, self->bitmap));

	/* Nothing is mapped at the start, or all of it behind the aperture */
	ASSERT_EQ(0, WRITE(BASE));
	EXPECT_EQ(0, READ(0, BASE - PAGE, 2 * PAGE, PAGE, self->bitmap));
	EXPECT_EQ(0, READ(0, 1UL << 31, PAGE, PAGE, self->bitmap));
	EXPECT_EQ(0, READ(0, 1UL << 56, PAGE, PAGE, self->bitmap));
	EXPECT_EQ(0, READ(0, -PAGE, PAGE, PAGE, self->bitmap));
	EXPECT_EQ(0, count_bits(self->bitmap, 8 * PAGE));

	/* Up to the gap */
	ASSERT_EQ(0, WRITE(BASE + LENGTH - PAGE));
	EXPECT_EQ(0, READ(0, BASE, 1UL << 30, PAGE, self->bitmap));
	EXPECT_EQ(2, count_bits(self->bitmap, 8 * PAGE));
	EXPECT_TRUE(bit(self->bitmap, 0) && bit(self->bitmap, LENGTH / PAGE - 1));
}

TEST_F(dirty, page_sizes)
{
	uint8_t *large = alloc_small(64 * PAGE);

	ASSERT_NE(NULL, large);
	for (uint64_t size = 1; size <= BASE; size *= 2) {
		uint64_t length = size > LENGTH ? size : LENGTH;
		size_t bits = size < PAGE ? PAGE / size : 1;

		memset(large, 0, 64 * PAGE);
		ASSERT_EQ(0, WRITE(BASE + 3 * PAGE));
		ASSERT_EQ(0, READ(0, BASE, length, size, large));
		EXPECT_EQ(bits, count_bits(large, 64 * PAGE * 8)) TH_LOG("size %lu", size);
		EXPECT_TRUE(bit(large, 3 * PAGE / size));
		EXPECT_TRUE(bit(large, 3 * PAGE / size + bits - 1));
		memset(large, 0, 64 * PAGE);
		ASSERT_EQ(0, READ(0, BASE, length, size, large));
		EXPECT_EQ(0, count_bits(large, 64 * PAGE * 8)) TH_LOG("size %lu", size);
	}
	/* Ranges that begin where nothing is mapped */
	for (uint64_t size = 2 * BASE; size; size *= 2) {
		EXPECT_EQ(0, READ(0, 0, size, size, large));
		EXPECT_EQ(0, READ(0, -size, size, size, large));
	}
	EXPECT_EQ(0, READ(0, 1UL << 63, 1UL << 63, 1UL << 63, large));
	/* Not a power of two: the lowest bit counts */
	ASSERT_EQ(0, WRITE(BASE));
	EXPECT_EQ(-EINVAL, READ(0, BASE + PAGE, LENGTH - PAGE, 6 * PAGE, large));
	EXPECT_EQ(0, READ(0, BASE, LENGTH, 3 * PAGE, large));
	EXPECT_EQ(1, count_bits(large, 64 * PAGE * 8));
}

TEST_F(dirty, alignment_of_bitmaps)
{
	const size_t bytes = LENGTH / 512 / 8;
	const size_t at[] = { 0, 1, 7, 9, PAGE - 1, PAGE - bytes / 2, PAGE - bytes + 3 };

	for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
		uint8_t *bitmap = self->bitmap + at[i];

		memset(self->bitmap, CANARY, 2 * PAGE);
		memset(bitmap, 0, bytes);
		bitmap[bytes / 2] = 0x40;	/* stays set */
		for (size_t page = 0; page < LENGTH / PAGE; page += 5)
			ASSERT_EQ(0, WRITE(BASE + page * PAGE));
		ASSERT_EQ(0, READ(0, BASE, LENGTH, 512, bitmap));
		for (size_t n = 0; n < bytes * 8; n++) {
			ASSERT_EQ(n / 8 % 5 == 0 || n == bytes / 2 * 8 + 6, bit(bitmap, n))
			{
				TH_LOG("bit %zu at %zu", n, at[i]);
			}
		}
		for (size_t n = 0; n < 2 * PAGE; n++) {
			if (n >= at[i] && n < at[i] + bytes)
				continue;
			ASSERT_EQ(CANARY, self->bitmap[n]);
		}
	}
}

TEST_F(dirty, no_clear)
{
	ASSERT_EQ(0, WRITE(BASE + PAGE));
	for (int i = 0; i < 3; i++) {
		self->bitmap[0] = 0;
		ASSERT_EQ(0, READ(i == 2 ? 0 : IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, BASE,
				  LENGTH, PAGE, self->bitmap));
		EXPECT_EQ(2, self->bitmap[0]);
	}
	self->bitmap[0] = 0;
	ASSERT_EQ(0, READ(0, BASE, LENGTH, PAGE, self->bitmap));
	EXPECT_EQ(0, self->bitmap[0]);
}

TEST_F(dirty, start_and_stop)
{
	ASSERT_EQ(0, WRITE(BASE));
	/* Starting again forgets, stopping does not */
	ASSERT_EQ(0, track(self->fd, self->hwpt, 1));
	ASSERT_EQ(0, READ(0, BASE, LENGTH, PAGE, self->bitmap));
	EXPECT_EQ(0, self->bitmap[0]);
	ASSERT_EQ(0, WRITE(BASE));
	ASSERT_EQ(0, track(self->fd, self->hwpt, 0));
	ASSERT_EQ(0, track(self->fd, self->hwpt, 0));
	EXPECT_EQ(-EINVAL, WRITE(BASE + PAGE));
	ASSERT_EQ(0, READ(0, BASE, LENGTH, PAGE, self->bitmap));
	EXPECT_EQ(1, self->bitmap[0]);
}

/* What devices have written to is forgotten with the mapping */
TEST_F(dirty, unmapped)
{
	ASSERT_EQ(0, WRITE(BASE));
	ASSERT_EQ(0, iommufd_unmap(self->fd, self->ioas, BASE, LENGTH, NULL));
	EXPECT_EQ(0, READ(0, BASE, LENGTH, PAGE, self->bitmap));
	ASSERT_EQ(0, iommufd_map_at(self->fd, self->ioas, self->memory, LENGTH, BASE));
	EXPECT_EQ(0, READ(0, BASE, LENGTH, PAGE, self->bitmap));
	EXPECT_EQ(0, self->bitmap[0]);
}

TEST_F(dirty, kinds_of_bitmaps)
{
	int file = memfd_create("bitmap", 0);
	uint8_t *bitmaps[4];

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ftruncate(file, PAGE));
	bitmaps[0] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	bitmaps[1] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	bitmaps[2] = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bitmaps[3] = alloc_hugetlb(2UL << 20);
	for (size_t i = 0; i < ARRAY_SIZE(bitmaps); i++) {
		ASSERT_NE(MAP_FAILED, bitmaps[i]);
		if (!bitmaps[i])
			continue;
		ASSERT_EQ(0, WRITE(BASE + 9 * PAGE));
		ASSERT_EQ(0, READ(0, BASE, LENGTH, PAGE, bitmaps[i] + 5));
		EXPECT_EQ(1, count_bits(bitmaps[i], PAGE * 8));
		EXPECT_EQ(2, bitmaps[i][6]);
	}
}

/*
 * As in the kernel's own module, it is no error if bits cannot be recorded. But here the
 * pages stay dirty, and are reported when the caller comes with a better bitmap.
 */
TEST_F(dirty, bitmaps_that_are_not_writable)
{
	void *bad[] = {
		NULL, (void *)-PAGE, (void *)-1UL, (void *)(1UL << 47),
		mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
	};
	uint8_t *half;

	ASSERT_EQ(0, WRITE(BASE + 2 * PAGE));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		EXPECT_EQ(0, READ(0, BASE, LENGTH, PAGE, bad[i]));
	EXPECT_EQ(0, READ(0, BASE, LENGTH, PAGE, self->bitmap));
	EXPECT_EQ(4, self->bitmap[0]);

	/* Its first page is missing: bits 0 to 7 are there, the others in the second page */
	half = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, half);
	ASSERT_EQ(0, munmap(half, PAGE));
	ASSERT_EQ(0, WRITE(BASE + 2 * PAGE));
	ASSERT_EQ(0, WRITE(BASE + 8 * PAGE));
	EXPECT_EQ(0, READ(0, BASE, LENGTH, PAGE, half + PAGE - 1));
	EXPECT_EQ(1, half[PAGE]);
	self->bitmap[0] = 0;
	EXPECT_EQ(0, READ(0, BASE, LENGTH, PAGE, self->bitmap));
	EXPECT_EQ(4, self->bitmap[0]);
	EXPECT_EQ(0, self->bitmap[1]);
}

/* Pages of the page table that are larger than the range, and than the pinned bitmap */
TEST_F(dirty, large_leaves)
{
	const size_t bytes = 2 * LEAF / 8;
	uint8_t *memory = alloc_hugetlb(2 * LEAF);
	uint8_t *bitmap = alloc_small(bytes + PAGE);
	uint32_t ioas, hwpt;

	if (!memory)
		SKIP(return, "no huge page");
	ASSERT_NE(NULL, bitmap);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, iommufd_map_at(self->fd, ioas, memory, 2 * LEAF, BASE));
	ASSERT_EQ(0, alloc_table(self->fd, self->device, ioas, IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
				 true, &hwpt));
	ASSERT_EQ(0, track(self->fd, hwpt, 1));

	/* A part of a page is reported, and it stays dirty, until all of it is read */
	ASSERT_EQ(0, write_page(self->fd, hwpt, BASE));
	for (int i = 0; i < 2; i++) {
		memset(bitmap, 0, PAGE);
		ASSERT_EQ(0, read_dirty(self->fd, hwpt, 0, BASE + LEAF / 2, LEAF, PAGE, bitmap));
		EXPECT_EQ(LEAF / 2 / PAGE, count_bits(bitmap, PAGE * 8));
		EXPECT_TRUE(bit(bitmap, 0) && bit(bitmap, LEAF / 2 / PAGE - 1));
	}
	memset(bitmap, 0, PAGE);
	ASSERT_EQ(0, read_dirty(self->fd, hwpt, 0, BASE, LEAF, PAGE, bitmap));
	EXPECT_EQ(LEAF / PAGE, count_bits(bitmap, PAGE * 8));
	memset(bitmap, 0, PAGE);
	ASSERT_EQ(0, read_dirty(self->fd, hwpt, 0, BASE, 2 * LEAF, PAGE, bitmap));
	EXPECT_EQ(0, count_bits(bitmap, PAGE * 8));

	/* The bits of one page, one for each byte, fill 32 pages of memory and more */
	for (size_t at = 0; at < 2; at++) {
		memset(bitmap, 0, bytes + PAGE);
		ASSERT_EQ(0, write_page(self->fd, hwpt, BASE + LEAF));
		ASSERT_EQ(0, read_dirty(self->fd, hwpt, 0, BASE, 2 * LEAF, 1,
					bitmap + at * 0xff1));
		EXPECT_EQ(LEAF, count_bits(bitmap, (bytes + PAGE) * 8));
		EXPECT_EQ(0, bitmap[at * 0xff1 + bytes / 2 - 1]);
		EXPECT_EQ(0xff, bitmap[at * 0xff1 + bytes / 2]);
		EXPECT_EQ(0xff, bitmap[at * 0xff1 + bytes - 1]);
		memset(bitmap, 0, bytes + PAGE);
		ASSERT_EQ(0, read_dirty(self->fd, hwpt, 0, BASE, 2 * LEAF, 1, bitmap));
		/* Those for C see each part alone if the pinned bitmap divides the page */
		EXPECT_EQ(variant->by_c && at ? LEAF : 0, count_bits(bitmap, bytes * 8));
	}
}

struct mapper {
	int fd;
	uint32_t ioas;
	uint8_t *memory;
	volatile bool stop;
	unsigned long rounds;
	int rc;
};

/* Maps and unmaps beside the range that is read, and at its end */
static void *map_and_unmap(void *arg)
{
	struct mapper *mapper = arg;

	while (!mapper->stop && !mapper->rc) {
		uint64_t iova = BASE + LENGTH + mapper->rounds % 3 * PAGE;

		mapper->rc = iommufd_map_at(mapper->fd, mapper->ioas, mapper->memory, PAGE, iova);
		if (!mapper->rc)
			mapper->rc = iommufd_unmap(mapper->fd, mapper->ioas, iova, PAGE, NULL);
		mapper->rounds++;
		sched_yield();
	}
	return NULL;
}

TEST_F(dirty, maps_beside)
{
	struct mapper mapper = { .fd = self->fd, .ioas = self->ioas, .memory = self->memory };
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, map_and_unmap, &mapper));
	for (int i = 0; i < 300; i++) {
		size_t page = i % (LENGTH / PAGE);

		memset(self->bitmap, 0, PAGE);
		ASSERT_EQ(0, WRITE(BASE + page * PAGE));
		ASSERT_EQ(0, READ(0, BASE, 2 * LENGTH, PAGE, self->bitmap));
		ASSERT_TRUE(bit(self->bitmap, page));
		ASSERT_EQ(1, count_bits(self->bitmap, PAGE * 8));
		if (i % 16 == 0)
			EXPECT_EQ(0, track(self->fd, self->hwpt, 1));
		sched_yield();
	}
	mapper.stop = true;
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, mapper.rc);
	EXPECT_NE(0, mapper.rounds);
}

static bool write_file(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY);
	bool done = fd >= 0 && write(fd, value, strlen(value)) > 0;

	if (fd >= 0)
		close(fd);
	return done;
}

#define FAILSLAB "/sys/kernel/debug/failslab/"
#define FAILPAGE "/sys/kernel/debug/fail_page_alloc/"

/* What an allocation, a lookup or a copy that fails is reported as */
static bool is_injected(int rc)
{
	return rc == -ENOMEM || rc == -ENOENT || rc == -EINVAL || rc == -EFAULT;
}

/* Each allocation fails once. A page that was not reported stays dirty. */
TEST_F(dirty, failing_allocations)
{
	bool injected = true;
	uint32_t hwpt;
	int fd, nth;

	if (!write_file(FAILSLAB "ignore-gfp-wait", "N") ||
	    !write_file(FAILPAGE "ignore-gfp-wait", "N") ||
	    !write_file(FAILPAGE "min-order", "0"))
		SKIP(return, "no fault injection");
	write_file(FAILSLAB "verbose", "0");
	write_file(FAILPAGE "verbose", "0");
	fd = open("/proc/thread-self/fail-nth", O_RDWR);
	ASSERT_LE(0, fd);

	for (nth = 1; injected && nth < 500; nth++) {
		uint8_t *fresh = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		char number[16] = "";
		int rc, rc_read = 0, rc_track = 0;

		ASSERT_NE(MAP_FAILED, fresh);
		ASSERT_EQ(0, WRITE(BASE + PAGE));
		snprintf(number, sizeof(number), "%d", nth);
		ASSERT_LT(0, pwrite(fd, number, strlen(number), 0));
		rc = alloc_table(self->fd, self->device, self->ioas,
				 IOMMU_HWPT_ALLOC_DIRTY_TRACKING, false, &hwpt);
		if (!rc) {
			rc_track = track(self->fd, hwpt, 1);
			rc_read = READ(0, BASE, LENGTH, PAGE, fresh);
		}
		ASSERT_LT(0, pread(fd, number, sizeof(number) - 1, 0));
		injected = atoi(number) == 0;
		ASSERT_LT(0, pwrite(fd, "0", 1, 0));

		ASSERT_TRUE(!rc || (injected && is_injected(rc))) TH_LOG("%d: %d", nth, rc);
		ASSERT_TRUE(!rc_track || (injected && is_injected(rc_track)));
		ASSERT_TRUE(!rc_read || (injected && is_injected(rc_read)));
		if (!rc)
			EXPECT_EQ(0, iommufd_destroy(self->fd, hwpt));
		ASSERT_EQ(0, READ(0, BASE, LENGTH, PAGE, fresh));
		EXPECT_EQ(2, fresh[0]) TH_LOG("allocation %d", nth);
		munmap(fresh, PAGE);
	}
	EXPECT_TRUE(nth > 5 && nth < 500);
	close(fd);
}

TEST_HARNESS_MAIN
