/* SPDX-License-Identifier: GPL-2.0 */
/*
 * C functions for IOMMU_TEST_CMD, the ioctl of modules with a mock IOMMU, and for ordinary
 * ioctls that the library lacks. The numbers are those of
 * drivers/iommu/iommufd/iommufd_test.h in the kernel. Functions that return int return 0
 * or a negative errno.
 */
#ifndef IOAS_MODEL_TEST_CMD_H
#define IOAS_MODEL_TEST_CMD_H

#include <stdbool.h>
#include <stdint.h>

/* Aperture and smallest page of the mock IOMMU, in bytes */
#define MOCK_FIRST (1UL << 24)
#define MOCK_LAST ((1UL << 31) - 1)
#define MOCK_PAGE 2048UL

#define RW_WRITE (1U << 0)
#define RW_SLOW (1U << 2)	/* do not copy through the page tables of the process */

/* Whether the module has the ioctl */
bool test_cmd_exists(int fd);

struct mock_ids {
	uint32_t stdev, hwpt, idev;
};

int test_device_create(int fd, uint32_t pt, struct mock_ids *ids);
int test_device_replace(int fd, uint32_t stdev, uint32_t pt, uint32_t *hwpt);
int test_add_reserved(int fd, uint32_t ioas, uint64_t start, uint64_t length);

/* Sets the size of the module's temporary buffers in bytes, at least 12 */
#define BATCH_NORMAL 65536
int test_batch(int fd, uint32_t bytes);

/* Checks that a page table maps @iova to the pages at @va; -EINVAL if not */
int test_check_map(int fd, uint32_t hwpt, uint64_t iova, uint64_t length, const void *va);
/*
 * Checks that each page at @va is pinned @pins times; -EIO if not. Not usable for huge
 * pages, for which it always succeeds.
 */
int test_check_refs(int fd, const void *va, uint64_t length, uint32_t pins);

/* An access is a file descriptor */
int test_access_create(int fd, uint32_t ioas, bool pins, int *access);
int test_access_replace(int fd, int access, uint32_t ioas);
/* @va: expected address of the pages in the process, or NULL to skip this check */
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
/* With this flag, for fuzzers, the source is an area by its index from 0, and an offset */
#define COPY_NTH_AREA (1U << 16)
#define NTH_AREA(nth, offset) ((uint64_t)(offset) << 32 | (nth))
int ioas_allow(int fd, uint32_t ioas, const void *ranges, uint32_t num);
int ioas_change_process(int fd);
int option_set(int fd, uint32_t option, uint32_t object, uint64_t value);
int hwpt_alloc(int fd, uint32_t idev, uint32_t ioas, uint32_t *hwpt);

#endif
