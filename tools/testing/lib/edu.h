/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's "edu" device (1234:11e8), which has a 4 KiB buffer and a DMA engine that
 * copies between the buffer and an IOVA. A transfer takes 100 ms of guest time. The
 * device does not report DMA errors, so tests compare the memory. It must be started
 * with dma_mask=0xffffffffffffffff.
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

/* Copies RAM at @iova to the buffer. Returns 0, -EINVAL (too long) or -ETIMEDOUT. */
int edu_read_ram(struct vfio_dev *dev, uint64_t iova, size_t length);

/* Copies the buffer to RAM at @iova. Returns the same. */
int edu_write_ram(struct vfio_dev *dev, uint64_t iova, size_t length);

/* Starts the same copy without waiting for its end; edu_wait() waits for it */
int edu_start_write_ram(struct vfio_dev *dev, uint64_t iova, size_t length);
int edu_wait(struct vfio_dev *dev);

/* Whether DMA to @iova reads and writes the @length bytes at @memory */
bool edu_reaches(struct vfio_dev *dev, uint64_t iova, void *memory,
		 size_t length);

/* Whether @memory is unchanged after a write by the device to @iova */
bool edu_write_refused(struct vfio_dev *dev, uint64_t iova, void *memory,
		       size_t length);

#endif
