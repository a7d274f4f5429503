/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's "edu" device (1234:11e8): a 4 KiB buffer of its own and a DMA engine
 * that copies between it and an IOVA. A transfer takes 100 ms of guest time.
 * The device does not report errors: what a refused transfer did is seen by
 * looking at the memory. Start it with dma_mask=0xffffffffffffffff.
 */
#ifndef TESTING_LIB_EDU_H
#define TESTING_LIB_EDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfio_dev.h"

#define EDU_VENDOR 0x1234
#define EDU_DEVICE 0x11e8
#define EDU_BUFFER_SIZE 4096

/* RAM at @iova to the device; 0, -EINVAL (too long) or -ETIMEDOUT */
int edu_read_ram(struct vfio_dev *dev, uint64_t iova, size_t length);

/* The device's buffer to RAM at @iova */
int edu_write_ram(struct vfio_dev *dev, uint64_t iova, size_t length);

/* The second, begun but not waited for; and the wait */
int edu_start_write_ram(struct vfio_dev *dev, uint64_t iova, size_t length);
int edu_wait(struct vfio_dev *dev);

/* Whether the device reads and writes @memory, @length bytes, at @iova */
bool edu_reaches(struct vfio_dev *dev, uint64_t iova, void *memory,
		 size_t length);

/* Whether a write by the device to @iova leaves @memory as it was */
bool edu_write_refused(struct vfio_dev *dev, uint64_t iova, void *memory,
		       size_t length);

#endif
