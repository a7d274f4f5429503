/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A PCI device that is driven from userspace. The functions find it in sysfs, bind it
 * to vfio-pci, open it as /dev/vfio/devices/vfioN, bind it to an iommufd, attach it to
 * an IOAS, map its BAR 0 and enable bus mastering.
 *
 * They return 0 or a negative errno.
 */
#ifndef TESTING_LIB_VFIO_DEV_H
#define TESTING_LIB_VFIO_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vfio_dev {
	char bdf[16];
	uint16_t vendor;
	uint16_t device;
	int group;	/* number of the IOMMU group, -1 if there is none */
	char cdev[64];	/* /dev/vfio/devices/vfioN, set by vfio_dev_claim() */
	int fd;		/* of the cdev, -1 while closed */
	uint32_t id;	/* object ID of the device, set by vfio_dev_bind() */
	void *bar0;
	size_t bar0_size;
};

#define VFIO_DEV_CLOSED { .group = -1, .fd = -1 }

/* Finds the @nth device of this kind (from 0) in order of address; -ENODEV if none */
int vfio_dev_find(struct vfio_dev *dev, uint16_t vendor, uint16_t device,
		  unsigned int nth);

/* Finds the first device that is the only one of its kind in its IOMMU group */
int vfio_dev_find_single(struct vfio_dev *dev, uint16_t vendor,
			 uint16_t device);

/* Finds the first two devices of this kind that are in the same IOMMU group */
int vfio_dev_find_pair(struct vfio_dev pair[2], uint16_t vendor,
		       uint16_t device);

/* Initialises @dev for the device at a given address */
int vfio_dev_from_bdf(struct vfio_dev *dev, const char *bdf);

/* Binds the device to vfio-pci unless it is bound already, and finds its cdev */
int vfio_dev_claim(struct vfio_dev *dev);

int vfio_dev_open(struct vfio_dev *dev);
int vfio_dev_bind(struct vfio_dev *dev, int iommufd);

/*
 * Attaches the device, or replaces its page table if it is attached already.
 * @pt_id: in, an IOAS or HWPT; out, the HWPT.
 */
int vfio_dev_attach(struct vfio_dev *dev, uint32_t *pt_id);
int vfio_dev_detach(struct vfio_dev *dev);

/* Maps BAR 0 to @bar0 and enables bus mastering; must be called after bind */
int vfio_dev_enable(struct vfio_dev *dev);

/* Unmaps BAR 0 and closes the device; may be called for a closed device */
void vfio_dev_close(struct vfio_dev *dev);

#endif
