/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls of VFIO's container, on /dev/iommu or /dev/vfio/vfio. Each function
 * returns 0 or a negative errno.
 */
#ifndef TESTING_LIB_VFIO_CONTAINER_H
#define TESTING_LIB_VFIO_CONTAINER_H

#include <linux/vfio.h>
#include <stdint.h>

/*
 * Offsets of the capabilities that VFIO_IOMMU_GET_INFO returns. The first one is the
 * number of available mappings, with 12 bytes. The second one is the IOVA ranges, at
 * the next multiple of 8.
 */
#define DMA_AVAIL_AT sizeof(struct vfio_iommu_type1_info)
#define RANGES_AT (DMA_AVAIL_AT + 16)
#define RANGES_SIZE(n)                                         \
	(sizeof(struct vfio_iommu_type1_info_cap_iova_range) + \
	 (n) * sizeof(struct vfio_iova_range))

/* IOMMU_VFIO_IOAS, which gets, sets or clears the IOAS of the container */
int vfio_ioas(int fd, uint16_t op, uint32_t *id);
int container_ioas(int fd, uint32_t *id);
int choose_ioas(int fd, uint32_t id);

int set_iommu(int fd, unsigned long type);
int map_dma(int fd, const void *va, uint64_t size, uint64_t iova);
/* @size: in and out, also set if the call fails after unmapping a part of the range */
int unmap_dma(int fd, uint32_t flags, uint64_t iova, uint64_t *size);

#endif
