/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The commands of /dev/iommu as C functions. Each returns 0 or a negative errno;
 * iommufd_open() returns a file descriptor or a negative errno. The structures
 * have their proper size and reserved members are 0: a test of other values calls
 * ioctl() itself.
 */
#ifndef TESTING_LIB_IOMMUFD_H
#define TESTING_LIB_IOMMUFD_H

#include <stddef.h>
#include <stdint.h>
#include <linux/iommufd.h>

#define MAP_RW (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)

/* Calls ioctl(); returns its result, or a negative errno */
int ioctl_errno(int fd, unsigned long cmd, void *arg);

int iommufd_open(void);
int iommufd_destroy(int fd, uint32_t id);
int iommufd_ioas_alloc(int fd, uint32_t *ioas_id);

/*
 * @num: in, the number of elements at @ranges; out, the number of all ranges, also
 * with -EMSGSIZE. @alignment may be NULL.
 */
int iommufd_iova_ranges(int fd, uint32_t ioas_id,
			struct iommu_iova_range *ranges, uint32_t *num,
			uint64_t *alignment);

/* @iova: in, with IOMMU_IOAS_MAP_FIXED_IOVA; out, the IOVA of the mapping */
int iommufd_map(int fd, uint32_t ioas_id, uint32_t flags, const void *va,
		uint64_t length, uint64_t *iova);

/* Maps memory at a fixed IOVA, readable and writeable */
int iommufd_map_at(int fd, uint32_t ioas_id, const void *va, uint64_t length,
		   uint64_t iova);

/* @unmapped: out, the number of bytes, not set if the call fails; may be NULL */
int iommufd_unmap(int fd, uint32_t ioas_id, uint64_t iova, uint64_t length,
		  uint64_t *unmapped);
int iommufd_unmap_all(int fd, uint32_t ioas_id, uint64_t *unmapped);

#endif
