/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's "iommu-testdev" (1b36:0005): writes one known word to an IOVA through
 * the IOMMU, then looks past the IOMMU whether it has arrived at the physical
 * address that was expected. Unlike edu it says when a transfer was refused.
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

/* Writes the word to @iova; the device's own verdict is returned */
uint32_t testdev_write(struct vfio_dev *dev, uint64_t iova, uint64_t phys);

#endif
