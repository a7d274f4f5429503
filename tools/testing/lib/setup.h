/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Setup of devices for tests: loads the modules, finds a device, binds it to vfio-pci
 * and to an iommufd, and enables DMA. Functions that return int return 0 or a
 * negative errno.
 */
#ifndef TESTING_LIB_SETUP_H
#define TESTING_LIB_SETUP_H

#include "edu.h"
#include "testdev.h"

/* Loads the modules and, on AMD, allows unsafe interrupts */
int setup_system(void);

/* Binds an edu, or the iommu-testdev, that is alone in its IOMMU group */
int setup_edu(struct vfio_dev *dev, int iommufd);
int setup_testdev(struct vfio_dev *dev, int iommufd);

/*
 * Fixture of most tests: an open /dev/iommu, an edu that is bound to it, and an empty
 * IOAS that the edu is not attached to. @pins is the number of pinned pages before.
 */
struct rig {
	int64_t pins;
	int fd;
	struct vfio_dev edu;
	uint32_t ioas;
};

int rig_open(struct rig *rig);
void rig_close(struct rig *rig);

/* Attaches the edu to an IOAS */
int rig_attach(struct rig *rig, uint32_t ioas);

/* Number of pages pinned since rig_open() */
int64_t rig_pins(const struct rig *rig);

/* Opens two edus of one IOMMU group without binding them to an iommufd */
int setup_edu_pair(struct vfio_dev pair[2]);

#endif
