/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's "iommu-testdev" (1b36:0005), which writes a fixed word to an IOVA. Then it
 * bypasses the IOMMU and checks whether the word is at a given physical address.
 * Unlike edu, it reports whether the IOMMU refused the write.
 */
#ifndef TESTING_LIB_TESTDEV_H
#define TESTING_LIB_TESTDEV_H

#include <stdint.h>

#include "vfio_dev.h"

#define TESTDEV_VENDOR 0x1b36
#define TESTDEV_DEVICE 0x0005

#define TESTDEV_WORD 0x12345678u

#define TESTDEV_OK 0u
#define TESTDEV_DMA_FAULT 0xdead0002u
#define TESTDEV_MISMATCH 0xdead0004u

/*
 * Writes the word to @iova. Returns the device's result: TESTDEV_OK, TESTDEV_DMA_FAULT,
 * or TESTDEV_MISMATCH if the word is not at @phys.
 */
uint32_t testdev_write(struct vfio_dev *dev, uint64_t iova, uint64_t phys);

#endif
