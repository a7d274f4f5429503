// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the rules for the structures of all commands: sizes, zero tails, flags,
 * reserved members and bad pointers. They need no device. This file is also compiled as a
 * 32-bit program, ioctl_abi32, to test compat_ioctl.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "system.h"

#define PAGE 4096UL
#define IOVA 0x100000UL
#define CANARY 0xa5

enum command {
	DESTROY, IOAS_ALLOC, IOVA_RANGES, ALLOW_IOVAS, MAP, MAP_MEMFD, COPY, UNMAP,
	CHANGE_PROCESS, OPTION, VFIO_IOAS
};

union argument {
	uint32_t size;
	struct iommu_destroy destroy;
	struct iommu_ioas_alloc alloc;
	struct iommu_ioas_iova_ranges ranges;
	struct iommu_ioas_allow_iovas allow;
	struct iommu_ioas_map map;
	struct iommu_ioas_map_file map_file;
	struct iommu_ioas_copy copy;
	struct iommu_ioas_unmap unmap;
	struct iommu_ioas_change_process process;
	struct iommu_option option;
	struct iommu_vfio_ioas vfio;
	unsigned char bytes[64];
};

FIXTURE(command) {
	int fd;
	uint32_t ioas;
	int memfd;		/* mapped by MAP_MEMFD */
	unsigned char *memory;	/* mapped by MAP */
	unsigned char *edge;	/* end of a page, followed by an unmapped one */
	struct iommu_iova_range range;
};

FIXTURE_VARIANT(command) {
	enum command command;
	unsigned long nr;
	uint32_t size;		/* of the structure; a smaller one is EINVAL */
};

FIXTURE_VARIANT_ADD(command, destroy) {
	DESTROY, IOMMU_DESTROY, sizeof(struct iommu_destroy)
};

FIXTURE_VARIANT_ADD(command, ioas_alloc) {
	IOAS_ALLOC, IOMMU_IOAS_ALLOC, sizeof(struct iommu_ioas_alloc)
};

FIXTURE_VARIANT_ADD(command, iova_ranges) {
	IOVA_RANGES, IOMMU_IOAS_IOVA_RANGES,
	sizeof(struct iommu_ioas_iova_ranges)
};

FIXTURE_VARIANT_ADD(command, allow_iovas) {
	ALLOW_IOVAS, IOMMU_IOAS_ALLOW_IOVAS,
	sizeof(struct iommu_ioas_allow_iovas)
};

FIXTURE_VARIANT_ADD(command, map) {
	MAP, IOMMU_IOAS_MAP, sizeof(struct iommu_ioas_map)
};

FIXTURE_VARIANT_ADD(command, map_file) {
	MAP_MEMFD, IOMMU_IOAS_MAP_FILE, sizeof(struct iommu_ioas_map_file)
};

FIXTURE_VARIANT_ADD(command, copy) {
	COPY, IOMMU_IOAS_COPY, sizeof(struct iommu_ioas_copy)
};

FIXTURE_VARIANT_ADD(command, unmap) {
	UNMAP, IOMMU_IOAS_UNMAP, sizeof(struct iommu_ioas_unmap)
};

FIXTURE_VARIANT_ADD(command, change_process) {
	CHANGE_PROCESS, IOMMU_IOAS_CHANGE_PROCESS,
	sizeof(struct iommu_ioas_change_process)
};

FIXTURE_VARIANT_ADD(command, option) {
	OPTION, IOMMU_OPTION, sizeof(struct iommu_option)
};

FIXTURE_VARIANT_ADD(command, vfio_ioas) {
	VFIO_IOAS, IOMMU_VFIO_IOAS, sizeof(struct iommu_vfio_ioas)
};

FIXTURE_SETUP(command)
{
	unsigned char *p;

	ASSERT_EQ(0, load_modules());
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas));
	self->memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->memory);
	self->memfd = memfd_create("memory", MFD_CLOEXEC);
	ASSERT_LE(0, self->memfd);
	ASSERT_EQ(0, ftruncate(self->memfd, PAGE));
	p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, munmap(p + 2 * PAGE, PAGE));
	self->edge = p + 2 * PAGE;
}

FIXTURE_TEARDOWN(command)
{
	close(self->memfd);
	close(self->fd);
}

/* Sets the arguments so that the command succeeds, and creates what it needs */
static int valid_argument(FIXTURE_DATA(command) *self,
			  const FIXTURE_VARIANT(command) *variant,
			  union argument *arg)
{
	uint32_t id;
	int rc;

	memset(arg, 0, sizeof(*arg));
	arg->size = variant->size;
	switch (variant->command) {
	case DESTROY:
		rc = iommufd_ioas_alloc(self->fd, &id);
		arg->destroy.id = id;
		return rc;
	case IOAS_ALLOC:
		return 0;
	case IOVA_RANGES:
		arg->ranges.ioas_id = self->ioas;
		arg->ranges.num_iovas = 1;
		arg->ranges.allowed_iovas = (uintptr_t)&self->range;
		return 0;
	case ALLOW_IOVAS:
		self->range = (struct iommu_iova_range){ PAGE, UINT32_MAX };
		arg->allow.ioas_id = self->ioas;
		arg->allow.num_iovas = 1;
		arg->allow.allowed_iovas = (uintptr_t)&self->range;
		return 0;
	case MAP:
		arg->map.flags = MAP_RW;
		arg->map.ioas_id = self->ioas;
		arg->map.user_va = (uintptr_t)self->memory;
		arg->map.length = PAGE;
		return 0;
	case MAP_MEMFD:
		arg->map_file.flags = MAP_RW;
		arg->map_file.ioas_id = self->ioas;
		arg->map_file.fd = self->memfd;
		arg->map_file.length = PAGE;
		return 0;
	case COPY:
		arg->copy.flags = MAP_RW;
		arg->copy.dst_ioas_id = self->ioas;
		arg->copy.src_ioas_id = self->ioas;
		arg->copy.length = PAGE;
		arg->copy.src_iova = IOVA;
		return iommufd_map_at(self->fd, self->ioas, self->memory, PAGE,
				      IOVA);
	case CHANGE_PROCESS:
		return 0;
	case OPTION:
		arg->option.option_id = IOMMU_OPTION_HUGE_PAGES;
		arg->option.op = IOMMU_OPTION_OP_GET;
		arg->option.object_id = self->ioas;
		return 0;
	case VFIO_IOAS:
		arg->vfio.op = IOMMU_VFIO_IOAS_SET;
		arg->vfio.ioas_id = self->ioas;
		return 0;
	case UNMAP:
		arg->unmap.ioas_id = self->ioas;
		arg->unmap.iova = IOVA;
		arg->unmap.length = PAGE;
		return iommufd_map_at(self->fd, self->ioas, self->memory, PAGE,
				      IOVA);
	}
	return -EINVAL;
}

TEST_F(command, exact_size_is_accepted)
{
	union argument arg;

	ASSERT_EQ(0, valid_argument(self, variant, &arg));
	EXPECT_EQ(0, ioctl_errno(self->fd, variant->nr, &arg));
}

TEST_F(command, every_smaller_size_is_einval)
{
	union argument arg, before;

	for (uint32_t size = 0; size < variant->size; size++) {
		ASSERT_EQ(0, valid_argument(self, variant, &arg));
		arg.size = size;
		before = arg;
		EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, variant->nr, &arg));
		EXPECT_EQ(0, memcmp(&arg, &before, sizeof(arg)));
		iommufd_unmap_all(self->fd, self->ioas, NULL);
	}
}

/* With a size of 4 the kernel must read 4 bytes only */
TEST_F(command, too_small_at_the_end_of_memory_is_einval)
{
	uint32_t *size = (uint32_t *)(self->edge - sizeof(*size));

	*size = sizeof(*size);
	EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, variant->nr, size));
}

TEST_F(command, exact_size_at_the_end_of_memory_is_accepted)
{
	unsigned char *p = self->edge - variant->size;
	union argument arg;

	ASSERT_EQ(0, valid_argument(self, variant, &arg));
	memcpy(p, &arg, variant->size);
	EXPECT_EQ(0, ioctl_errno(self->fd, variant->nr, p));
}

TEST_F(command, zero_tail_is_accepted_and_unchanged)
{
	uint32_t extra[] = { 1, 4, 8, 100, PAGE };

	for (size_t i = 0; i < ARRAY_SIZE(extra); i++) {
		uint32_t size = variant->size + extra[i];
		unsigned char *p = self->edge - 2 * PAGE;
		union argument arg;

		ASSERT_EQ(0, valid_argument(self, variant, &arg));
		arg.size = size;
		memset(p, CANARY, 2 * PAGE);
		memset(p, 0, size);
		memcpy(p, &arg, variant->size);
		EXPECT_EQ(0, ioctl_errno(self->fd, variant->nr, p));
		for (size_t j = variant->size; j < 2 * PAGE; j++)
			ASSERT_EQ(j < size ? 0 : CANARY, p[j]);
		iommufd_unmap_all(self->fd, self->ioas, NULL);
	}
}

/* Every byte of the tail is checked, before the command has an effect */
TEST_F(command, nonzero_tail_is_e2big)
{
	union argument arg, before;

	for (uint32_t i = variant->size; i < sizeof(arg); i++) {
		ASSERT_EQ(0, valid_argument(self, variant, &arg));
		arg.size = sizeof(arg);
		arg.bytes[i] = 1;
		before = arg;
		EXPECT_EQ(-E2BIG, ioctl_errno(self->fd, variant->nr, &arg));
		EXPECT_EQ(0, memcmp(&arg, &before, sizeof(arg)));
		if (variant->command == UNMAP)
			EXPECT_EQ(0, iommufd_unmap(self->fd, self->ioas, IOVA,
						   PAGE, NULL));
		iommufd_unmap_all(self->fd, self->ioas, NULL);
	}
}

/* A structure longer than a page is accepted, if all bytes of its tail are zero */
TEST_F(command, nonzero_tail_beyond_a_page_is_e2big)
{
	unsigned char *p = self->edge - 2 * PAGE;
	union argument arg;

	ASSERT_EQ(0, valid_argument(self, variant, &arg));
	arg.size = 2 * PAGE;
	memset(p, 0, 2 * PAGE);
	memcpy(p, &arg, variant->size);
	p[2 * PAGE - 1] = 1;
	EXPECT_EQ(-E2BIG, ioctl_errno(self->fd, variant->nr, p));
	p[2 * PAGE - 1] = 0;
	EXPECT_EQ(0, ioctl_errno(self->fd, variant->nr, p));
}

TEST_F(command, bytes_after_the_size_are_ignored)
{
	union argument arg;

	ASSERT_EQ(0, valid_argument(self, variant, &arg));
	memset(arg.bytes + variant->size, CANARY, sizeof(arg) - variant->size);
	EXPECT_EQ(0, ioctl_errno(self->fd, variant->nr, &arg));
	for (size_t i = variant->size; i < sizeof(arg); i++)
		EXPECT_EQ(CANARY, arg.bytes[i]);
}

TEST_F(command, bad_pointers_are_efault)
{
	uint32_t *size = (uint32_t *)(self->edge - sizeof(*size));
	union argument arg;
	unsigned char *p;

	EXPECT_EQ(-EFAULT, ioctl_errno(self->fd, variant->nr, NULL));
	EXPECT_EQ(-EFAULT, ioctl_errno(self->fd, variant->nr, self->edge));

	/* The size can be read, the structure cannot */
	*size = variant->size;
	EXPECT_EQ(-EFAULT, ioctl_errno(self->fd, variant->nr, size));

	/* The structure can be read, its tail cannot */
	ASSERT_EQ(0, valid_argument(self, variant, &arg));
	arg.size = variant->size + 8;
	p = self->edge - variant->size;
	memcpy(p, &arg, variant->size);
	EXPECT_EQ(-EFAULT, ioctl_errno(self->fd, variant->nr, p));
	*(uint32_t *)p = UINT32_MAX;
	EXPECT_EQ(-EFAULT, ioctl_errno(self->fd, variant->nr, p));
}

TEST_F(command, unaligned_structure_is_accepted)
{
	unsigned char buf[sizeof(union argument) + 1];
	union argument arg;

	ASSERT_EQ(0, valid_argument(self, variant, &arg));
	memcpy(buf + 1, &arg, sizeof(arg));
	EXPECT_EQ(0, ioctl_errno(self->fd, variant->nr, buf + 1));
}

/* The whole ioctl number is compared, not only its low byte */
TEST_F(command, other_direction_or_size_in_the_number_is_enotty)
{
	union argument arg;

	ASSERT_EQ(0, valid_argument(self, variant, &arg));
	EXPECT_EQ(-ENOTTY, ioctl_errno(self->fd, variant->nr |
				       _IOC(_IOC_READ | _IOC_WRITE, 0, 0, 0),
				       &arg));
	EXPECT_EQ(-ENOTTY, ioctl_errno(self->fd, variant->nr |
				       _IOC(0, 0, 0, variant->size), &arg));
	EXPECT_EQ(-ENOTTY, ioctl_errno(self->fd, variant->nr ^
				       _IOC(0, 1, 0, 0), &arg));
}

static bool has_result(enum command command)
{
	switch (command) {
	case DESTROY:
	case ALLOW_IOVAS:
	case CHANGE_PROCESS:
	case VFIO_IOAS:	/* with IOMMU_VFIO_IOAS_SET */
		return false;
	default:
		return true;
	}
}

/*
 * The results cannot be written. The command has taken effect all the same, except that a
 * new object is destroyed, since its ID cannot be returned.
 */
TEST_F(command, unwritable_structure)
{
	union argument *arg = (union argument *)(self->edge - PAGE);
	uint32_t before, after;
	uint64_t unmapped;

	ASSERT_EQ(0, valid_argument(self, variant, arg));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &before));
	ASSERT_EQ(0, iommufd_destroy(self->fd, before));
	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
	EXPECT_EQ(has_result(variant->command) ? -EFAULT : 0,
		  ioctl_errno(self->fd, variant->nr, arg));

	switch (variant->command) {
	case DESTROY:
		EXPECT_EQ(-ENOENT, iommufd_destroy(self->fd, arg->destroy.id));
		break;
	case IOAS_ALLOC:
		ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &after));
		EXPECT_EQ(before, after);
		break;
	case IOVA_RANGES:
		EXPECT_EQ(UINT64_MAX, self->range.last);
		break;
	case MAP:
	case MAP_MEMFD:
		EXPECT_EQ(0, iommufd_unmap_all(self->fd, self->ioas, &unmapped));
		EXPECT_EQ(PAGE, unmapped);
		break;
	case COPY:
		EXPECT_EQ(0, iommufd_unmap_all(self->fd, self->ioas, &unmapped));
		EXPECT_EQ(2 * PAGE, unmapped);
		break;
	case UNMAP:
		EXPECT_EQ(-ENOENT, iommufd_unmap(self->fd, self->ioas, IOVA,
						 PAGE, NULL));
		break;
	default:
		break;
	}
}

FIXTURE(file) {
	int fd;
	uint32_t ioas;
	unsigned char memory[64];
};

FIXTURE_SETUP(file)
{
	ASSERT_EQ(0, load_modules());
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas));
}

FIXTURE_TEARDOWN(file)
{
	close(self->fd);
}

TEST_F(file, unknown_numbers_are_enotty)
{
	unsigned char nrs[] = { 0, 1, 0x63, 0x7f, 0x96, 0x9f, 0xbf, 0xdf };
	uint32_t arg[16] = { sizeof(arg) };

	for (size_t i = 0; i < ARRAY_SIZE(nrs); i++)
		EXPECT_EQ(-ENOTTY, ioctl_errno(self->fd, _IO(IOMMUFD_TYPE,
							     nrs[i]), arg));
}

TEST_F(file, unknown_flags_are_eopnotsupp)
{
	for (unsigned int bit = 0; bit < 32; bit++) {
		struct iommu_ioas_alloc alloc = {
			.size = sizeof(alloc),
			.flags = 1U << bit,
		};
		struct iommu_ioas_map map = {
			.size = sizeof(map),
			.flags = MAP_RW | 1U << bit,
			.ioas_id = self->ioas,
			.user_va = (uintptr_t)self->memory,
			.length = sizeof(self->memory),
		};
		struct iommu_ioas_map_file map_file = {
			.size = sizeof(map_file),
			.flags = MAP_RW | 1U << bit,
			.ioas_id = self->ioas,
			.fd = -1,
			.length = PAGE,
		};
		struct iommu_ioas_copy copy = {
			.size = sizeof(copy),
			.flags = MAP_RW | 1U << bit,
			.dst_ioas_id = self->ioas,
			.src_ioas_id = self->ioas,
			.length = PAGE,
		};

		EXPECT_EQ(-EOPNOTSUPP,
			  ioctl_errno(self->fd, IOMMU_IOAS_ALLOC, &alloc));
		if (bit < 3)
			continue;
		EXPECT_EQ(-EOPNOTSUPP,
			  ioctl_errno(self->fd, IOMMU_IOAS_MAP, &map));
		EXPECT_EQ(-EOPNOTSUPP,
			  ioctl_errno(self->fd, IOMMU_IOAS_MAP_FILE, &map_file));
		EXPECT_EQ(-EOPNOTSUPP,
			  ioctl_errno(self->fd, IOMMU_IOAS_COPY, &copy));
	}
	EXPECT_EQ(0, iommufd_unmap_all(self->fd, self->ioas, NULL));
}

TEST_F(file, reserved_members_are_eopnotsupp)
{
	for (unsigned int bit = 0; bit < 32; bit++) {
		struct iommu_ioas_iova_ranges ranges = {
			.size = sizeof(ranges),
			.ioas_id = self->ioas,
			.__reserved = 1U << bit,
		};
		struct iommu_ioas_allow_iovas allow = {
			.size = sizeof(allow),
			.ioas_id = self->ioas,
			.__reserved = 1U << bit,
		};
		struct iommu_ioas_map map = {
			.size = sizeof(map),
			.flags = MAP_RW,
			.ioas_id = self->ioas,
			.__reserved = 1U << bit,
			.user_va = (uintptr_t)self->memory,
			.length = sizeof(self->memory),
		};
		struct iommu_ioas_change_process process = {
			.size = sizeof(process),
			.__reserved = 1U << bit,
		};

		EXPECT_EQ(-EOPNOTSUPP,
			  ioctl_errno(self->fd, IOMMU_IOAS_IOVA_RANGES, &ranges));
		EXPECT_EQ(-EOPNOTSUPP,
			  ioctl_errno(self->fd, IOMMU_IOAS_ALLOW_IOVAS, &allow));
		EXPECT_EQ(-EOPNOTSUPP,
			  ioctl_errno(self->fd, IOMMU_IOAS_MAP, &map));
		EXPECT_EQ(-EOPNOTSUPP,
			  ioctl_errno(self->fd, IOMMU_IOAS_CHANGE_PROCESS,
				      &process));
	}
}

/* The commands with an operation have a reserved member of two bytes */
TEST_F(file, unknown_operations_are_eopnotsupp)
{
	for (unsigned int bit = 0; bit < 16; bit++) {
		struct iommu_option option = {
			.size = sizeof(option),
			.option_id = IOMMU_OPTION_HUGE_PAGES,
			.op = IOMMU_OPTION_OP_GET,
			.__reserved = 1U << bit,
			.object_id = self->ioas,
		};
		struct iommu_vfio_ioas vfio = {
			.size = sizeof(vfio),
			.op = IOMMU_VFIO_IOAS_CLEAR,
			.__reserved = 1U << bit,
		};

		EXPECT_EQ(-EOPNOTSUPP,
			  ioctl_errno(self->fd, IOMMU_OPTION, &option));
		EXPECT_EQ(-EOPNOTSUPP,
			  ioctl_errno(self->fd, IOMMU_VFIO_IOAS, &vfio));
		option.__reserved = 0;
		option.op = 2 | 1U << bit;
		vfio.__reserved = 0;
		vfio.op = 3 | 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP,
			  ioctl_errno(self->fd, IOMMU_OPTION, &option));
		EXPECT_EQ(-EOPNOTSUPP,
			  ioctl_errno(self->fd, IOMMU_VFIO_IOAS, &vfio));
	}
}

/* If several arguments are invalid, the first check in this order returns its error */
TEST_F(file, order_of_the_checks_of_map)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = 1U << 31,
		.ioas_id = 0x7fffffff,
		.iova = UINT64_MAX,
	};

	EXPECT_EQ(-EOPNOTSUPP, ioctl_errno(self->fd, IOMMU_IOAS_MAP, &map));
	map.flags = 0;
	EXPECT_EQ(-EOVERFLOW, ioctl_errno(self->fd, IOMMU_IOAS_MAP, &map));
	map.iova = 0;
	EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, IOMMU_IOAS_MAP, &map));
	map.flags = MAP_RW;
	EXPECT_EQ(-ENOENT, ioctl_errno(self->fd, IOMMU_IOAS_MAP, &map));
	map.ioas_id = self->ioas;
	EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, IOMMU_IOAS_MAP, &map));
}

/*
 * A kernel that is configured for iommufd's selftests has more numbers, up to that of
 * IOMMU_TEST_CMD: their structure is looked at before it turns out that they do not exist.
 */
TEST_F(file, test_numbers_are_looked_at_where_the_kernel_has_them)
{
	int missing = system("grep -qw iommu_mock_device_add /proc/kallsyms");
	int expected = missing ? -ENOTTY : -EFAULT;

	for (unsigned int nr = 0x96; nr <= 0xa0; nr++)
		EXPECT_EQ(expected, ioctl_errno(self->fd, _IO(IOMMUFD_TYPE, nr),
						NULL));
	EXPECT_EQ(-ENOTTY, ioctl_errno(self->fd, _IO(IOMMUFD_TYPE, 0x7f), NULL));
	EXPECT_EQ(-ENOTTY, ioctl_errno(self->fd, _IO(IOMMUFD_TYPE, 0xa1), NULL));
}

/* The errno of mapping the file, 0 if it can be mapped */
static int try_mmap(int fd, int prot, int flags, off_t offset)
{
	void *p = mmap(NULL, PAGE, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, PAGE);
	return 0;
}

/* No object here has memory to be mapped */
TEST_F(file, mmap)
{
	const int exec = PROT_READ | PROT_EXEC;

	EXPECT_EQ(-EINVAL, try_mmap(self->fd, PROT_READ, MAP_PRIVATE, 0));
	EXPECT_EQ(-EINVAL, try_mmap(self->fd, exec, MAP_PRIVATE, 0));
	EXPECT_EQ(-EPERM, try_mmap(self->fd, exec, MAP_SHARED, 0));
	EXPECT_EQ(-ENXIO, try_mmap(self->fd, PROT_NONE, MAP_SHARED, 0));
	EXPECT_EQ(-ENXIO, try_mmap(self->fd, PROT_READ | PROT_WRITE, MAP_SHARED,
				   7 * PAGE));
}

TEST_F(file, read_write_and_mmap_fail)
{
	char c = 0;

	EXPECT_EQ(-1, read(self->fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
}

TEST_HARNESS_MAIN
