// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of DMA with small, transparent huge and hugetlb pages: every byte that a device
 * writes arrives at the mapped address and no other memory changes. Accesses are refused
 * after unmap, after detach and without permission.
 */
#include <sys/mman.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define PAGE 4096UL
#define MIB2 (2UL << 20)
#define SIZE (2 * MIB2)
#define IOVA 0x40000000UL
#define FIXED IOMMU_IOAS_MAP_FIXED_IOVA

#define map_at(va, length, iova) \
	iommufd_map_at(self->rig.fd, self->rig.ioas, va, length, iova)
#define unmap(iova, length) \
	iommufd_unmap(self->rig.fd, self->rig.ioas, iova, length, NULL)

FIXTURE(memory) {
	struct rig rig;
	struct vfio_dev testdev;
	unsigned char *memory;
	unsigned char *expect;	/* expected contents of @memory */
	int64_t vm_pin;
};

FIXTURE_VARIANT(memory) {
	void *(*alloc)(size_t length);
	bool thp;
	unsigned long skew;	/* offset of the IOVA from a multiple of 2 MiB, in bytes */
};

FIXTURE_VARIANT_ADD(memory, small) { alloc_small, false, 0 };
FIXTURE_VARIANT_ADD(memory, thp) { alloc_thp, true, 0 };
FIXTURE_VARIANT_ADD(memory, thp_at_unaligned_iova) { alloc_thp, true, PAGE };
FIXTURE_VARIANT_ADD(memory, hugetlb) { alloc_hugetlb, false, 0 };

FIXTURE_SETUP(memory)
{
	self->testdev = (struct vfio_dev)VFIO_DEV_CLOSED;
	self->memory = variant->alloc(SIZE);
	ASSERT_NE(NULL, self->memory);
	self->expect = malloc(SIZE);
	ASSERT_NE(NULL, self->expect);
	memset(self->memory, 0x11, SIZE);
	memset(self->expect, 0x11, SIZE);
	ASSERT_EQ(variant->thp, is_thp(self->memory));
	ASSERT_EQ(0, rig_open(&self->rig));
	ASSERT_EQ(0, setup_testdev(&self->testdev, self->rig.fd));
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	ASSERT_EQ(0, vfio_dev_attach(&self->testdev,
				     &(uint32_t){ self->rig.ioas }));
	self->vm_pin = status_kib("VmPin");
	ASSERT_EQ(0, map_at(self->memory, SIZE, IOVA + variant->skew));
	EXPECT_EQ((int)SIZE / 1024, status_kib("VmPin") - self->vm_pin);
}

FIXTURE_TEARDOWN(memory)
{
	EXPECT_EQ(0, unmap(IOVA + variant->skew, SIZE));
	EXPECT_EQ(self->vm_pin, status_kib("VmPin"));
	EXPECT_EQ(0, rig_pins(&self->rig));
	vfio_dev_close(&self->testdev);
	rig_close(&self->rig);
}

TEST_F(memory, only_the_written_bytes_change)
{
	struct {
		uint64_t offset;
		size_t length;
	} part[] = {
		{ 0, PAGE },
		{ 5, 1 },
		{ PAGE - 7, 1000 },
		{ MIB2 - PAGE / 2, PAGE },
		{ SIZE - PAGE, PAGE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		unsigned char *p = self->memory + part[i].offset;

		EXPECT_TRUE(edu_reaches(&self->rig.edu,
					IOVA + variant->skew + part[i].offset,
					p, part[i].length));
		memcpy(self->expect + part[i].offset, p, part[i].length);
		EXPECT_EQ(0, memcmp(self->memory, self->expect, SIZE));
	}
}

TEST_F(memory, every_page_has_its_physical_address)
{
	for (uint64_t i = 0; i < SIZE; i += PAGE)
		ASSERT_EQ(TESTDEV_OK,
			  testdev_write(&self->testdev,
					IOVA + variant->skew + i,
					phys_of(self->memory + i)));
}

TEST_F(memory, writes_beside_the_mapping_are_refused)
{
	EXPECT_EQ(TESTDEV_DMA_FAULT,
		  testdev_write(&self->testdev, IOVA + variant->skew - 4, 0));
	EXPECT_EQ(TESTDEV_DMA_FAULT,
		  testdev_write(&self->testdev, IOVA + variant->skew + SIZE,
				0));
}

/* The first writes make the IOMMU cache the translations, which unmap must invalidate */
TEST_F(memory, writes_after_unmap_are_refused)
{
	uint64_t iova = IOVA + variant->skew;

	for (uint64_t i = 0; i < SIZE; i += 16 * PAGE)
		ASSERT_EQ(TESTDEV_OK, testdev_write(&self->testdev, iova + i,
						    phys_of(self->memory + i)));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, iova, self->memory, PAGE));
	ASSERT_EQ(0, unmap(iova, SIZE));
	for (uint64_t i = 0; i < SIZE; i += 16 * PAGE)
		EXPECT_EQ(TESTDEV_DMA_FAULT,
			  testdev_write(&self->testdev, iova + i,
					phys_of(self->memory + i)));
	EXPECT_TRUE(edu_write_refused(&self->rig.edu, iova, self->memory, PAGE));
	ASSERT_EQ(0, map_at(self->memory, SIZE, iova));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, iova, self->memory, PAGE));
}

TEST_F(memory, one_memory_at_two_iovas)
{
	uint64_t second = IOVA + 4 * SIZE + variant->skew;

	ASSERT_EQ(0, map_at(self->memory, SIZE, second));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, second + MIB2,
				self->memory + MIB2, PAGE));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, IOVA + variant->skew + MIB2,
				self->memory + MIB2, PAGE));
	ASSERT_EQ(0, unmap(second, SIZE));
	EXPECT_TRUE(edu_write_refused(&self->rig.edu, second + MIB2,
				      self->memory + MIB2, PAGE));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, IOVA + variant->skew + MIB2,
				self->memory + MIB2, PAGE));
}

FIXTURE(dma) {
	struct rig rig;
	unsigned char *memory;	/* four pages */
};

FIXTURE_SETUP(dma)
{
	self->memory = alloc_small(4 * PAGE);
	ASSERT_NE(NULL, self->memory);
	memset(self->memory, 0, 4 * PAGE);
	ASSERT_EQ(0, rig_open(&self->rig));
}

FIXTURE_TEARDOWN(dma)
{
	rig_close(&self->rig);
	EXPECT_EQ(0, rig_pins(&self->rig));
}

TEST_F(dma, writes_before_attach_are_refused)
{
	ASSERT_EQ(0, map_at(self->memory, PAGE, IOVA));
	EXPECT_TRUE(edu_write_refused(&self->rig.edu, IOVA, self->memory, PAGE));
	EXPECT_TRUE(edu_write_refused(&self->rig.edu, phys_of(self->memory),
				      self->memory, PAGE));
}

TEST_F(dma, mappings_made_before_attach_work)
{
	ASSERT_EQ(0, map_at(self->memory, 2 * PAGE, IOVA));
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, IOVA + PAGE / 2,
				self->memory + PAGE / 2, PAGE));
}

TEST_F(dma, writes_after_detach_are_refused)
{
	ASSERT_EQ(0, map_at(self->memory, PAGE, IOVA));
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, IOVA, self->memory, PAGE));
	ASSERT_EQ(0, vfio_dev_detach(&self->rig.edu));
	EXPECT_TRUE(edu_write_refused(&self->rig.edu, IOVA, self->memory, PAGE));
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, IOVA, self->memory, PAGE));
}

TEST_F(dma, readable_is_not_writeable)
{
	uint64_t iova = IOVA;

	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	ASSERT_EQ(0, iommufd_map(self->rig.fd, self->rig.ioas,
				 FIXED | IOMMU_IOAS_MAP_READABLE,
				 self->memory, PAGE, &iova));
	ASSERT_EQ(0, map_at(self->memory + PAGE, PAGE, IOVA + PAGE));
	memset(self->memory, 0x77, PAGE);
	ASSERT_EQ(0, edu_read_ram(&self->rig.edu, IOVA, PAGE));
	ASSERT_EQ(0, edu_write_ram(&self->rig.edu, IOVA + PAGE, PAGE));
	EXPECT_EQ(0, memcmp(self->memory, self->memory + PAGE, PAGE));
	EXPECT_TRUE(edu_write_refused(&self->rig.edu, IOVA, self->memory, PAGE));
}

TEST_F(dma, writeable_is_not_readable)
{
	uint64_t iova = IOVA;

	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	ASSERT_EQ(0, iommufd_map(self->rig.fd, self->rig.ioas,
				 FIXED | IOMMU_IOAS_MAP_WRITEABLE,
				 self->memory, PAGE, &iova));
	ASSERT_EQ(0, map_at(self->memory + PAGE, PAGE, IOVA + PAGE));
	memset(self->memory + PAGE, 0x33, PAGE);
	ASSERT_EQ(0, edu_read_ram(&self->rig.edu, IOVA + PAGE, PAGE));
	ASSERT_EQ(0, edu_write_ram(&self->rig.edu, IOVA, PAGE));
	EXPECT_EQ(0, memcmp(self->memory, self->memory + PAGE, PAGE));

	memset(self->memory, 0x44, PAGE);
	ASSERT_EQ(0, edu_read_ram(&self->rig.edu, IOVA, PAGE));
	ASSERT_EQ(0, edu_write_ram(&self->rig.edu, IOVA + PAGE, PAGE));
	EXPECT_NE(0x44, self->memory[PAGE]);
}

TEST_F(dma, replace_switches_to_other_memory)
{
	uint32_t ioas2;

	ASSERT_EQ(0, iommufd_ioas_alloc(self->rig.fd, &ioas2));
	ASSERT_EQ(0, map_at(self->memory, PAGE, IOVA));
	ASSERT_EQ(0, iommufd_map_at(self->rig.fd, ioas2, self->memory + PAGE,
				    PAGE, IOVA));
	for (int i = 0; i < 4; i++) {
		unsigned char *now = self->memory + i % 2 * PAGE;
		unsigned char *other = self->memory + (i + 1) % 2 * PAGE;

		ASSERT_EQ(0, rig_attach(&self->rig,
					i % 2 ? ioas2 : self->rig.ioas));
		memset(other, 0x99, PAGE);
		EXPECT_TRUE(edu_reaches(&self->rig.edu, IOVA, now, PAGE));
		EXPECT_EQ(0x99, other[0]);
		EXPECT_EQ(0, memcmp(other, other + 1, PAGE - 1));
		EXPECT_EQ(1, rig_pins(&self->rig));
	}
}

/* munmap() removes the memory from the process only; the device still accesses it */
TEST_F(dma, pinned_memory_remains_after_munmap)
{
	uint64_t phys;

	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	ASSERT_EQ(0, map_at(self->memory, PAGE, IOVA));
	ASSERT_EQ(0, map_at(self->memory + PAGE, PAGE, IOVA + PAGE));
	phys = phys_of(self->memory);
	memset(self->memory, 0x21, PAGE);
	ASSERT_EQ(0, munmap(self->memory, PAGE));
	ASSERT_EQ(self->memory, mmap(self->memory, PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
				     0));
	memset(self->memory, 0x42, PAGE);
	EXPECT_NE(phys, phys_of(self->memory));
	EXPECT_EQ(2, rig_pins(&self->rig));
	ASSERT_EQ(0, edu_read_ram(&self->rig.edu, IOVA, PAGE));
	ASSERT_EQ(0, edu_write_ram(&self->rig.edu, IOVA + PAGE, PAGE));
	EXPECT_EQ(0x21, self->memory[PAGE]);
	EXPECT_EQ(0x42, self->memory[0]);
}

TEST_HARNESS_MAIN
