// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of mapping into an IOAS that a device uses: which pages are pinned and for how
 * long, which IOVAs the hardware and the platform reserve, which memory can be mapped,
 * and that a command that fails has no effect. dma.c tests the DMA itself.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define PAGE 4096UL
#define PAGES 16UL
#define SIZE (PAGES * PAGE)
#define IOVA 0x400000UL
#define MSI 0xfee00000UL
#define MSI_SIZE 0x100000UL
#define MAX_RANGES 16

FIXTURE(ioas_dma) {
	struct rig rig;
	char *memory;		/* SIZE bytes, followed by unmapped addresses */
	int64_t vm_pin;
};

FIXTURE_SETUP(ioas_dma)
{
	self->memory = alloc_small(2 * SIZE);
	ASSERT_NE(NULL, self->memory);
	ASSERT_EQ(0, munmap(self->memory + SIZE, SIZE));
	memset(self->memory, 1, SIZE);
	ASSERT_EQ(0, rig_open(&self->rig));
	self->vm_pin = status_kib("VmPin");
	ASSERT_LE(0, self->vm_pin);
}

FIXTURE_TEARDOWN(ioas_dma)
{
	rig_close(&self->rig);
	EXPECT_EQ(0, rig_pins(&self->rig));
	EXPECT_EQ(self->vm_pin, status_kib("VmPin"));
}

/* Shorthands for the IOAS of the fixture */
#define attach() rig_attach(&self->rig, self->rig.ioas)
#define pins() rig_pins(&self->rig)
#define vm_pin_pages() ((status_kib("VmPin") - self->vm_pin) * 1024 / (int)PAGE)
#define map_at(va, length, iova) \
	iommufd_map_at(self->rig.fd, self->rig.ioas, va, length, iova)
#define map_flags(flags, va, length, iova) \
	iommufd_map(self->rig.fd, self->rig.ioas, flags, va, length, iova)
#define unmap(iova, length, unmapped) \
	iommufd_unmap(self->rig.fd, self->rig.ioas, iova, length, unmapped)
#define unmap_all() iommufd_unmap_all(self->rig.fd, self->rig.ioas, NULL)

static bool is_pristine(int fd, uint32_t ioas)
{
	struct iommu_iova_range range;
	uint64_t align;
	uint32_t num = 1;

	return !iommufd_iova_ranges(fd, ioas, &range, &num, &align) &&
	       num == 1 && align == 1 && range.start == 0 &&
	       range.last == UINT64_MAX;
}

TEST_F(ioas_dma, map_pins_and_unmap_unpins)
{
	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, map_at(self->memory, SIZE, IOVA));
	EXPECT_EQ(PAGES, pins());
	EXPECT_EQ(PAGES, vm_pin_pages());
	ASSERT_EQ(0, map_at(self->memory, PAGE, IOVA + SIZE));
	EXPECT_EQ(PAGES + 1, pins());
	EXPECT_EQ(PAGES + 1, vm_pin_pages());
	ASSERT_EQ(0, unmap(IOVA, SIZE, NULL));
	EXPECT_EQ(1, pins());
	EXPECT_EQ(1, vm_pin_pages());
	ASSERT_EQ(0, unmap_all());
	EXPECT_EQ(0, pins());
	EXPECT_EQ(0, vm_pin_pages());
}

TEST_F(ioas_dma, pages_are_pinned_from_attach_to_detach)
{
	ASSERT_EQ(0, map_at(self->memory, SIZE, IOVA));
	EXPECT_EQ(0, pins());
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, attach());
		EXPECT_EQ(PAGES, pins());
		EXPECT_EQ(PAGES, vm_pin_pages());
		ASSERT_EQ(0, vfio_dev_detach(&self->rig.edu));
		EXPECT_EQ(0, pins());
		EXPECT_EQ(0, vm_pin_pages());
	}
}

TEST_F(ioas_dma, second_device_pins_no_more_pages)
{
	struct vfio_dev testdev = VFIO_DEV_CLOSED;
	uint32_t first = self->rig.ioas, second = self->rig.ioas;

	ASSERT_EQ(0, setup_testdev(&testdev, self->rig.fd));
	ASSERT_EQ(0, map_at(self->memory, SIZE, IOVA));
	ASSERT_EQ(0, vfio_dev_attach(&self->rig.edu, &first));
	ASSERT_EQ(0, vfio_dev_attach(&testdev, &second));
	EXPECT_EQ(first, second);
	EXPECT_EQ(PAGES, pins());
	vfio_dev_close(&self->rig.edu);
	EXPECT_EQ(PAGES, pins());
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->rig.fd, first));
	vfio_dev_close(&testdev);
	EXPECT_EQ(0, pins());
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->rig.fd, first));
}

TEST_F(ioas_dma, unmap_of_several_and_of_partly_covered_areas)
{
	uint64_t unmapped;

	ASSERT_EQ(0, attach());
	for (uint64_t i = 0; i < PAGES; i += 2)
		ASSERT_EQ(0, map_at(self->memory, 2 * PAGE, IOVA + i * PAGE));
	ASSERT_EQ(PAGES, pins());
	EXPECT_EQ(-ENOENT, unmap(IOVA + PAGE, 4 * PAGE, NULL));
	EXPECT_EQ(PAGES, pins());
	EXPECT_EQ(-ENOENT, unmap(IOVA, 5 * PAGE, NULL));
	EXPECT_EQ(PAGES - 4, pins());
	EXPECT_EQ(0, unmap(0, IOVA + 8 * PAGE, &unmapped));
	EXPECT_EQ(4 * PAGE, unmapped);
	EXPECT_EQ(PAGES - 8, pins());
}

TEST_F(ioas_dma, alignment_is_returned_and_enforced)
{
	struct iommu_iova_range ranges[MAX_RANGES];
	uint64_t align, iova = 0;
	uint32_t num = MAX_RANGES;

	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, iommufd_iova_ranges(self->rig.fd, self->rig.ioas, ranges,
					 &num, &align));
	EXPECT_EQ(PAGE, align);
	EXPECT_EQ(-EINVAL, map_at(self->memory, PAGE, IOVA + 1));
	EXPECT_EQ(-EINVAL, map_at(self->memory, PAGE, IOVA + PAGE / 2));
	EXPECT_EQ(-EINVAL, map_at(self->memory, PAGE - 1, IOVA));
	EXPECT_EQ(-EINVAL, map_at(self->memory, PAGE + 512, IOVA));
	EXPECT_EQ(-EINVAL, map_at(self->memory + 512, PAGE, IOVA));
	EXPECT_EQ(-EINVAL, map_flags(MAP_RW, self->memory + 512, PAGE, &iova));
	EXPECT_EQ(-EINVAL, map_flags(MAP_RW, self->memory, 512, &iova));
	EXPECT_EQ(0, pins());
	EXPECT_EQ(0, map_at(self->memory, PAGE, IOVA));
}

TEST_F(ioas_dma, attach_with_unaligned_areas_is_eaddrinuse)
{
	struct {
		uint64_t offset, length, iova;
	} bad[] = {
		{ 0, PAGE, IOVA + 1 },
		{ 0, PAGE + 1, IOVA },
		{ 8, PAGE, IOVA },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_EQ(0, map_at(self->memory + bad[i].offset, bad[i].length,
				    bad[i].iova));
		EXPECT_EQ(-EADDRINUSE, attach());
		EXPECT_EQ(0, pins());
		EXPECT_TRUE(is_pristine(self->rig.fd, self->rig.ioas));
		ASSERT_EQ(0, unmap(bad[i].iova, bad[i].length, NULL));
	}
	EXPECT_EQ(0, attach());
}

TEST_F(ioas_dma, msi_window_cannot_be_mapped)
{
	struct iommu_iova_range r[MAX_RANGES];
	uint32_t num = MAX_RANGES;

	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, iommufd_iova_ranges(self->rig.fd, self->rig.ioas, r, &num,
					 NULL));
	ASSERT_LE(2, num);
	for (uint32_t i = 0; i < num; i++) {
		EXPECT_LE(r[i].start, r[i].last);
		EXPECT_TRUE(r[i].last < MSI || r[i].start >= MSI + MSI_SIZE);
		if (i)
			EXPECT_LT(r[i - 1].last, r[i].start);
	}
	EXPECT_EQ(-EINVAL, map_at(self->memory, PAGE, MSI));
	EXPECT_EQ(-EINVAL, map_at(self->memory, PAGE, MSI + MSI_SIZE - PAGE));
	EXPECT_EQ(-EINVAL, map_at(self->memory, 2 * PAGE, MSI - PAGE));
	EXPECT_EQ(0, map_at(self->memory, PAGE, MSI - PAGE));
	EXPECT_EQ(0, map_at(self->memory, PAGE, MSI + MSI_SIZE));
}

TEST_F(ioas_dma, attach_with_area_in_msi_window_is_eaddrinuse)
{
	ASSERT_EQ(0, map_at(self->memory, PAGE, MSI));
	ASSERT_EQ(0, map_at(self->memory, PAGE, IOVA));
	EXPECT_EQ(-EADDRINUSE, attach());
	EXPECT_EQ(0, pins());
	EXPECT_TRUE(is_pristine(self->rig.fd, self->rig.ioas));
	EXPECT_EQ(0, unmap(MSI, PAGE, NULL));
	EXPECT_EQ(0, attach());
	EXPECT_EQ(1, pins());
}

TEST_F(ioas_dma, iovas_outside_the_aperture)
{
	struct iommu_iova_range r[MAX_RANGES];
	uint32_t num = MAX_RANGES;
	uint64_t end;

	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, iommufd_iova_ranges(self->rig.fd, self->rig.ioas, r, &num,
					 NULL));
	end = r[num - 1].last + 1;
	if (!end) {
		/* This IOMMU translates all addresses */
		EXPECT_EQ(0, map_at(self->memory, PAGE, -PAGE));
		EXPECT_EQ(-EOVERFLOW, map_at(self->memory, 2 * PAGE, -PAGE));
		return;
	}
	EXPECT_EQ(-EINVAL, map_at(self->memory, PAGE, end));
	EXPECT_EQ(-EINVAL, map_at(self->memory, 2 * PAGE, end - PAGE));
	EXPECT_EQ(0, map_at(self->memory, PAGE, end - PAGE));
	ASSERT_EQ(0, vfio_dev_detach(&self->rig.edu));
	EXPECT_TRUE(is_pristine(self->rig.fd, self->rig.ioas));
	EXPECT_EQ(0, map_at(self->memory, PAGE, end));
	EXPECT_EQ(-EADDRINUSE, attach());
	EXPECT_EQ(0, pins());
	EXPECT_TRUE(is_pristine(self->rig.fd, self->rig.ioas));
}

TEST_F(ioas_dma, chosen_iovas_are_free)
{
	uint64_t iova;

	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, map_at(self->memory, SIZE, PAGE));
	ASSERT_EQ(0, map_flags(MAP_RW, self->memory, PAGE, &iova));
	EXPECT_EQ(PAGE + SIZE, iova);
	EXPECT_EQ(PAGES + 1, pins());
}

TEST_F(ioas_dma, map_of_missing_memory_is_efault)
{
	ASSERT_EQ(0, attach());
	EXPECT_EQ(-EFAULT, map_at(self->memory + SIZE, PAGE, IOVA));
	EXPECT_EQ(-EFAULT, map_at(NULL, PAGE, IOVA));
	/* The first half exists and is pinned; the error must unpin it */
	EXPECT_EQ(-EFAULT, map_at(self->memory, 2 * SIZE, IOVA));
	EXPECT_EQ(-EFAULT, map_at(self->memory + SIZE - PAGE, 2 * PAGE, IOVA));
	ASSERT_EQ(0, mprotect(self->memory, PAGE, PROT_NONE));
	EXPECT_EQ(-EFAULT, map_at(self->memory, PAGE, IOVA));
	EXPECT_EQ(0, pins());
	EXPECT_EQ(0, vm_pin_pages());
	EXPECT_EQ(-ENOENT, unmap(IOVA, SIZE, NULL));
	EXPECT_EQ(0, map_at(self->memory + PAGE, PAGE, IOVA));
}

TEST_F(ioas_dma, map_of_device_registers_is_efault)
{
	ASSERT_EQ(0, attach());
	EXPECT_EQ(-EFAULT, map_at(self->rig.edu.bar0, PAGE, IOVA));
}

TEST_F(ioas_dma, read_only_memory_can_only_be_mapped_readable)
{
	uint64_t iova = IOVA;

	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, mprotect(self->memory, SIZE, PROT_READ));
	EXPECT_EQ(-EFAULT, map_at(self->memory, SIZE, IOVA));
	EXPECT_EQ(-EFAULT, map_flags(IOMMU_IOAS_MAP_FIXED_IOVA |
				     IOMMU_IOAS_MAP_WRITEABLE,
				     self->memory, SIZE, &iova));
	EXPECT_EQ(0, pins());
	EXPECT_EQ(0, map_flags(IOMMU_IOAS_MAP_FIXED_IOVA |
			       IOMMU_IOAS_MAP_READABLE,
			       self->memory, SIZE, &iova));
	EXPECT_EQ(PAGES, pins());
}

TEST_F(ioas_dma, attach_with_missing_memory_is_efault)
{
	ASSERT_EQ(0, map_at(self->memory, SIZE, IOVA));
	ASSERT_EQ(0, map_at(self->memory + SIZE, PAGE, IOVA + SIZE));
	EXPECT_EQ(-EFAULT, attach());
	EXPECT_EQ(0, pins());
	EXPECT_EQ(0, vm_pin_pages());
	EXPECT_TRUE(is_pristine(self->rig.fd, self->rig.ioas));
	EXPECT_EQ(0, unmap(IOVA + SIZE, PAGE, NULL));
	EXPECT_EQ(0, attach());
	EXPECT_EQ(PAGES, pins());
}

/* If the device cannot be attached to the new IOAS, it remains attached to the old one */
TEST_F(ioas_dma, failed_replace_has_no_effect)
{
	uint32_t ioas2;

	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, map_at(self->memory, PAGE, IOVA));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->rig.fd, &ioas2));

	ASSERT_EQ(0, iommufd_map_at(self->rig.fd, ioas2, self->memory, PAGE,
				    MSI));
	EXPECT_EQ(-EADDRINUSE, rig_attach(&self->rig, ioas2));
	ASSERT_EQ(0, iommufd_unmap_all(self->rig.fd, ioas2, NULL));
	ASSERT_EQ(0, iommufd_map_at(self->rig.fd, ioas2, self->memory + SIZE,
				    PAGE, IOVA));
	EXPECT_EQ(-EFAULT, rig_attach(&self->rig, ioas2));

	EXPECT_EQ(1, pins());
	EXPECT_TRUE(is_pristine(self->rig.fd, ioas2));
	EXPECT_EQ(-EINVAL, map_at(self->memory, PAGE, MSI));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->rig.fd, self->rig.ioas));
	EXPECT_EQ(0, iommufd_destroy(self->rig.fd, ioas2));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, IOVA, self->memory, PAGE));
}

TEST_F(ioas_dma, replace_moves_pins_and_reserved_ranges)
{
	uint32_t ioas2;

	ASSERT_EQ(0, iommufd_ioas_alloc(self->rig.fd, &ioas2));
	ASSERT_EQ(0, map_at(self->memory, SIZE, IOVA));
	ASSERT_EQ(0, iommufd_map_at(self->rig.fd, ioas2, self->memory, PAGE,
				    IOVA));
	ASSERT_EQ(0, attach());
	EXPECT_EQ(PAGES, pins());
	ASSERT_EQ(0, rig_attach(&self->rig, ioas2));
	EXPECT_EQ(1, pins());
	EXPECT_TRUE(is_pristine(self->rig.fd, self->rig.ioas));
	EXPECT_EQ(-EINVAL, iommufd_map_at(self->rig.fd, ioas2, self->memory,
					  PAGE, MSI));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->rig.fd, ioas2));
	EXPECT_EQ(0, iommufd_destroy(self->rig.fd, self->rig.ioas));
}

/* MAP maps memory of the calling process, even if another process opened the file */
TEST_F(ioas_dma, child_maps_its_own_memory)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, munmap(self->memory, PAGE));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		void *p = mmap(self->memory, PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

		_exit(p != self->memory ||
		      map_at(p, PAGE, IOVA) ||
		      status_kib("VmPin") != (int)PAGE / 1024);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-EFAULT, map_at(self->memory, PAGE, IOVA + PAGE));

	/* The child has exited, but its page is pinned until it is unmapped */
	EXPECT_EQ(1, pins());
	EXPECT_EQ(0, vm_pin_pages());
	EXPECT_EQ(0, unmap(IOVA, PAGE, NULL));
	EXPECT_EQ(0, pins());
}

/* The process that mapped the area has exited before its pages were pinned */
TEST_F(ioas_dma, attach_with_memory_of_exited_process_is_efault)
{
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(!!map_at(self->memory, PAGE, IOVA));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_EQ(-EFAULT, attach());
	EXPECT_EQ(0, unmap(IOVA, PAGE, NULL));
	EXPECT_EQ(0, attach());
}

TEST_HARNESS_MAIN
