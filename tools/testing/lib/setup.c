// SPDX-License-Identifier: GPL-2.0
/* Setup of devices for tests */
#include <unistd.h>

#include "iommufd.h"
#include "setup.h"
#include "system.h"

int setup_system(void)
{
	int rc = load_modules();

	if (!rc && is_amd_iommu())
		rc = set_unsafe_interrupts(true);
	return rc;
}

static int setup_device(struct vfio_dev *dev, int iommufd, uint16_t vendor,
			uint16_t device)
{
	int rc = vfio_dev_find_single(dev, vendor, device);

	if (!rc)
		rc = vfio_dev_claim(dev);
	if (!rc)
		rc = vfio_dev_open(dev);
	if (!rc)
		rc = vfio_dev_bind(dev, iommufd);
	if (!rc)
		rc = vfio_dev_enable(dev);
	return rc;
}

int setup_edu(struct vfio_dev *dev, int iommufd)
{
	return setup_device(dev, iommufd, EDU_VENDOR, EDU_DEVICE);
}

int setup_testdev(struct vfio_dev *dev, int iommufd)
{
	return setup_device(dev, iommufd, TESTDEV_VENDOR, TESTDEV_DEVICE);
}

int setup_edu_pair(struct vfio_dev pair[2])
{
	int rc = vfio_dev_find_pair(pair, EDU_VENDOR, EDU_DEVICE);

	for (int i = 0; !rc && i < 2; i++) {
		rc = vfio_dev_claim(&pair[i]);
		if (!rc)
			rc = vfio_dev_open(&pair[i]);
	}
	return rc;
}

int rig_open(struct rig *rig)
{
	int rc;

	rig->edu = (struct vfio_dev)VFIO_DEV_CLOSED;
	rig->fd = -1;
	rc = setup_system();
	if (rc)
		return rc;
	rig->pins = pinned_pages();
	rig->fd = iommufd_open();
	if (rig->fd < 0)
		return rig->fd;
	rc = setup_edu(&rig->edu, rig->fd);
	if (rc)
		return rc;
	return iommufd_ioas_alloc(rig->fd, &rig->ioas);
}

void rig_close(struct rig *rig)
{
	vfio_dev_close(&rig->edu);
	if (rig->fd >= 0)
		close(rig->fd);
	rig->fd = -1;
}

int rig_attach(struct rig *rig, uint32_t ioas)
{
	return vfio_dev_attach(&rig->edu, &ioas);
}

int64_t rig_pins(const struct rig *rig)
{
	return pinned_pages() - rig->pins;
}
