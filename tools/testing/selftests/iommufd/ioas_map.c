// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of IOAS_MAP, IOAS_UNMAP and IOAS_IOVA_RANGES on an IOAS without a device: which
 * IOVAs can be mapped, which mappings unmap removes, and which IOVA the kernel chooses.
 * No page is pinned, so the memory need not exist.
 */
#include "iommufd.h"
#include "kselftest_harness.h"
#include "system.h"

#define PAGE 4096UL
#define MIB2 (2UL << 20)
#define IOVA 0x100000UL
#define FIXED IOMMU_IOAS_MAP_FIXED_IOVA

FIXTURE(ioas) {
	int fd;
	uint32_t id;
	char *va;		/* aligned to 2 MiB */
	int64_t pins;
};

FIXTURE_SETUP(ioas)
{
	ASSERT_EQ(0, load_modules());
	self->pins = pinned_pages();
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->id));
	self->va = alloc_small(2 * MIB2);
	ASSERT_NE(NULL, self->va);
}

FIXTURE_TEARDOWN(ioas)
{
	EXPECT_EQ(0, iommufd_unmap_all(self->fd, self->id, NULL));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->id));
	EXPECT_EQ(self->pins, pinned_pages());
	close(self->fd);
}

/* Shorthands. map_at() maps at a given IOVA, map_any() at one that the kernel chooses. */
#define map_at(iova, length) \
	iommufd_map_at(self->fd, self->id, self->va, length, iova)
#define map_any(va, length, iova) \
	iommufd_map(self->fd, self->id, MAP_RW, va, length, iova)
#define unmap(iova, length, unmapped) \
	iommufd_unmap(self->fd, self->id, iova, length, unmapped)
#define unmap_all(unmapped) iommufd_unmap_all(self->fd, self->id, unmapped)

/* Unmaps everything; how much that was */
static uint64_t last_unmapped(int fd, uint32_t ioas)
{
	uint64_t unmapped = 0;

	return iommufd_unmap_all(fd, ioas, &unmapped) ? 0 : unmapped;
}

TEST_F(ioas, fixed_iova)
{
	uint64_t unmapped;

	EXPECT_EQ(0, map_at(IOVA, PAGE));
	EXPECT_EQ(-EEXIST, map_at(IOVA, PAGE));
	EXPECT_EQ(0, unmap(IOVA, PAGE, &unmapped));
	EXPECT_EQ(PAGE, unmapped);
	EXPECT_EQ(-ENOENT, unmap(IOVA, PAGE, NULL));
	EXPECT_EQ(0, map_at(IOVA, PAGE));
}

TEST_F(ioas, alignment_is_one_byte_without_a_device)
{
	uint64_t unmapped;

	EXPECT_EQ(0, map_at(IOVA + 1, 1));
	EXPECT_EQ(0, map_at(IOVA + 2, 3));
	EXPECT_EQ(0, map_at(IOVA, 1));
	EXPECT_EQ(-EEXIST, map_at(IOVA + 4, 1));
	EXPECT_EQ(0, unmap(IOVA, 5, &unmapped));
	EXPECT_EQ(5, unmapped);
}

TEST_F(ioas, first_and_last_iovas)
{
	EXPECT_EQ(0, map_at(0, PAGE));
	EXPECT_EQ(0, map_at(UINT64_MAX - PAGE + 1, PAGE));
	EXPECT_EQ(0, map_at(UINT64_MAX - PAGE, 1));
	EXPECT_EQ(-EEXIST, map_at(UINT64_MAX - 1, 1));
	EXPECT_EQ(-EOVERFLOW, map_at(UINT64_MAX, 1));
	EXPECT_EQ(-EOVERFLOW, map_at(UINT64_MAX - PAGE + 1, PAGE + 1));
	EXPECT_EQ(-EOVERFLOW, map_at(UINT64_MAX - 1, 3));
}

TEST_F(ioas, permissions)
{
	uint64_t iova = IOVA;

	EXPECT_EQ(-EINVAL, iommufd_map(self->fd, self->id, 0, self->va, PAGE,
				       &iova));
	EXPECT_EQ(-EINVAL, iommufd_map(self->fd, self->id, FIXED, self->va,
				       PAGE, &iova));
	EXPECT_EQ(0, iommufd_map(self->fd, self->id,
				 FIXED | IOMMU_IOAS_MAP_READABLE, self->va,
				 PAGE, &iova));
	iova = IOVA + PAGE;
	EXPECT_EQ(0, iommufd_map(self->fd, self->id,
				 FIXED | IOMMU_IOAS_MAP_WRITEABLE, self->va,
				 PAGE, &iova));
}

TEST_F(ioas, lengths)
{
	uint64_t iova = IOVA;

	EXPECT_EQ(-EINVAL, map_at(IOVA, 0));
	EXPECT_EQ(-EINVAL, map_any(self->va, 0, &iova));
	EXPECT_EQ(-EOVERFLOW, map_at(IOVA, UINT64_MAX));
	EXPECT_EQ(-EOVERFLOW, map_any(self->va, UINT64_MAX, &iova));
	/* Address plus length must not wrap to 0 */
	EXPECT_EQ(-EOVERFLOW, map_at(0, -(uint64_t)(uintptr_t)self->va));
	EXPECT_EQ(-EINVAL, iommufd_map_at(self->fd, self->id, NULL,
					  UINT64_MAX - 1, 0));
	/* The kernel chooses no IOVA for half of the address space or more */
	EXPECT_EQ(-EOVERFLOW, map_any(NULL, UINT64_MAX / 2, &iova));
	EXPECT_EQ(0, map_any(NULL, UINT64_MAX / 4 + 1, &iova));
}

TEST_F(ioas, memory_is_not_accessed_without_a_device)
{
	EXPECT_EQ(0, iommufd_map_at(self->fd, self->id, NULL, PAGE, IOVA));
	EXPECT_EQ(0, iommufd_map_at(self->fd, self->id, NULL, 1UL << 62,
				    1UL << 62));
	EXPECT_EQ(self->pins, pinned_pages());
}

TEST_F(ioas, overlaps_are_eexist)
{
	ASSERT_EQ(0, map_at(IOVA, 4 * PAGE));
	EXPECT_EQ(-EEXIST, map_at(IOVA - PAGE, PAGE + 1));
	EXPECT_EQ(-EEXIST, map_at(IOVA + 4 * PAGE - 1, PAGE));
	EXPECT_EQ(-EEXIST, map_at(IOVA + PAGE, PAGE));
	EXPECT_EQ(-EEXIST, map_at(IOVA - PAGE, 6 * PAGE));
	EXPECT_EQ(0, map_at(IOVA - PAGE, PAGE));
	EXPECT_EQ(0, map_at(IOVA + 4 * PAGE, PAGE));
}

TEST_F(ioas, unmap_removes_several_areas_and_skips_holes)
{
	uint64_t unmapped;

	for (int i = 0; i < 8; i += 2)
		ASSERT_EQ(0, map_at(IOVA + i * PAGE, PAGE));
	EXPECT_EQ(0, unmap(IOVA + PAGE, 4 * PAGE, &unmapped));
	EXPECT_EQ(2 * PAGE, unmapped);
	EXPECT_EQ(0, unmap(0, 100 * IOVA, &unmapped));
	EXPECT_EQ(2 * PAGE, unmapped);
	EXPECT_EQ(-ENOENT, unmap(0, 100 * IOVA, NULL));
}

/* The lengths add up to 2^64, so the 64-bit counter of unmapped bytes wraps to 0 */
TEST_F(ioas, areas_fill_the_address_space)
{
	const uint64_t half = 1UL << 63;
	uint64_t unmapped = 1;

	ASSERT_EQ(0, iommufd_map_at(self->fd, self->id, NULL, half, 0));
	ASSERT_EQ(0, iommufd_map_at(self->fd, self->id, NULL, half, half));
	EXPECT_EQ(-EEXIST, iommufd_map_at(self->fd, self->id, NULL, 1, half));
	EXPECT_EQ(0, unmap_all(&unmapped));
	EXPECT_EQ(0, unmapped);
	EXPECT_EQ(0, iommufd_map_at(self->fd, self->id, NULL, half, 0));
}

TEST_F(ioas, unmap_everything)
{
	uint64_t unmapped;

	EXPECT_EQ(0, unmap_all(&unmapped));
	EXPECT_EQ(0, unmapped);
	ASSERT_EQ(0, map_at(0, PAGE));
	ASSERT_EQ(0, map_at(IOVA, 3 * PAGE));
	ASSERT_EQ(0, map_at(UINT64_MAX - PAGE + 1, PAGE));
	EXPECT_EQ(0, unmap_all(&unmapped));
	EXPECT_EQ(5 * PAGE, unmapped);
	EXPECT_EQ(0, unmap_all(&unmapped));
	EXPECT_EQ(0, unmapped);
}

/* Only IOVA 0 with a length of all ones stands for the whole IOAS */
TEST_F(ioas, unmap_of_nearly_everything)
{
	ASSERT_EQ(0, map_at(UINT64_MAX - PAGE + 1, PAGE));
	EXPECT_EQ(-ENOENT, unmap(0, UINT64_MAX - 1, NULL));
	EXPECT_EQ(-EOVERFLOW, unmap(1, UINT64_MAX, NULL));
	EXPECT_EQ(-EOVERFLOW, unmap(UINT64_MAX, 1, NULL));
	EXPECT_EQ(-EOVERFLOW, unmap(UINT64_MAX - 1, 3, NULL));
	EXPECT_EQ(-EINVAL, unmap(IOVA, 0, NULL));
	EXPECT_EQ(0, unmap(UINT64_MAX - 1 - PAGE, PAGE + 2, NULL));
}

TEST_F(ioas, partly_covered_areas_are_not_unmapped)
{
	ASSERT_EQ(0, map_at(IOVA, 4 * PAGE));
	EXPECT_EQ(-ENOENT, unmap(IOVA, 4 * PAGE - 1, NULL));
	EXPECT_EQ(-ENOENT, unmap(IOVA + 1, 4 * PAGE - 1, NULL));
	EXPECT_EQ(-ENOENT, unmap(IOVA + PAGE, PAGE, NULL));
	EXPECT_EQ(-ENOENT, unmap(IOVA - PAGE, 2 * PAGE, NULL));
	EXPECT_EQ(0, unmap(IOVA, 4 * PAGE, NULL));
}

/* Areas below the partly covered one are removed, areas above it are not */
TEST_F(ioas, unmap_stops_at_a_partly_covered_area)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = self->id,
		.iova = IOVA,
		.length = 5 * PAGE,
	};

	ASSERT_EQ(0, map_at(IOVA, PAGE));
	ASSERT_EQ(0, map_at(IOVA + 2 * PAGE, PAGE));
	ASSERT_EQ(0, map_at(IOVA + 4 * PAGE, 2 * PAGE));
	EXPECT_EQ(-ENOENT, ioctl_errno(self->fd, IOMMU_IOAS_UNMAP, &cmd));
	EXPECT_EQ(5 * PAGE, cmd.length);
	EXPECT_EQ(0, map_at(IOVA, PAGE));
	EXPECT_EQ(0, map_at(IOVA + 2 * PAGE, PAGE));
	EXPECT_EQ(-EEXIST, map_at(IOVA + 4 * PAGE, PAGE));

	/* If the first area is the one partly covered, none is removed */
	EXPECT_EQ(-ENOENT, unmap(IOVA + 1, 10 * PAGE, NULL));
	EXPECT_EQ(-EEXIST, map_at(IOVA + 2 * PAGE, PAGE));
	EXPECT_EQ(-EEXIST, map_at(IOVA + 4 * PAGE, PAGE));
}

TEST_F(ioas, chosen_iovas_are_the_lowest_and_never_zero)
{
	uint64_t iova;

	for (uint64_t i = 1; i <= 4; i++) {
		iova = 0x1234567;
		ASSERT_EQ(0, map_any(self->va, PAGE, &iova));
		EXPECT_EQ(i * PAGE, iova);
	}
	ASSERT_EQ(0, unmap(2 * PAGE, PAGE, NULL));
	ASSERT_EQ(0, map_any(self->va, PAGE, &iova));
	EXPECT_EQ(2 * PAGE, iova);
	ASSERT_EQ(0, map_any(self->va, PAGE, &iova));
	EXPECT_EQ(5 * PAGE, iova);
}

TEST_F(ioas, chosen_iovas_keep_alignment_up_to_a_huge_page)
{
	uint64_t iova;

	/* The alignment is that of the length rounded up to a power of two */
	ASSERT_EQ(0, map_any(self->va, 3 * PAGE, &iova));
	EXPECT_EQ(4 * PAGE, iova);
	/* If the alignment of the address is less, it is used */
	ASSERT_EQ(0, map_any(self->va + PAGE, 3 * PAGE, &iova));
	EXPECT_EQ(PAGE, iova);
	ASSERT_EQ(0, map_any(self->va, MIB2, &iova));
	EXPECT_EQ(MIB2, iova);
	ASSERT_EQ(0, map_any(self->va, 2 * MIB2, &iova));
	EXPECT_EQ(2 * MIB2, iova);
	ASSERT_EQ(0, map_any(self->va, 2 * PAGE, &iova));
	EXPECT_EQ(8 * PAGE, iova);
	/* Address 0 has any alignment, so only the size of a huge page limits it */
	ASSERT_EQ(0, map_any(NULL, 1UL << 30, &iova));
	EXPECT_EQ(4 * MIB2, iova);
}

TEST_F(ioas, chosen_iovas_keep_the_offset_in_the_page)
{
	uint64_t iova;

	ASSERT_EQ(0, map_any(self->va + 0x123, 0x100, &iova));
	EXPECT_EQ(PAGE + 0x123, iova);
	ASSERT_EQ(0, map_any(self->va + 0x200, 0x200, &iova));
	EXPECT_EQ(PAGE + 0x600, iova);
}

/*
 * An odd address requires no alignment, so a free range that begins inside a page can be
 * used. The kernel chooses its start, here 0x1223, ORed with the offset in the page.
 */
TEST_F(ioas, chosen_iova_of_an_odd_address_in_a_used_page)
{
	uint64_t iova;

	ASSERT_EQ(0, map_any(self->va + 0x123, 0x100, &iova));
	ASSERT_EQ(PAGE + 0x123, iova);
	ASSERT_EQ(0, map_any(self->va + 0x145, 0x100, &iova));
	EXPECT_EQ(PAGE + 0x367, iova);
}

TEST_F(ioas, chosen_iovas_end_before_the_last_page)
{
	uint64_t length = -(uint64_t)(4 * PAGE);
	uint64_t iova;

	ASSERT_EQ(0, iommufd_map_at(self->fd, self->id, (void *)PAGE,
				    length, PAGE));
	EXPECT_EQ(-ENOSPC, map_any(self->va, 2 * PAGE, &iova));
	ASSERT_EQ(0, map_any(self->va, PAGE, &iova));
	EXPECT_EQ(length + PAGE, iova);
	ASSERT_EQ(0, map_any(self->va, PAGE, &iova));
	EXPECT_EQ(length + 2 * PAGE, iova);
	EXPECT_EQ(-ENOSPC, map_any(self->va, PAGE, &iova));
	EXPECT_EQ(0, map_at(length + 3 * PAGE, PAGE));
}

TEST_F(ioas, iova_ranges_without_a_device)
{
	struct iommu_iova_range range[2] = { {}, { 7, 9 } };
	uint32_t num = 2;
	uint64_t align;

	ASSERT_EQ(0, map_at(IOVA, PAGE));
	EXPECT_EQ(0, iommufd_iova_ranges(self->fd, self->id, range, &num,
					 &align));
	EXPECT_EQ(1, num);
	EXPECT_EQ(1, align);
	EXPECT_EQ(0, range[0].start);
	EXPECT_EQ(UINT64_MAX, range[0].last);
	EXPECT_EQ(7, range[1].start);
	EXPECT_EQ(9, range[1].last);
}

TEST_F(ioas, iova_ranges_with_a_short_array_are_emsgsize)
{
	uint64_t align = 0;
	uint32_t num = 0;

	EXPECT_EQ(-EMSGSIZE, iommufd_iova_ranges(self->fd, self->id, NULL, &num,
						 &align));
	EXPECT_EQ(1, num);
	EXPECT_EQ(1, align);
	EXPECT_EQ(-EFAULT, iommufd_iova_ranges(self->fd, self->id, NULL, &num,
					       NULL));
}

TEST_F(ioas, many_areas)
{
	const uint64_t n = 2000;
	uint64_t unmapped;

	for (uint64_t i = 0; i < n; i++)
		ASSERT_EQ(0, map_at(IOVA + (i * 7 % n) * 2 * PAGE, PAGE));
	for (uint64_t i = 0; i < n; i++)
		ASSERT_EQ(-EEXIST, map_at(IOVA + i * 2 * PAGE, 1));
	EXPECT_EQ(0, unmap(IOVA, n * PAGE, &unmapped));
	EXPECT_EQ(n / 2 * PAGE, unmapped);
	EXPECT_EQ(0, unmap_all(&unmapped));
	EXPECT_EQ(n / 2 * PAGE, unmapped);
}

/* The pages of the memory are counted, from the start of the first to the end of the last */
TEST_F(ioas, more_bytes_than_can_be_counted_in_pages)
{
	const uint64_t most = -2 * PAGE + PAGE - 1;
	char *const zero = NULL;

	EXPECT_EQ(0, iommufd_map_at(self->fd, self->id, zero, most, 0));
	EXPECT_EQ(most, last_unmapped(self->fd, self->id));
	EXPECT_EQ(0, iommufd_map_at(self->fd, self->id, zero + 1, most, 0));
	EXPECT_EQ(most, last_unmapped(self->fd, self->id));
	EXPECT_EQ(-EOVERFLOW, iommufd_map_at(self->fd, self->id, zero + 2, most, 0));
	EXPECT_EQ(-EOVERFLOW, iommufd_map_at(self->fd, self->id, zero + PAGE - 1, most, 0));
	EXPECT_EQ(-EINVAL, iommufd_map_at(self->fd, self->id, zero, most + 1, 0));
	/* Other mistakes are told first */
	ASSERT_EQ(0, map_at(IOVA, PAGE));
	EXPECT_EQ(-EEXIST, iommufd_map_at(self->fd, self->id, zero + 2, most, 0));
}

TEST_HARNESS_MAIN
