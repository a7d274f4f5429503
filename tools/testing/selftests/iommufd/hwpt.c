// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of page tables that user space allocates and of the hardware information:
 * IOMMU_HWPT_ALLOC and IOMMU_GET_HW_INFO.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define PAGE 4096UL
#define IOVA 0x300000UL
#define UNKNOWN_ID 0x7ffffff0
#define CANARY 0xa5

#define HWPT_MIN 24U
#define INFO_MIN 32U

static int hwpt_alloc(int fd, uint32_t dev, uint32_t pt, uint32_t flags,
		      uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = dev,
		.pt_id = pt,
	};
	int rc = ioctl_errno(fd, IOMMU_HWPT_ALLOC, &cmd);

	*id = cmd.out_hwpt_id;
	return rc;
}

static bool refused(int rc)
{
	return rc == -EOPNOTSUPP || rc == -EINVAL;
}

FIXTURE(hwpt) {
	struct rig rig;
	int fd;
	uint32_t dev;
	uint32_t ioas;
	unsigned char *memory;
};

FIXTURE_SETUP(hwpt)
{
	ASSERT_EQ(0, rig_open(&self->rig));
	self->fd = self->rig.fd;
	self->dev = self->rig.edu.id;
	self->ioas = self->rig.ioas;
	self->memory = alloc_small(2 * PAGE);
	ASSERT_NE(NULL, self->memory);
	ASSERT_EQ(0, iommufd_map_at(self->fd, self->ioas, self->memory, PAGE,
				    IOVA));
}

FIXTURE_TEARDOWN(hwpt)
{
	rig_close(&self->rig);
	EXPECT_EQ(0, rig_pins(&self->rig));
}

/* The HWPT has the mappings of the IOAS even before a device is attached */
TEST_F(hwpt, has_the_mappings_of_the_ioas)
{
	struct vfio_dev *edu = &self->rig.edu;
	uint32_t id, attached;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev, self->ioas, 0, &id));
	EXPECT_EQ(1, rig_pins(&self->rig));
	attached = id;
	ASSERT_EQ(0, vfio_dev_attach(edu, &attached));
	EXPECT_EQ(id, attached);
	EXPECT_TRUE(edu_reaches(edu, IOVA, self->memory, PAGE));
	ASSERT_EQ(0, iommufd_map_at(self->fd, self->ioas, self->memory + PAGE,
				    PAGE, IOVA + PAGE));
	EXPECT_TRUE(edu_reaches(edu, IOVA + PAGE, self->memory + PAGE, PAGE));
	ASSERT_EQ(0, iommufd_unmap(self->fd, self->ioas, IOVA, PAGE, NULL));
	EXPECT_TRUE(edu_write_refused(edu, IOVA, self->memory, PAGE));
}

TEST_F(hwpt, exists_until_it_is_destroyed)
{
	struct vfio_dev *edu = &self->rig.edu;
	uint32_t id, pt;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev, self->ioas, 0, &id));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->ioas));
	for (int i = 0; i < 2; i++) {
		pt = id;
		ASSERT_EQ(0, vfio_dev_attach(edu, &pt));
		EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, id));
		ASSERT_EQ(0, vfio_dev_detach(edu));
	}
	ASSERT_EQ(0, iommufd_destroy(self->fd, id));
	EXPECT_EQ(0, rig_pins(&self->rig));
	pt = id;
	EXPECT_EQ(-ENOENT, vfio_dev_attach(edu, &pt));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas));
}

/* Attaching a device to the IOAS allocates another HWPT */
TEST_F(hwpt, is_not_used_by_attach_to_the_ioas)
{
	struct vfio_dev *edu = &self->rig.edu;
	uint32_t id, pt = self->ioas;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev, self->ioas, 0, &id));
	ASSERT_EQ(0, vfio_dev_attach(edu, &pt));
	EXPECT_NE(id, pt);
	EXPECT_EQ(1, rig_pins(&self->rig));
	ASSERT_EQ(0, vfio_dev_detach(edu));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->fd, pt));
	EXPECT_EQ(0, iommufd_destroy(self->fd, id));
}

TEST_F(hwpt, replaces_and_is_replaced)
{
	struct vfio_dev *edu = &self->rig.edu;
	uint32_t id[2], pt, own;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev, self->ioas, 0, &id[0]));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev, self->ioas, 0, &id[1]));
	own = self->ioas;
	ASSERT_EQ(0, vfio_dev_attach(edu, &own));
	for (int i = 0; i < 4; i++) {
		pt = id[i % 2];
		ASSERT_EQ(0, vfio_dev_attach(edu, &pt));
		EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, pt));
		EXPECT_TRUE(edu_reaches(edu, IOVA, self->memory, PAGE));
	}
	/* The automatic HWPT has been freed */
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->fd, own));
	pt = self->ioas;
	ASSERT_EQ(0, vfio_dev_attach(edu, &pt));
	EXPECT_EQ(0, iommufd_destroy(self->fd, id[0]));
	EXPECT_EQ(0, iommufd_destroy(self->fd, id[1]));
	EXPECT_TRUE(edu_reaches(edu, IOVA, self->memory, PAGE));
}

TEST_F(hwpt, bad_ids)
{
	uint32_t id, none;

	EXPECT_EQ(-ENOENT, hwpt_alloc(self->fd, UNKNOWN_ID, self->ioas, 0,
				      &none));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->fd, self->ioas, self->ioas, 0,
				      &none));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->fd, self->dev, UNKNOWN_ID, 0,
				      &none));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->fd, self->dev, self->dev, 0,
				      &none));
	/* A nested HWPT requires data that describe it */
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev, self->ioas, 0, &id));
	EXPECT_EQ(-EOPNOTSUPP, hwpt_alloc(self->fd, self->dev, id, 0, &none));
}

/* Of these drivers, the one for VT-d nests page tables, on parents only */
TEST_F(hwpt, nesting_on_no_parent)
{
	const int no_parent = is_amd_iommu() ? -EOPNOTSUPP : -EINVAL;
	struct vfio_dev *edu = &self->rig.edu;
	uint64_t data[4] = { 0 };
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = self->dev,
		.data_type = IOMMU_HWPT_DATA_VTD_S1,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)data,
	};
	uint32_t automatic = self->ioas;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev, self->ioas, 0, &cmd.pt_id));
	EXPECT_EQ(no_parent, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.flags = IOMMU_HWPT_ALLOC_PASID;
	EXPECT_EQ(no_parent, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.flags = IOMMU_HWPT_FAULT_ID_VALID;
	EXPECT_EQ(no_parent, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	/* Such page tables are neither parents nor do they track */
	cmd.flags = IOMMU_HWPT_ALLOC_NEST_PARENT;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));

	ASSERT_EQ(0, vfio_dev_attach(edu, &automatic));
	cmd.flags = 0;
	cmd.pt_id = automatic;
	EXPECT_EQ(no_parent, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
}

TEST_F(hwpt, flags)
{
	struct iommu_hw_info info = { .size = sizeof(info), .dev_id = self->dev };
	uint32_t id;
	int rc;

	/* Dirty tracking is offered where the IOMMU can do it */
	ASSERT_EQ(0, ioctl_errno(self->fd, IOMMU_GET_HW_INFO, &info));
	EXPECT_EQ(info.out_capabilities & IOMMU_HW_CAP_DIRTY_TRACKING ? 0 : -EOPNOTSUPP,
		  hwpt_alloc(self->fd, self->dev, self->ioas,
			     IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &id));
	/* Compatible page tables are the driver's to offer: VT-d's always does */
	rc = hwpt_alloc(self->fd, self->dev, self->ioas, IOMMU_HWPT_ALLOC_PASID, &id);
	if (rc != -EOPNOTSUPP || !is_amd_iommu()) {
		EXPECT_EQ(0, rc);
		EXPECT_EQ(0, iommufd_destroy(self->fd, id));
	}
	/* Bit 2 is that of faults. Parents, bit 0, are to come. */
	for (unsigned int bit = 0; bit < 32; bit++)
		if (bit != 1 && bit != 2 && bit != 3)
			EXPECT_EQ(-EOPNOTSUPP,
				  hwpt_alloc(self->fd, self->dev, self->ioas,
					     1U << bit, &id));
	EXPECT_EQ(-EOPNOTSUPP, hwpt_alloc(self->fd, self->dev, self->ioas,
					  IOMMU_HWPT_ALLOC_NEST_PARENT |
					  IOMMU_HWPT_FAULT_ID_VALID, &id));
	/* The other arguments are valid, but there is no fault queue */
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->fd, self->dev, self->ioas,
				      IOMMU_HWPT_FAULT_ID_VALID, &id));
	EXPECT_EQ(0, rig_pins(&self->rig));
}

TEST_F(hwpt, reserved_members_and_data)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = self->dev,
		.pt_id = self->ioas,
		.__reserved = 1,
	};

	EXPECT_EQ(-EOPNOTSUPP, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.__reserved = 0;
	cmd.data_len = 8;
	EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	cmd.data_type = 1;
	cmd.data_len = 0;
	EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	/* The drivers do not accept data for an IOAS */
	cmd.data_len = 8;
	EXPECT_TRUE(refused(ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd)));
	cmd.data_len = 0;
	cmd.data_type = 0;
	/* The second reserved member and an unused fault_id are ignored */
	cmd.__reserved2 = 1;
	cmd.fault_id = UNKNOWN_ID;
	EXPECT_EQ(0, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
}

/* The structure has grown; the size of its first version is still accepted */
TEST_F(hwpt, sizes)
{
	struct iommu_hwpt_alloc cmd = {
		.dev_id = self->dev,
		.pt_id = self->ioas,
	};
	struct {
		struct iommu_hwpt_alloc cmd;
		uint64_t tail;
	} longer = { .cmd = cmd, .tail = 0 };

	for (uint32_t size = 0; size <= sizeof(cmd); size++) {
		cmd.size = size;
		EXPECT_EQ(size < HWPT_MIN ? -EINVAL : 0,
			  ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &cmd));
	}
	longer.cmd.size = sizeof(longer);
	EXPECT_EQ(0, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &longer));
	longer.tail = 1ULL << 63;
	EXPECT_EQ(-E2BIG, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, &longer));
}

/* If the ID cannot be returned, the HWPT is freed */
TEST_F(hwpt, unwritable_struct)
{
	struct iommu_hwpt_alloc *cmd;
	uint32_t before, after;

	cmd = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, cmd);
	cmd->size = sizeof(*cmd);
	cmd->dev_id = self->dev;
	cmd->pt_id = self->ioas;
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &before));
	ASSERT_EQ(0, iommufd_destroy(self->fd, before));
	ASSERT_EQ(0, mprotect(cmd, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, ioctl_errno(self->fd, IOMMU_HWPT_ALLOC, cmd));
	EXPECT_EQ(0, rig_pins(&self->rig));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &after));
	EXPECT_EQ(before, after);
}

/* A HWPT cannot be allocated if a mapping is outside of its aperture */
TEST_F(hwpt, mapping_outside_the_aperture)
{
	struct iommu_iova_range ranges[16];
	uint32_t num = ARRAY_SIZE(ranges), id;

	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev, self->ioas, 0, &id));
	ASSERT_EQ(0, iommufd_iova_ranges(self->fd, self->ioas, ranges, &num,
					 NULL));
	ASSERT_EQ(0, iommufd_destroy(self->fd, id));
	if (ranges[num - 1].last == UINT64_MAX)
		SKIP(return, "the page tables of this IOMMU translate all addresses");
	ASSERT_EQ(0, iommufd_map_at(self->fd, self->ioas, self->memory, PAGE,
				    UINT64_MAX - PAGE + 1));
	EXPECT_EQ(-EADDRINUSE, hwpt_alloc(self->fd, self->dev, self->ioas, 0,
					  &id));
	EXPECT_EQ(0, rig_pins(&self->rig));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas));
}

static int hw_info(int fd, uint32_t dev, struct iommu_hw_info *info, void *data,
		   uint32_t length)
{
	*info = (struct iommu_hw_info){
		.size = sizeof(*info),
		.dev_id = dev,
		.data_len = length,
		.data_uptr = (uintptr_t)data,
		.out_max_pasid_log2 = CANARY,
		.out_capabilities = ~0ULL,
	};
	return ioctl_errno(fd, IOMMU_GET_HW_INFO, info);
}

TEST_F(hwpt, info_with_buffers_of_all_lengths)
{
	unsigned char whole[256], part[256];
	struct iommu_hw_info info;
	uint32_t length;

	ASSERT_EQ(0, hw_info(self->fd, self->dev, &info, NULL, 0));
	length = info.data_len;
	ASSERT_GT(sizeof(whole) - 8, length);
	/* The description is empty exactly if its type is NONE */
	EXPECT_EQ(!length, info.out_data_type == IOMMU_HW_INFO_TYPE_NONE);

	memset(whole, CANARY, sizeof(whole));
	ASSERT_EQ(0, hw_info(self->fd, self->dev, &info, whole, length));
	EXPECT_EQ(length, info.data_len);
	EXPECT_EQ(CANARY, whole[length]);
	for (uint32_t room = 0; room < length + 8; room++) {
		memset(part, CANARY, sizeof(part));
		ASSERT_EQ(0, hw_info(self->fd, self->dev, &info, part, room));
		EXPECT_EQ(length, info.data_len);
		for (uint32_t i = 0; i < room; i++)
			ASSERT_EQ(i < length ? whole[i] : 0, part[i]);
		for (uint32_t i = room; i < sizeof(part); i++)
			ASSERT_EQ(CANARY, part[i]);
	}
}

TEST_F(hwpt, info_zeroes_a_large_buffer)
{
	const size_t length = 1 << 20;
	struct iommu_hw_info info;
	unsigned char *p;

	p = mmap(NULL, length + PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, CANARY, length + PAGE);
	ASSERT_EQ(0, hw_info(self->fd, self->dev, &info, p, length - 5));
	for (size_t i = info.data_len; i < length + PAGE; i++)
		ASSERT_EQ(i < length - 5 ? 0 : CANARY, p[i]);
	ASSERT_EQ(0, munmap(p + length, PAGE));
	EXPECT_EQ(-EFAULT, hw_info(self->fd, self->dev, &info, p, length + 1));
	EXPECT_EQ(-EFAULT, hw_info(self->fd, self->dev, &info, NULL, 1));
}

TEST_F(hwpt, info_capabilities)
{
	struct iommu_hw_info info;

	ASSERT_EQ(0, hw_info(self->fd, self->dev, &info, NULL, 0));
	EXPECT_EQ(0, info.out_capabilities &
		     ~(IOMMU_HW_CAP_DIRTY_TRACKING | IOMMU_HW_CAP_PCI_PASID_EXEC | IOMMU_HW_CAP_PCI_PASID_PRIV |
		       IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED));
	/* edu has neither PASIDs nor ATS, but the flag for ATS also depends on the IOMMU */
	EXPECT_EQ(0, info.out_max_pasid_log2);
	EXPECT_EQ(0, info.out_capabilities & (IOMMU_HW_CAP_PCI_PASID_EXEC |
					      IOMMU_HW_CAP_PCI_PASID_PRIV));
}

TEST_F(hwpt, info_types_and_flags)
{
	struct iommu_hw_info info = {
		.size = sizeof(info),
		.dev_id = self->dev,
		.in_data_type = 0xdead,
	};
	uint32_t type;

	/* No driver has this type; without the flag it is ignored */
	info.flags = 0;
	EXPECT_EQ(0, ioctl_errno(self->fd, IOMMU_GET_HW_INFO, &info));
	type = info.out_data_type;
	info.flags = IOMMU_HW_INFO_FLAG_INPUT_TYPE;
	info.in_data_type = 0xdead;
	info.data_len = 0;
	EXPECT_EQ(type == IOMMU_HW_INFO_TYPE_NONE ? 0 : -EOPNOTSUPP,
		  ioctl_errno(self->fd, IOMMU_GET_HW_INFO, &info));
	info.in_data_type = IOMMU_HW_INFO_TYPE_DEFAULT;
	EXPECT_EQ(0, ioctl_errno(self->fd, IOMMU_GET_HW_INFO, &info));
	EXPECT_EQ(type, info.out_data_type);

	for (unsigned int bit = 1; bit < 32; bit++) {
		info.flags = 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP, ioctl_errno(self->fd, IOMMU_GET_HW_INFO,
						   &info));
	}
	info.flags = 0;
	for (unsigned int i = 0; i < sizeof(info.__reserved); i++) {
		info.__reserved[i] = 1;
		EXPECT_EQ(-EOPNOTSUPP, ioctl_errno(self->fd, IOMMU_GET_HW_INFO,
						   &info));
		info.__reserved[i] = 0;
	}
	info.dev_id = self->ioas;
	EXPECT_EQ(-ENOENT, ioctl_errno(self->fd, IOMMU_GET_HW_INFO, &info));
}

TEST_F(hwpt, info_sizes)
{
	struct iommu_hw_info info;

	for (uint32_t size = 0; size <= sizeof(info); size++) {
		memset(&info, 0, sizeof(info));
		info.size = size;
		info.dev_id = self->dev;
		EXPECT_EQ(size < INFO_MIN ? -EINVAL : 0,
			  ioctl_errno(self->fd, IOMMU_GET_HW_INFO, &info));
	}
}

TEST_HARNESS_MAIN
