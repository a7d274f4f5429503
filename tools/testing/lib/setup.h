/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a test gets hold of a device: modules loaded, the device found and on
 * vfio-pci, bound to an iommufd and able to do DMA. 0 or a negative errno.
 */
#ifndef TESTING_LIB_SETUP_H
#define TESTING_LIB_SETUP_H

#include "edu.h"
#include "testdev.h"

/* Modules, and on AMD the permission for unsafe interrupts */
int setup_system(void);

/* An edu, or the iommu-testdev, that is alone in its IOMMU group */
int setup_edu(struct vfio_dev *dev, int iommufd);
int setup_testdev(struct vfio_dev *dev, int iommufd);

/*
 * What most tests begin with: an open /dev/iommu, an edu bound to it and an
 * empty IOAS that it is not attached to, with the pinned pages of before.
 */
struct rig {
	int64_t pins;
	int fd;
	struct vfio_dev edu;
	uint32_t ioas;
};

int rig_open(struct rig *rig);
void rig_close(struct rig *rig);

/* Attaches the edu to an IOAS; 0 or a negative errno */
int rig_attach(struct rig *rig, uint32_t ioas);

/* Pages pinned now that were not before */
int64_t rig_pins(const struct rig *rig);

/* Two edus of one IOMMU group, opened but not bound */
int setup_edu_pair(struct vfio_dev pair[2]);

#endif
