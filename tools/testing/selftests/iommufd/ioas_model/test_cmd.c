// SPDX-License-Identifier: GPL-2.0
/* The ioctls that the model tests */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "iommufd.h"
#include "test_cmd.h"

#define TEST_CMD _IO(IOMMUFD_TYPE, 0xa0)

enum {
	OP_ADD_RESERVED = 1,
	OP_DEVICE_CREATE = 2,
	OP_CHECK_MAP = 3,
	OP_CHECK_REFS = 4,
	OP_ACCESS_CREATE = 5,
	OP_ACCESS_UNPIN = 6,
	OP_ACCESS_PIN = 7,
	OP_ACCESS_RW = 8,
	OP_BATCH = 9,
	OP_DEVICE_REPLACE = 10,
	OP_ACCESS_REPLACE = 11,
	OP_DMABUF_CREATE = 22,
	OP_DMABUF_REVOKE = 23,
	OP_NONE = 0xffff,
};

struct test_cmd {
	uint32_t size;
	uint32_t op;
	uint32_t id;
	uint32_t reserved;
	union {
		uint32_t half[12];
		uint64_t word[6];
	};
	uint32_t last;
};

static int test_cmd(int fd, struct test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	return ioctl_errno(fd, TEST_CMD, cmd);
}

bool test_cmd_exists(int fd)
{
	struct test_cmd cmd = { .op = OP_NONE };

	return test_cmd(fd, &cmd) == -EOPNOTSUPP;
}

int test_device_create(int fd, uint32_t pt, struct mock_ids *ids)
{
	struct test_cmd cmd = { .op = OP_DEVICE_CREATE, .id = pt };
	int rc = test_cmd(fd, &cmd);

	if (!rc)
		*ids = (struct mock_ids){ cmd.half[0], cmd.half[1], cmd.half[2] };
	return rc;
}

int test_device_replace(int fd, uint32_t stdev, uint32_t pt, uint32_t *hwpt)
{
	struct test_cmd cmd = { .op = OP_DEVICE_REPLACE, .id = stdev, .half = { pt } };
	int rc = test_cmd(fd, &cmd);

	if (!rc)
		*hwpt = cmd.half[0];
	return rc;
}

int test_add_reserved(int fd, uint32_t ioas, uint64_t start, uint64_t length)
{
	struct test_cmd cmd = { .op = OP_ADD_RESERVED, .id = ioas, .word = { start, length } };

	return test_cmd(fd, &cmd);
}

int test_batch(int fd, uint32_t bytes)
{
	struct test_cmd cmd = { .op = OP_BATCH, .half = { bytes } };

	return test_cmd(fd, &cmd);
}

int test_check_map(int fd, uint32_t hwpt, uint64_t iova, uint64_t length, const void *va)
{
	struct test_cmd cmd = {
		.op = OP_CHECK_MAP, .id = hwpt, .word = { iova, length, (uintptr_t)va },
	};

	return test_cmd(fd, &cmd);
}

int test_check_refs(int fd, const void *va, uint64_t length, uint32_t pins)
{
	struct test_cmd cmd = {
		.op = OP_CHECK_REFS, .word = { length, (uintptr_t)va, pins },
	};

	return test_cmd(fd, &cmd);
}

int test_access_create(int fd, uint32_t ioas, bool pins, int *access)
{
	struct test_cmd cmd = { .op = OP_ACCESS_CREATE, .id = ioas, .half = { 0, pins } };
	int rc = test_cmd(fd, &cmd);

	if (!rc)
		*access = cmd.half[0];
	return rc;
}

int test_access_replace(int fd, int access, uint32_t ioas)
{
	struct test_cmd cmd = { .op = OP_ACCESS_REPLACE, .id = access, .half = { ioas } };

	return test_cmd(fd, &cmd);
}

int test_access_pin(int fd, int access, uint64_t iova, uint64_t length, const void *va,
		    bool write, uint32_t *item)
{
	struct test_cmd cmd = { .op = OP_ACCESS_PIN, .id = access };
	int rc;

	cmd.half[0] = write;
	cmd.word[1] = iova;
	cmd.word[2] = length;
	cmd.word[3] = (uintptr_t)va;
	rc = test_cmd(fd, &cmd);
	if (!rc)
		*item = cmd.half[1];
	return rc;
}

int test_access_unpin(int fd, int access, uint32_t item)
{
	struct test_cmd cmd = { .op = OP_ACCESS_UNPIN, .id = access, .half = { item } };

	return test_cmd(fd, &cmd);
}

int test_access_rw(int fd, int access, uint64_t iova, uint64_t length, void *data,
		   uint32_t flags)
{
	struct test_cmd cmd = {
		.op = OP_ACCESS_RW, .id = access,
		.word = { iova, length, (uintptr_t)data, flags },
	};

	return test_cmd(fd, &cmd);
}

/*
 * The C module of Linux 7.3.4 creates the file descriptor, but returns 0. Its number is
 * known all the same, since the kernel always uses the lowest free one.
 */
int test_dmabuf_create(int fd, uint32_t length, int *dmabuf)
{
	struct test_cmd cmd = {
		.size = sizeof(cmd), .op = OP_DMABUF_CREATE, .half = { length, O_CLOEXEC },
	};
	int lowest = dup(fd), rc;

	if (lowest < 0)
		return -errno;
	close(lowest);
	rc = ioctl(fd, TEST_CMD, &cmd);
	if (rc < 0)
		return -errno;
	*dmabuf = rc ? rc : lowest;
	return fcntl(*dmabuf, F_GETFD) < 0 ? -errno : 0;
}

int test_dmabuf_revoke(int fd, int dmabuf, bool revoked)
{
	struct test_cmd cmd = { .op = OP_DMABUF_REVOKE, .half = { dmabuf, revoked } };

	return test_cmd(fd, &cmd);
}

int ioas_map_file(int fd, uint32_t ioas, uint32_t flags, int file, uint64_t start,
		  uint64_t length, uint64_t *iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.fd = file,
		.start = start,
		.length = length,
		.iova = *iova,
	};
	int rc = ioctl_errno(fd, IOMMU_IOAS_MAP_FILE, &cmd);

	*iova = cmd.iova;
	return rc;
}

int ioas_copy(int fd, uint32_t flags, uint32_t dst, uint64_t *dst_iova, uint32_t src,
	      uint64_t src_iova, uint64_t length)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dst_ioas_id = dst,
		.src_ioas_id = src,
		.length = length,
		.dst_iova = *dst_iova,
		.src_iova = src_iova,
	};
	int rc = ioctl_errno(fd, IOMMU_IOAS_COPY, &cmd);

	*dst_iova = cmd.dst_iova;
	return rc;
}

int ioas_allow(int fd, uint32_t ioas, const void *ranges, uint32_t num)
{
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = num,
		.allowed_iovas = (uintptr_t)ranges,
	};

	return ioctl_errno(fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

int ioas_change_process(int fd)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };

	return ioctl_errno(fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

int option_set(int fd, uint32_t option, uint32_t object, uint64_t value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = option,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = object,
		.val64 = value,
	};

	return ioctl_errno(fd, IOMMU_OPTION, &cmd);
}

int hwpt_alloc(int fd, uint32_t idev, uint32_t ioas, uint32_t *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = idev,
		.pt_id = ioas,
	};
	int rc = ioctl_errno(fd, IOMMU_HWPT_ALLOC, &cmd);

	if (!rc)
		*hwpt = cmd.out_hwpt_id;
	return rc;
}
