/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One PCI device driven from userspace: found in sysfs, bound to vfio-pci,
 * opened as /dev/vfio/devices/vfioN, bound to an iommufd, attached to an
 * address space, its BAR 0 mapped and its bus mastering switched on.
 *
 * Functions return 0 or a negative errno.
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
	char cdev[64];	/* /dev/vfio/devices/vfioN, once it is on vfio-pci */
	int fd;		/* of the cdev, -1 while closed */
	uint32_t id;	/* the device's object ID, once bound to an iommufd */
	void *bar0;
	size_t bar0_size;
};

#define VFIO_DEV_CLOSED { .group = -1, .fd = -1 }

/* The @nth device of this kind (from 0) in order of address: -ENODEV if none */
int vfio_dev_find(struct vfio_dev *dev, uint16_t vendor, uint16_t device,
		  unsigned int nth);

/* The first one that shares its IOMMU group with no other of its kind */
int vfio_dev_find_single(struct vfio_dev *dev, uint16_t vendor,
			 uint16_t device);

/* The first two that share an IOMMU group with each other */
int vfio_dev_find_pair(struct vfio_dev pair[2], uint16_t vendor,
		       uint16_t device);

/* Fills in a device whose address is known */
int vfio_dev_from_bdf(struct vfio_dev *dev, const char *bdf);

/* Hands the device to vfio-pci unless that has it already; finds its cdev */
int vfio_dev_claim(struct vfio_dev *dev);

int vfio_dev_open(struct vfio_dev *dev);
int vfio_dev_bind(struct vfio_dev *dev, int iommufd);

/* @pt_id: in an IOAS or HWPT, out the HWPT. Attached already: replaces. */
int vfio_dev_attach(struct vfio_dev *dev, uint32_t *pt_id);
int vfio_dev_detach(struct vfio_dev *dev);

/* After bind: makes @bar0 usable and lets the device master the bus */
int vfio_dev_enable(struct vfio_dev *dev);

/* Undoes everything since vfio_dev_open(); harmless on a closed device */
void vfio_dev_close(struct vfio_dev *dev);

#endif
