// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of mapping memory other than small pages of the process: files, hugetlb pages or
 * parts of them, and device memory of a dma-buf. They check the number of pinned pages,
 * the DMA, and the files and ranges that are refused.
 */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "edu.h"
#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define PAGE 4096UL
#define MIB2 0x200000UL
#define IOVA 0x40000000UL
#define LENGTH (3 * MIB2)
#define READ_WRITE (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

#ifndef VFIO_DEVICE_FEATURE_DMA_BUF
#define VFIO_DEVICE_FEATURE_DMA_BUF 11
#endif

FIXTURE(map_file) {
	struct rig rig;
	int fd;			/* the file to map, or -1 */
	char *memory;		/* LENGTH bytes, of the file or anonymous */
};

FIXTURE_SETUP(map_file)
{
	self->fd = -1;
	self->memory = MAP_FAILED;
	ASSERT_EQ(0, rig_open(&self->rig));
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
}

FIXTURE_TEARDOWN(map_file)
{
	rig_close(&self->rig);
	EXPECT_EQ(0, rig_pins(&self->rig));
	EXPECT_EQ(0, status_kib("VmPin"));
	if (self->memory != MAP_FAILED)
		munmap(self->memory, LENGTH);
	if (self->fd >= 0)
		close(self->fd);
}

#define map_part(file, start, length, iova) \
	map_file(self->rig.fd, self->rig.ioas, file, READ_WRITE, start, length, iova)
#define map_to_read(file, iova) \
	map_file(self->rig.fd, self->rig.ioas, file, IOMMU_IOAS_MAP_READABLE, 0, PAGE, iova)
#define map_memory(offset, length, iova) \
	iommufd_map_at(self->rig.fd, self->rig.ioas, self->memory + (offset), length, iova)
#define unmap(iova, length) \
	iommufd_unmap(self->rig.fd, self->rig.ioas, iova, length, NULL)
#define reaches(iova, offset) \
	edu_reaches(&self->rig.edu, iova, self->memory + (offset), PAGE)

static int map_file(int iommufd, uint32_t ioas, int fd, uint32_t flags,
		    uint64_t start, uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | flags,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return ioctl_errno(iommufd, IOMMU_IOAS_MAP_FILE, &cmd);
}

/* Creates a memfd of LENGTH bytes and maps it to @memory */
static int file_new(unsigned int flags, char **memory)
{
	int fd;

	/* alloc_hugetlb() enlarges the pool of huge pages */
	if (flags & MFD_HUGETLB)
		munmap(alloc_hugetlb(LENGTH), LENGTH);
	fd = memfd_create("map_file", flags);
	if (fd < 0 || ftruncate(fd, LENGTH))
		return -1;
	*memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return *memory == MAP_FAILED ? -1 : fd;
}

static int64_t pinned_kib(struct rig *rig)
{
	int64_t kib = status_kib("VmPin");

	return rig_pins(rig) * (int64_t)(PAGE / 1024) == kib ? kib : -1;
}

#define EXPECT_PINNED(bytes) \
	EXPECT_EQ((bytes) / 1024, (unsigned long)pinned_kib(&self->rig))

TEST_F(map_file, memfd)
{
	self->fd = file_new(0, &self->memory);
	ASSERT_LE(0, self->fd);
	/* The pages of the file do not exist yet, so they are allocated */
	ASSERT_EQ(0, map_part(self->fd, 0, LENGTH, IOVA));
	EXPECT_PINNED(LENGTH);
	EXPECT_TRUE(reaches(IOVA, 0));
	EXPECT_TRUE(reaches(IOVA + LENGTH - PAGE, LENGTH - PAGE));
	ASSERT_EQ(0, map_part(self->fd, PAGE, 2 * PAGE, IOVA + LENGTH));
	EXPECT_TRUE(reaches(IOVA + LENGTH + PAGE, 2 * PAGE));
	EXPECT_PINNED(LENGTH + 2 * PAGE);
	ASSERT_EQ(0, unmap(IOVA, LENGTH));
	EXPECT_PINNED(2 * PAGE);
}

TEST_F(map_file, mapping_remains_when_the_file_is_closed)
{
	self->fd = file_new(0, &self->memory);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, map_part(self->fd, 0, 16 * PAGE, IOVA));
	close(self->fd);
	self->fd = -1;
	EXPECT_TRUE(reaches(IOVA + 15 * PAGE, 15 * PAGE));
}

/* The range starts and ends inside huge pages */
TEST_F(map_file, parts_of_huge_pages_of_a_file)
{
	self->fd = file_new(MFD_HUGETLB, &self->memory);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, map_part(self->fd, 3 * PAGE, LENGTH - 8 * PAGE, IOVA));
	EXPECT_PINNED(LENGTH - 8 * PAGE);
	EXPECT_TRUE(reaches(IOVA, 3 * PAGE));
	EXPECT_TRUE(reaches(IOVA + MIB2, MIB2 + 3 * PAGE));
	EXPECT_TRUE(reaches(IOVA + LENGTH - 9 * PAGE, LENGTH - 6 * PAGE));
	ASSERT_EQ(0, map_part(self->fd, 5 * PAGE, PAGE, IOVA + LENGTH));
	EXPECT_TRUE(reaches(IOVA + LENGTH, 5 * PAGE));
	EXPECT_PINNED(LENGTH - 7 * PAGE);
	ASSERT_EQ(0, unmap(IOVA, LENGTH - 8 * PAGE));
	EXPECT_PINNED(PAGE);
}

static void huge_pages_in_parts(struct __test_metadata *_metadata,
				FIXTURE_DATA(map_file) *self)
{
	ASSERT_EQ(0, map_memory(3 * PAGE, LENGTH - 8 * PAGE, IOVA));
	EXPECT_PINNED(LENGTH - 8 * PAGE);
	EXPECT_TRUE(reaches(IOVA, 3 * PAGE));
	EXPECT_TRUE(reaches(IOVA + MIB2 - 4 * PAGE, MIB2 - PAGE));
	EXPECT_TRUE(reaches(IOVA + MIB2 - 3 * PAGE, MIB2));
	EXPECT_TRUE(reaches(IOVA + LENGTH - 9 * PAGE, LENGTH - 6 * PAGE));
	ASSERT_EQ(0, unmap(IOVA, LENGTH - 8 * PAGE));
	EXPECT_PINNED(0UL);
	ASSERT_EQ(0, map_memory(0, LENGTH, IOVA));
	EXPECT_PINNED(LENGTH);
	EXPECT_TRUE(reaches(IOVA + 2 * MIB2, 2 * MIB2));
	ASSERT_EQ(0, unmap(IOVA, LENGTH));
	EXPECT_PINNED(0UL);
	ASSERT_EQ(0, map_memory(MIB2 + 7 * PAGE, PAGE, IOVA));
	EXPECT_PINNED(PAGE);
	EXPECT_TRUE(reaches(IOVA, MIB2 + 7 * PAGE));
}

TEST_F(map_file, parts_of_huge_pages_of_a_process)
{
	self->memory = alloc_hugetlb(LENGTH);
	ASSERT_NE(NULL, self->memory);
	memset(self->memory, 1, LENGTH);
	huge_pages_in_parts(_metadata, self);
}

TEST_F(map_file, huge_pages_not_allocated_yet)
{
	self->memory = alloc_hugetlb(LENGTH);
	ASSERT_NE(NULL, self->memory);
	huge_pages_in_parts(_metadata, self);
}

/* Small pages, then a huge page, then small pages, then unmapped addresses */
TEST_F(map_file, huge_page_between_small_pages)
{
	const size_t before = 70 * PAGE;
	char *place, *huge;

	huge = alloc_hugetlb(MIB2);
	ASSERT_NE(NULL, huge);
	place = mmap(NULL, 2 * LENGTH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, place);
	place = (char *)(((uintptr_t)place + MIB2 - 1) & ~(MIB2 - 1));
	ASSERT_EQ(place + MIB2, mremap(huge, MIB2, MIB2, MREMAP_MAYMOVE | MREMAP_FIXED,
				       place + MIB2));
	self->memory = place;
	ASSERT_EQ(0, mprotect(place + MIB2 - before, before, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, mprotect(place + 2 * MIB2, before, PROT_READ | PROT_WRITE));

	ASSERT_EQ(0, map_memory(MIB2 - before, MIB2 + 2 * before, IOVA));
	EXPECT_PINNED(MIB2 + 2 * before);
	EXPECT_TRUE(reaches(IOVA + before - PAGE, MIB2 - PAGE));
	EXPECT_TRUE(reaches(IOVA + before, MIB2));
	EXPECT_TRUE(reaches(IOVA + before + MIB2 - PAGE, 2 * MIB2 - PAGE));
	EXPECT_TRUE(reaches(IOVA + before + MIB2 + before - PAGE, 2 * MIB2 + before - PAGE));
	ASSERT_EQ(0, unmap(IOVA, MIB2 + 2 * before));
	EXPECT_PINNED(0UL);
	/* From the huge page to the unmapped addresses */
	EXPECT_EQ(-EFAULT, map_memory(MIB2, MIB2 + before + PAGE, IOVA));
	EXPECT_PINNED(0UL);
	ASSERT_EQ(0, map_memory(MIB2, MIB2 + before, IOVA));
	EXPECT_PINNED(MIB2 + before);
}

TEST_F(map_file, invalid_files_and_ranges)
{
	int pipes[2], proc;

	self->fd = file_new(0, &self->memory);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, pipe(pipes));
	proc = open("/proc/self/status", O_RDONLY);
	ASSERT_LE(0, proc);
	EXPECT_EQ(-EBADF, map_part(-1, 0, PAGE, IOVA));
	EXPECT_EQ(-EBADF, map_part(1000, 0, PAGE, IOVA));
	EXPECT_EQ(-EINVAL, map_part(pipes[0], 0, PAGE, IOVA));
	EXPECT_EQ(-EINVAL, map_part(proc, 0, PAGE, IOVA));
	EXPECT_EQ(-EINVAL, map_part(self->rig.fd, 0, PAGE, IOVA));
	EXPECT_EQ(-EINVAL, map_part(self->fd, 0, 0, IOVA));
	EXPECT_EQ(-EINVAL, map_part(self->fd, LENGTH, PAGE, IOVA));
	EXPECT_EQ(-EINVAL, map_part(self->fd, 0, LENGTH + 1, IOVA));
	EXPECT_EQ(-EINVAL, map_part(self->fd, LENGTH - PAGE, 2 * PAGE, IOVA));
	EXPECT_EQ(-EINVAL, map_part(self->fd, 1UL << 63, PAGE, IOVA));
	EXPECT_EQ(-EINVAL, map_part(self->fd, -PAGE, PAGE, IOVA));
	EXPECT_EQ(-EOVERFLOW, map_part(self->fd, -PAGE, PAGE + 1, IOVA));
	EXPECT_PINNED(0UL);
	/* The IOVA is still free */
	EXPECT_EQ(0, map_part(self->fd, LENGTH - PAGE, PAGE, IOVA));
	close(pipes[0]);
	close(pipes[1]);
	close(proc);
}

static void file_opened_for_reading(struct __test_metadata *_metadata,
				    FIXTURE_DATA(map_file) *self)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	fd = open(path, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EPERM, map_part(fd, 0, PAGE, IOVA));
	EXPECT_EQ(0, map_to_read(fd, IOVA));
	EXPECT_EQ(0, map_part(self->fd, 0, PAGE, IOVA + PAGE));
	EXPECT_TRUE(reaches(IOVA + PAGE, 0));
	EXPECT_TRUE(edu_write_refused(&self->rig.edu, IOVA, self->memory, PAGE));
	close(fd);
}

/* A descriptor that cannot be written through gives devices no more */
TEST_F(map_file, memfd_opened_for_reading)
{
	self->fd = file_new(0, &self->memory);
	ASSERT_LE(0, self->fd);
	file_opened_for_reading(_metadata, self);
}

TEST_F(map_file, huge_memfd_opened_for_reading)
{
	self->fd = file_new(MFD_HUGETLB, &self->memory);
	ASSERT_LE(0, self->fd);
	file_opened_for_reading(_metadata, self);
}

static int seal(int fd, int seals)
{
	return fcntl(fd, F_ADD_SEALS, seals) ? -errno : 0;
}

static void sealed_file(struct __test_metadata *_metadata,
			FIXTURE_DATA(map_file) *self, unsigned int flags, int seals)
{
	int fd = memfd_create("sealed", flags | MFD_ALLOW_SEALING);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, MIB2));
	ASSERT_EQ(0, seal(fd, seals));
	EXPECT_EQ(-EPERM, map_part(fd, 0, PAGE, IOVA));
	EXPECT_EQ(0, map_to_read(fd, IOVA));
	EXPECT_EQ(0, unmap(IOVA, PAGE));
	close(fd);
}

TEST_F(map_file, sealed_memfd)
{
	sealed_file(_metadata, self, 0, F_SEAL_WRITE);
	sealed_file(_metadata, self, 0, F_SEAL_FUTURE_WRITE);
}

TEST_F(map_file, sealed_huge_memfd)
{
	munmap(alloc_hugetlb(MIB2), MIB2);
	sealed_file(_metadata, self, MFD_HUGETLB, F_SEAL_WRITE);
	sealed_file(_metadata, self, MFD_HUGETLB, F_SEAL_FUTURE_WRITE);
}

TEST_F(map_file, other_seals_do_not_matter)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, MIB2));
	ASSERT_EQ(0, seal(fd, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL));
	EXPECT_EQ(0, map_part(fd, 0, PAGE, IOVA));
	close(fd);
}

/*
 * Neither can it be sealed while devices may write, be the pages pinned by now or
 * not; for those that only read, it does not matter.
 */
TEST_F(map_file, sealing_waits_until_it_is_unmapped)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
	uint32_t ioas, other;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, MIB2));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->rig.fd, &ioas));
	ASSERT_EQ(0, map_file(self->rig.fd, ioas, fd, READ_WRITE, 0, PAGE, IOVA));
	EXPECT_EQ(-EBUSY, seal(fd, F_SEAL_WRITE));
	ASSERT_EQ(0, map_file(self->rig.fd, ioas, fd, READ_WRITE, 0, PAGE, IOVA + PAGE));
	ASSERT_EQ(0, iommufd_unmap(self->rig.fd, ioas, IOVA, PAGE, NULL));
	EXPECT_EQ(-EBUSY, seal(fd, F_SEAL_WRITE));
	ASSERT_EQ(0, iommufd_destroy(self->rig.fd, ioas));

	ASSERT_EQ(0, iommufd_ioas_alloc(self->rig.fd, &other));
	ASSERT_EQ(0, map_file(self->rig.fd, other, fd, IOMMU_IOAS_MAP_READABLE, 0, PAGE, IOVA));
	EXPECT_EQ(0, seal(fd, F_SEAL_WRITE));
	EXPECT_EQ(-EPERM, map_part(fd, 0, PAGE, IOVA));
	close(fd);
}

/* Exports part of BAR 0 as a dma-buf; returns its file descriptor or a negative errno */
static int bar_export(struct vfio_dev *dev, uint64_t offset, uint64_t length)
{
	struct {
		struct vfio_device_feature feature;
		struct {
			uint32_t region_index;
			uint32_t open_flags;
			uint32_t flags;
			uint32_t nr_ranges;
			uint64_t offset;
			uint64_t length;
		} buffer;
	} arg = {
		.feature.argsz = sizeof(arg),
		.feature.flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF,
		.buffer.open_flags = O_CLOEXEC,
		.buffer.nr_ranges = 1,
		.buffer.offset = offset,
		.buffer.length = length,
	};
	int fd = ioctl(dev->fd, VFIO_DEVICE_FEATURE, &arg);

	return fd < 0 ? -errno : fd;
}

/* Sets the memory enable bit of the device; vfio-pci revokes the dma-buf while it is 0 */
static int enable_memory(struct vfio_dev *dev, bool enable)
{
	struct vfio_region_info config = {
		.argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	uint16_t command;

	if (ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, &config) ||
	    pread(dev->fd, &command, 2, config.offset + 4) != 2)
		return -EIO;
	command = enable ? command | 2 : command & ~2;
	return pwrite(dev->fd, &command, 2, config.offset + 4) == 2 ? 0 : -EIO;
}

TEST_F(map_file, dma_buf)
{
	const uint64_t length = 16 * PAGE;

	self->fd = bar_export(&self->rig.edu, PAGE, length);
	if (self->fd == -ENOTTY || self->fd == -EOPNOTSUPP)
		SKIP(return, "vfio-pci does not export this BAR");
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(-EINVAL, map_part(self->fd, 0, length + PAGE, IOVA));
	EXPECT_EQ(-EINVAL, map_part(self->fd, length, PAGE, IOVA));
	ASSERT_EQ(0, map_part(self->fd, 0, length, IOVA));
	ASSERT_EQ(0, map_part(self->fd, PAGE, 2 * PAGE, IOVA + length));
	EXPECT_PINNED(0UL);
	ASSERT_EQ(0, vfio_dev_detach(&self->rig.edu));
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	ASSERT_EQ(0, unmap(IOVA, length));
	ASSERT_EQ(0, map_part(self->fd, 0, length, IOVA));

	/* A revoked dma-buf cannot be mapped, but its mappings can be unmapped */
	ASSERT_EQ(0, enable_memory(&self->rig.edu, false));
	EXPECT_EQ(-ENODEV, map_part(self->fd, 0, length, IOVA + MIB2));
	EXPECT_EQ(0, unmap(IOVA, length));
	ASSERT_EQ(0, enable_memory(&self->rig.edu, true));
	EXPECT_EQ(0, map_part(self->fd, 0, length, IOVA));
	ASSERT_EQ(0, vfio_dev_detach(&self->rig.edu));
	EXPECT_EQ(0, unmap(IOVA + length, 2 * PAGE));
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
}

TEST_HARNESS_MAIN
