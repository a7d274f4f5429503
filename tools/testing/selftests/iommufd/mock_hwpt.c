// SPDX-License-Identifier: GPL-2.0
/*
 * What is offered of an IOMMU that can do more than this module, and what is left of a
 * device that is gone.
 */
#include <sys/ioctl.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "system.h"

#define TEST_CMD _IO(IOMMUFD_TYPE, 0xa0)
#define OP_DEVICE_CREATE 2
#define OP_OUTLIVE_DEVICE 1000

struct test_cmd {
	uint32_t size;
	uint32_t op;
	uint32_t id;
	uint32_t reserved;
	uint32_t stdev;
	uint32_t hwpt;
	uint32_t device;
	uint32_t unused[9];
	uint32_t last;
};

FIXTURE(offer) {
	int fd;
	uint32_t ioas;
	uint32_t device;
};

FIXTURE_SETUP(offer)
{
	struct test_cmd cmd = { .size = sizeof(cmd), .op = OP_DEVICE_CREATE };

	ASSERT_EQ(0, load_modules());
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas));
	cmd.id = self->ioas;
	ASSERT_EQ(0, ioctl_errno(self->fd, TEST_CMD, &cmd));
	self->device = cmd.device;
}

FIXTURE_TEARDOWN(offer)
{
	close(self->fd);
}

TEST_F(offer, no_page_tables_with_features)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .dev_id = self->device, .pt_id = self->ioas,
	};

	EXPECT_EQ(0, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	EXPECT_EQ(0, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.flags = IOMMU_HWPT_ALLOC_PASID;
	EXPECT_EQ(0, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.flags = IOMMU_HWPT_FAULT_ID_VALID;
	EXPECT_EQ(-ENOENT, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	/* What the kernel's selftests make of this IOMMU, though nothing can be nested on it */
	cmd.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	EXPECT_EQ(0, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
}

/* A claim on the DMA of a device ends with the device, although its owner keeps it */
TEST_F(offer, claim_ends_with_device)
{
	struct test_cmd cmd = { .size = sizeof(cmd), .op = OP_OUTLIVE_DEVICE };

	EXPECT_EQ(0, ioctl_errno(self->fd, TEST_CMD, &cmd));
}

TEST_HARNESS_MAIN
