// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of a VFIO container for a device without an IOMMU. It has no IOAS, and it
 * requires CAP_SYS_RAWIO, since such a device can access all memory.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define GROUP "/dev/vfio/noiommu-0"
#define UNSAFE "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

static int ioctl_number(int fd, unsigned long cmd, unsigned long arg)
{
	return ioctl_errno(fd, cmd, (void *)arg);
}

static int vfio_ioas(int fd, uint16_t op, uint32_t id)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.ioas_id = id,
		.op = op,
	};

	return ioctl_errno(fd, IOMMU_VFIO_IOAS, &cmd);
}

FIXTURE(noiommu) {
	int container;
	int group;
	struct vfio_dev edu;
};

FIXTURE_VARIANT(noiommu) {
	const char *path;
};

FIXTURE_VARIANT_ADD(noiommu, iommu) { "/dev/iommu" };
FIXTURE_VARIANT_ADD(noiommu, vfio) { "/dev/vfio/vfio" };

FIXTURE_SETUP(noiommu)
{
	self->edu = (struct vfio_dev)VFIO_DEV_CLOSED;
	ASSERT_EQ(0, load_modules());
	ASSERT_EQ(0, system("echo 1 >" UNSAFE));
	ASSERT_EQ(0, vfio_dev_find(&self->edu, EDU_VENDOR, EDU_DEVICE, 0));
	/* Fails after binding vfio-pci, since such a device has no character device */
	vfio_dev_claim(&self->edu);
	self->container = open(variant->path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->container);
	self->group = open(GROUP, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->group);
}

FIXTURE_TEARDOWN(noiommu)
{
	vfio_dev_close(&self->edu);
	close(self->group);
	close(self->container);
}

static int join(FIXTURE_DATA(noiommu) *self)
{
	return ioctl_errno(self->group, VFIO_GROUP_SET_CONTAINER,
			   &self->container);
}

TEST_F(noiommu, types_and_extensions)
{
	int fd = self->container;
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };

	/* Before a group has joined, the container is an ordinary one */
	EXPECT_EQ(1, ioctl_number(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EINVAL, ioctl_number(fd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENODEV, ioctl_number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));

	ASSERT_EQ(0, join(self));
	EXPECT_EQ(0, ioctl_number(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, ioctl_number(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, ioctl_number(fd, VFIO_CHECK_EXTENSION, VFIO_UNMAP_ALL));
	EXPECT_EQ(1, ioctl_number(fd, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENODEV, ioctl_number(fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU));
	EXPECT_EQ(-EINVAL, ioctl_number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EINVAL, ioctl_number(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, ioctl_number(fd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENODEV, ioctl_errno(fd, VFIO_IOMMU_GET_INFO, &info));
}

TEST_F(noiommu, device_can_be_opened)
{
	ASSERT_EQ(0, join(self));
	ASSERT_EQ(0, ioctl_number(self->container, VFIO_SET_IOMMU,
				  VFIO_NOIOMMU_IOMMU));
	self->edu.fd = ioctl_errno(self->group, VFIO_GROUP_GET_DEVICE_FD,
				   self->edu.bdf);
	ASSERT_LE(0, self->edu.fd);
	EXPECT_EQ(0, vfio_dev_enable(&self->edu));
}

TEST_F(noiommu, excludes_an_ioas)
{
	int fd = self->container;
	uint32_t ioas;

	ASSERT_EQ(0, iommufd_ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, ioas));
	EXPECT_EQ(-EINVAL, join(self));
	/* Destroying the IOAS clears the setting */
	ASSERT_EQ(0, iommufd_destroy(fd, ioas));
	EXPECT_EQ(0, join(self));

	ASSERT_EQ(0, iommufd_ioas_alloc(fd, &ioas));
	EXPECT_EQ(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, ioas));
	EXPECT_EQ(-EINVAL, ioctl_number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
}

TEST_F(noiommu, requires_a_capability)
{
	ASSERT_EQ(0, join(self));
	ASSERT_EQ(0, drop_capability(CAP_SYS_RAWIO));
	EXPECT_EQ(-EPERM, ioctl_number(self->container, VFIO_SET_IOMMU,
					VFIO_NOIOMMU_IOMMU));
}

TEST_HARNESS_MAIN
