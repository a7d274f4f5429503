// SPDX-License-Identifier: GPL-2.0
/*
 * A VFIO container for a device without an IOMMU: it has no address space, and
 * wants a caller who may reach all memory anyway.
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

static int number(int fd, unsigned long cmd, unsigned long arg)
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
	/* It gets no character device: -ENOENT, or another */
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

	/* Until a group has joined, it is a container like any other */
	EXPECT_EQ(1, number(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EINVAL, number(fd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENODEV, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));

	ASSERT_EQ(0, join(self));
	EXPECT_EQ(0, number(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, number(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, number(fd, VFIO_CHECK_EXTENSION, VFIO_UNMAP_ALL));
	EXPECT_EQ(1, number(fd, VFIO_CHECK_EXTENSION, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENODEV, number(fd, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU));
	EXPECT_EQ(-EINVAL, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EINVAL, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, number(fd, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENODEV, ioctl_errno(fd, VFIO_IOMMU_GET_INFO, &info));
}

TEST_F(noiommu, device_can_be_opened)
{
	ASSERT_EQ(0, join(self));
	ASSERT_EQ(0, number(self->container, VFIO_SET_IOMMU,
			    VFIO_NOIOMMU_IOMMU));
	self->edu.fd = ioctl_errno(self->group, VFIO_GROUP_GET_DEVICE_FD,
				   self->edu.bdf);
	ASSERT_LE(0, self->edu.fd);
	EXPECT_EQ(0, vfio_dev_enable(&self->edu));
}

TEST_F(noiommu, not_beside_an_address_space)
{
	int fd = self->container;
	uint32_t ioas;

	ASSERT_EQ(0, iommufd_ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, ioas));
	EXPECT_EQ(-EINVAL, join(self));
	/* The choice is gone with what was chosen */
	ASSERT_EQ(0, iommufd_destroy(fd, ioas));
	EXPECT_EQ(0, join(self));

	ASSERT_EQ(0, iommufd_ioas_alloc(fd, &ioas));
	EXPECT_EQ(0, vfio_ioas(fd, IOMMU_VFIO_IOAS_SET, ioas));
	EXPECT_EQ(-EINVAL, number(fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU));
}

TEST_F(noiommu, takes_a_capability)
{
	ASSERT_EQ(0, join(self));
	ASSERT_EQ(0, drop_capability(CAP_SYS_RAWIO));
	EXPECT_EQ(-EPERM, number(self->container, VFIO_SET_IOMMU,
				 VFIO_NOIOMMU_IOMMU));
}

TEST_HARNESS_MAIN
