// SPDX-License-Identifier: GPL-2.0
/* QEMU's "iommu-testdev" */
#include "testdev.h"

#define REG_TRIGGER 0x00	/* reading it starts the transfer */
#define REG_IOVA_LO 0x04
#define REG_IOVA_HI 0x08
#define REG_LENGTH 0x0c
#define REG_RESULT 0x10
#define REG_DOORBELL 0x14
#define REG_ATTRS 0x18
#define REG_PHYS_LO 0x1c
#define REG_PHYS_HI 0x20

#define DOORBELL_ARM 1
#define ATTRS_NON_SECURE 0xa

static volatile uint32_t *reg(struct vfio_dev *dev, unsigned int offset)
{
	return (volatile uint32_t *)((char *)dev->bar0 + offset);
}

uint32_t testdev_write(struct vfio_dev *dev, uint64_t iova, uint64_t phys)
{
	*reg(dev, REG_IOVA_LO) = iova;
	*reg(dev, REG_IOVA_HI) = iova >> 32;
	*reg(dev, REG_PHYS_LO) = phys;
	*reg(dev, REG_PHYS_HI) = phys >> 32;
	*reg(dev, REG_LENGTH) = sizeof(TESTDEV_WORD);
	*reg(dev, REG_ATTRS) = ATTRS_NON_SECURE;
	*reg(dev, REG_DOORBELL) = DOORBELL_ARM;
	(void)*reg(dev, REG_TRIGGER);
	return *reg(dev, REG_RESULT);
}
