// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of an IOMMU group with two devices. They are behind one PCIe-to-PCI bridge, so
 * the IOMMU cannot tell them apart. Both must have the same owner and the same IOAS.
 */
#include <pthread.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define ROUNDS 300

/* A day: this machine's speed decides on no test. The VM's script ends one that hangs. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 86400

#define PAGE 4096UL
#define IOVA 0x400000UL
#define MSI 0xfee00000UL

FIXTURE(group) {
	int64_t pins;
	int fd;
	struct vfio_dev a;
	struct vfio_dev b;
	uint32_t ioas;
	uint32_t ioas2;
	unsigned char *memory;	/* mapped at IOVA in @ioas */
	unsigned char *memory2;	/* mapped at IOVA in @ioas2 */
};

FIXTURE_SETUP(group)
{
	struct vfio_dev pair[2];

	ASSERT_EQ(0, setup_system());
	self->pins = pinned_pages();
	ASSERT_EQ(0, setup_edu_pair(pair));
	self->a = pair[0];
	self->b = pair[1];
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	self->memory = alloc_small(2 * PAGE);
	ASSERT_NE(NULL, self->memory);
	self->memory2 = self->memory + PAGE;
	memset(self->memory, 0, 2 * PAGE);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas2));
	ASSERT_EQ(0, iommufd_map_at(self->fd, self->ioas, self->memory, PAGE,
				    IOVA));
	ASSERT_EQ(0, iommufd_map_at(self->fd, self->ioas2, self->memory2, PAGE,
				    IOVA));
}

FIXTURE_TEARDOWN(group)
{
	vfio_dev_close(&self->a);
	vfio_dev_close(&self->b);
	close(self->fd);
	EXPECT_EQ(self->pins, pinned_pages());
}

static int attach(struct vfio_dev *dev, uint32_t pt_id)
{
	return vfio_dev_attach(dev, &pt_id);
}

static int bind(struct vfio_dev *dev, int fd)
{
	int rc = vfio_dev_bind(dev, fd);

	return rc ? rc : vfio_dev_enable(dev);
}

TEST_F(group, both_devices_are_in_it)
{
	EXPECT_LE(0, self->a.group);
	EXPECT_EQ(self->a.group, self->b.group);
	EXPECT_NE(0, strcmp(self->a.bdf, self->b.bdf));
}

TEST_F(group, both_devices_bind_to_one_file)
{
	EXPECT_EQ(0, bind(&self->a, self->fd));
	EXPECT_EQ(0, bind(&self->b, self->fd));
	EXPECT_NE(self->a.id, self->b.id);
}

TEST_F(group, bind_to_another_file_is_eperm)
{
	int other = iommufd_open();

	ASSERT_LE(0, other);
	ASSERT_EQ(0, bind(&self->a, self->fd));
	EXPECT_EQ(-EPERM, vfio_dev_bind(&self->b, other));
	ASSERT_EQ(0, vfio_dev_bind(&self->b, self->fd));

	/* The file owns the group as long as one of the devices is bound */
	vfio_dev_close(&self->a);
	ASSERT_EQ(0, vfio_dev_open(&self->a));
	EXPECT_EQ(-EPERM, vfio_dev_bind(&self->a, other));
	vfio_dev_close(&self->b);
	EXPECT_EQ(0, vfio_dev_bind(&self->a, other));
	close(other);
}

TEST_F(group, both_devices_use_one_ioas)
{
	uint32_t a = self->ioas, b = self->ioas;

	ASSERT_EQ(0, bind(&self->a, self->fd));
	ASSERT_EQ(0, bind(&self->b, self->fd));
	ASSERT_EQ(0, vfio_dev_attach(&self->a, &a));
	EXPECT_EQ(-EINVAL, attach(&self->b, self->ioas2));
	EXPECT_EQ(0, vfio_dev_attach(&self->b, &b));
	EXPECT_EQ(a, b);
	EXPECT_EQ(1, pinned_pages() - self->pins);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas2));
	EXPECT_TRUE(edu_reaches(&self->a, IOVA, self->memory, PAGE));
	EXPECT_TRUE(edu_reaches(&self->b, IOVA, self->memory, PAGE));
}

/* A refused attach neither reserves IOVAs in the second IOAS nor pins its memory */
TEST_F(group, refused_attach_has_no_effect)
{
	struct iommu_iova_range range;
	uint32_t num = 1;

	ASSERT_EQ(0, bind(&self->a, self->fd));
	ASSERT_EQ(0, bind(&self->b, self->fd));
	ASSERT_EQ(0, attach(&self->a, self->ioas));
	ASSERT_EQ(-EINVAL, attach(&self->b, self->ioas2));
	EXPECT_EQ(0, iommufd_iova_ranges(self->fd, self->ioas2, &range, &num,
					 NULL));
	EXPECT_EQ(UINT64_MAX, range.last);
	EXPECT_EQ(1, pinned_pages() - self->pins);
	vfio_dev_close(&self->a);
	EXPECT_EQ(0, attach(&self->b, self->ioas2));
	EXPECT_TRUE(edu_reaches(&self->b, IOVA, self->memory2, PAGE));
}

TEST_F(group, replace_applies_to_both)
{
	ASSERT_EQ(0, bind(&self->a, self->fd));
	ASSERT_EQ(0, bind(&self->b, self->fd));
	ASSERT_EQ(0, attach(&self->a, self->ioas));
	ASSERT_EQ(0, attach(&self->b, self->ioas));
	ASSERT_EQ(0, attach(&self->a, self->ioas2));
	EXPECT_TRUE(edu_reaches(&self->a, IOVA, self->memory2, PAGE));
	EXPECT_TRUE(edu_reaches(&self->b, IOVA, self->memory2, PAGE));
	EXPECT_EQ(1, pinned_pages() - self->pins);
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, attach(&self->b, self->ioas2));

	/* Detach in the opposite order */
	EXPECT_EQ(0, vfio_dev_detach(&self->b));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->ioas2));
	EXPECT_EQ(0, vfio_dev_detach(&self->a));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas2));
}

TEST_F(group, last_detach_unpins)
{
	ASSERT_EQ(0, bind(&self->a, self->fd));
	ASSERT_EQ(0, bind(&self->b, self->fd));
	ASSERT_EQ(0, attach(&self->a, self->ioas));
	ASSERT_EQ(0, attach(&self->b, self->ioas));
	ASSERT_EQ(0, vfio_dev_detach(&self->a));
	EXPECT_EQ(1, pinned_pages() - self->pins);
	EXPECT_EQ(-EINVAL, iommufd_map_at(self->fd, self->ioas, self->memory,
					  PAGE, MSI));
	EXPECT_TRUE(edu_reaches(&self->b, IOVA, self->memory, PAGE));

	/* The device can be attached again, to the IOAS of the other one only */
	EXPECT_EQ(-EINVAL, attach(&self->a, self->ioas2));
	EXPECT_EQ(0, attach(&self->a, self->ioas));
	vfio_dev_close(&self->b);
	EXPECT_TRUE(edu_reaches(&self->a, IOVA, self->memory, PAGE));
	ASSERT_EQ(0, vfio_dev_detach(&self->a));
	EXPECT_EQ(self->pins, pinned_pages());
	EXPECT_TRUE(edu_write_refused(&self->a, IOVA, self->memory, PAGE));
	EXPECT_EQ(0, iommufd_map_at(self->fd, self->ioas, self->memory, PAGE,
				    MSI));
}

/* The whole group uses the page table, also a device that is not attached itself */
TEST_F(group, attach_applies_to_the_whole_group)
{
	ASSERT_EQ(0, bind(&self->a, self->fd));
	ASSERT_EQ(0, bind(&self->b, self->fd));
	EXPECT_TRUE(edu_write_refused(&self->b, IOVA, self->memory, PAGE));
	ASSERT_EQ(0, attach(&self->a, self->ioas));
	EXPECT_TRUE(edu_reaches(&self->b, IOVA, self->memory, PAGE));
}

TEST_F(group, failed_replace_has_no_effect)
{
	ASSERT_EQ(0, bind(&self->a, self->fd));
	ASSERT_EQ(0, bind(&self->b, self->fd));
	ASSERT_EQ(0, attach(&self->a, self->ioas));
	ASSERT_EQ(0, attach(&self->b, self->ioas));
	ASSERT_EQ(0, iommufd_map_at(self->fd, self->ioas2, self->memory, PAGE,
				    MSI));
	EXPECT_EQ(-EADDRINUSE, attach(&self->b, self->ioas2));
	EXPECT_TRUE(edu_reaches(&self->a, IOVA, self->memory, PAGE));
	EXPECT_TRUE(edu_reaches(&self->b, IOVA, self->memory, PAGE));
	EXPECT_EQ(-EINVAL, iommufd_map_at(self->fd, self->ioas, self->memory,
					  PAGE, MSI));
}

struct attacher {
	struct vfio_dev *dev;
	uint32_t ioas[2];
	int unexpected;
};

/*
 * Attaches the device to both IOASes in turn, and detaches it now and then. -EINVAL is
 * expected while the other device of the group is attached to the other IOAS.
 */
static void *attach_repeatedly(void *arg)
{
	struct attacher *a = arg;

	for (int i = 0; i < ROUNDS && !a->unexpected; i++) {
		int rc = attach(a->dev, a->ioas[i % 2]);

		if (rc && rc != -EINVAL)
			a->unexpected = rc;
		if (i % 3 == 0)
			vfio_dev_detach(a->dev);
	}
	vfio_dev_detach(a->dev);
	return NULL;
}

TEST_F(group, concurrent_attach_and_detach)
{
	struct attacher a = { &self->a, { self->ioas, self->ioas2 }, 0 };
	struct attacher b = { &self->b, { self->ioas2, self->ioas }, 0 };
	pthread_t thread;

	ASSERT_EQ(0, bind(&self->a, self->fd));
	ASSERT_EQ(0, bind(&self->b, self->fd));
	ASSERT_EQ(0, pthread_create(&thread, NULL, attach_repeatedly, &a));
	attach_repeatedly(&b);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, a.unexpected);
	EXPECT_EQ(0, b.unexpected);
	/* All page tables have been freed */
	EXPECT_EQ(0, pinned_pages() - self->pins);
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas2));
}

TEST_F(group, closing_iommufd_first)
{
	ASSERT_EQ(0, bind(&self->a, self->fd));
	ASSERT_EQ(0, bind(&self->b, self->fd));
	ASSERT_EQ(0, attach(&self->a, self->ioas));
	ASSERT_EQ(0, attach(&self->b, self->ioas));
	ASSERT_EQ(0, close(self->fd));
	self->fd = -1;
	vfio_dev_close(&self->a);
	EXPECT_TRUE(edu_reaches(&self->b, IOVA, self->memory, PAGE));
	vfio_dev_close(&self->b);
	EXPECT_EQ(self->pins, pinned_pages());
}

TEST_HARNESS_MAIN
