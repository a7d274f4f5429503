/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls of VFIO's container, on /dev/iommu or /dev/vfio/vfio. Each function
 * returns 0 or a negative errno.
 */
#ifndef TESTING_LIB_VFIO_CONTAINER_H
#define TESTING_LIB_VFIO_CONTAINER_H

#include <linux/vfio.h>
#include <stdint.h>

/* Where VFIO_IOMMU_GET_INFO puts its capabilities: the limit of mappings first, ... */
#define DMA_AVAIL_AT sizeof(struct vfio_iommu_type1_info)
/* ... and at the next multiple of 8 behind its 12 bytes, the ranges of IOVA */
#define RANGES_AT (DMA_AVAIL_AT + 16)
#define RANGES_SIZE(n)                                         \
	(sizeof(struct vfio_iommu_type1_info_cap_iova_range) + \
	 (n) * sizeof(struct vfio_iova_range))

/* The IO address space that the container works on: IOMMU_VFIO_IOAS; @id in and out */
int vfio_ioas(int fd, uint16_t op, uint32_t *id);
int container_ioas(int fd, uint32_t *id);
int choose_ioas(int fd, uint32_t id);

int set_iommu(int fd, unsigned long type);
int map_dma(int fd, const void *va, uint64_t size, uint64_t iova);
/* @size: in and out, set even by a call that fails in the middle */
int unmap_dma(int fd, uint32_t flags, uint64_t iova, uint64_t *size);

#endif
