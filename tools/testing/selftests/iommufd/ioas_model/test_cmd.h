/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the model needs of IOMMU_TEST_CMD, the ioctl of modules with a mock IOMMU,
 * and of the ordinary ioctls that the library has no function for. The numbers are
 * those of the kernel's drivers/iommu/iommufd/iommufd_test.h. Each function returns
 * 0 or a negative errno.
 */
#ifndef IOAS_MODEL_TEST_CMD_H
#define IOAS_MODEL_TEST_CMD_H

#include <stdbool.h>
#include <stdint.h>

/* What the page tables of the mock IOMMU can do */
#define MOCK_FIRST (1UL << 24)
#define MOCK_LAST ((1UL << 31) - 1)
#define MOCK_PAGE 2048UL

#define RW_WRITE (1U << 0)
#define RW_SLOW (1U << 2)	/* not through the page tables of the process */

/* Whether the module has the ioctl at all */
bool test_cmd_exists(int fd);

struct mock_ids {
	uint32_t stdev, hwpt, idev;
};

int test_device_create(int fd, uint32_t pt, struct mock_ids *ids);
int test_device_replace(int fd, uint32_t stdev, uint32_t pt, uint32_t *hwpt);
int test_add_reserved(int fd, uint32_t ioas, uint64_t start, uint64_t length);

/* How many bytes temporary buffers have, for everybody: at least 12 */
#define BATCH_NORMAL 65536
int test_batch(int fd, uint32_t bytes);

/* Whether a page table leads to the pages that are at @va; -EINVAL if not */
int test_check_map(int fd, uint32_t hwpt, uint64_t iova, uint64_t length, const void *va);
/* Whether each page at @va is pinned so often; -EIO if not. Huge pages always are. */
int test_check_refs(int fd, const void *va, uint64_t length, uint32_t pins);

/* Of an access, which is a file descriptor */
int test_access_create(int fd, uint32_t ioas, bool pins, int *access);
int test_access_replace(int fd, int access, uint32_t ioas);
/* @va: where the pages have to be, NULL if not to be checked */
int test_access_pin(int fd, int access, uint64_t iova, uint64_t length, const void *va,
		    bool write, uint32_t *item);
int test_access_unpin(int fd, int access, uint32_t item);
int test_access_rw(int fd, int access, uint64_t iova, uint64_t length, void *data,
		   uint32_t flags);

/* @dmabuf: a new file descriptor */
int test_dmabuf_create(int fd, uint32_t length, int *dmabuf);
int test_dmabuf_revoke(int fd, int dmabuf, bool revoked);

int ioas_map_file(int fd, uint32_t ioas, uint32_t flags, int file, uint64_t start,
		  uint64_t length, uint64_t *iova);
int ioas_copy(int fd, uint32_t flags, uint32_t dst, uint64_t *dst_iova, uint32_t src,
	      uint64_t src_iova, uint64_t length);
/* A flag for fuzzers: the source is the area of this number, counted from 0, and an offset */
#define COPY_NTH_AREA (1U << 16)
#define NTH_AREA(nth, offset) ((uint64_t)(offset) << 32 | (nth))
int ioas_allow(int fd, uint32_t ioas, const void *ranges, uint32_t num);
int ioas_change_process(int fd);
int option_set(int fd, uint32_t option, uint32_t object, uint64_t value);
int hwpt_alloc(int fd, uint32_t idev, uint32_t ioas, uint32_t *hwpt);

#endif
