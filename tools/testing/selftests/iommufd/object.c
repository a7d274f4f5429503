// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of objects: their IDs, lookup by ID and type, destroying objects in use and
 * others, and closing files in any order while objects exist.
 */
#include <fcntl.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define PAGE 4096UL
#define PAGES 4
#define IOVA 0x200000UL
#define UNKNOWN_ID 0x7ffffff0

static int map(int fd, uint32_t id, const void *va)
{
	return iommufd_map_at(fd, id, va, PAGE, IOVA);
}

static int iova_ranges(int fd, uint32_t id)
{
	struct iommu_iova_range range;
	uint32_t num = 1;

	return iommufd_iova_ranges(fd, id, &range, &num, NULL);
}

FIXTURE(ids) {
	int fd;
	void *memory;
};

FIXTURE_SETUP(ids)
{
	ASSERT_EQ(0, load_modules());
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	self->memory = alloc_small(PAGE);
	ASSERT_NE(NULL, self->memory);
}

FIXTURE_TEARDOWN(ids)
{
	close(self->fd);
}

TEST_F(ids, lowest_free_id_is_used)
{
	uint32_t id;

	for (uint32_t i = 1; i <= 100; i++) {
		ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &id));
		EXPECT_EQ(i, id);
	}
	ASSERT_EQ(0, iommufd_destroy(self->fd, 50));
	ASSERT_EQ(0, iommufd_destroy(self->fd, 7));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &id));
	EXPECT_EQ(7, id);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &id));
	EXPECT_EQ(50, id);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &id));
	EXPECT_EQ(101, id);
}

TEST_F(ids, unknown_ids_are_enoent)
{
	uint32_t unknown[] = { 0, 2, UNKNOWN_ID, 0x80000000, UINT32_MAX };
	uint32_t ioas;

	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(1, ioas);
	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		EXPECT_EQ(-ENOENT, iommufd_destroy(self->fd, unknown[i]));
		EXPECT_EQ(-ENOENT, map(self->fd, unknown[i], self->memory));
		EXPECT_EQ(-ENOENT, iommufd_unmap(self->fd, unknown[i], IOVA,
						 PAGE, NULL));
		EXPECT_EQ(-ENOENT, iommufd_unmap_all(self->fd, unknown[i],
						     NULL));
		EXPECT_EQ(-ENOENT, iova_ranges(self->fd, unknown[i]));
	}
}

TEST_F(ids, ids_of_destroyed_objects_are_enoent)
{
	uint32_t ioas;

	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, map(self->fd, ioas, self->memory));
	EXPECT_EQ(0, iommufd_destroy(self->fd, ioas));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->fd, ioas));
	EXPECT_EQ(-ENOENT, map(self->fd, ioas, self->memory));
}

TEST_F(ids, each_file_has_its_own_ids)
{
	int other = iommufd_open();
	uint32_t a, b, c;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &a));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &b));
	ASSERT_EQ(0, iommufd_ioas_alloc(other, &c));
	EXPECT_EQ(a, c);
	ASSERT_EQ(0, map(other, c, self->memory));
	EXPECT_EQ(-ENOENT, map(other, b, self->memory));
	EXPECT_EQ(-ENOENT, iommufd_unmap(self->fd, a, IOVA, PAGE, NULL));
	close(other);
}

TEST_F(ids, close_destroys_all_objects)
{
	uint32_t ioas;
	int fd;

	for (int round = 0; round < 20; round++) {
		fd = iommufd_open();
		ASSERT_LE(0, fd);
		for (int i = 0; i < 20; i++) {
			ASSERT_EQ(0, iommufd_ioas_alloc(fd, &ioas));
			ASSERT_EQ(0, map(fd, ioas, self->memory));
		}
		EXPECT_EQ(0, close(fd));
	}
}

/* Objects of an attached edu: a device, an IOAS with a mapping, an automatic HWPT */
FIXTURE(attached) {
	struct rig rig;
	uint32_t hwpt;
	unsigned char *memory;
};

FIXTURE_SETUP(attached)
{
	self->memory = alloc_small(PAGES * PAGE);
	ASSERT_NE(NULL, self->memory);
	ASSERT_EQ(0, rig_open(&self->rig));
	ASSERT_EQ(0, iommufd_map_at(self->rig.fd, self->rig.ioas, self->memory,
				    PAGES * PAGE, IOVA));
	self->hwpt = self->rig.ioas;
	ASSERT_EQ(0, vfio_dev_attach(&self->rig.edu, &self->hwpt));
	ASSERT_EQ(PAGES, rig_pins(&self->rig));
}

FIXTURE_TEARDOWN(attached)
{
	rig_close(&self->rig);
	EXPECT_EQ(0, rig_pins(&self->rig));
}

TEST_F(attached, each_object_has_a_different_id)
{
	EXPECT_NE(0, self->rig.edu.id);
	EXPECT_NE(self->rig.edu.id, self->rig.ioas);
	EXPECT_NE(self->hwpt, self->rig.ioas);
	EXPECT_NE(self->hwpt, self->rig.edu.id);
}

TEST_F(attached, wrong_type_is_enoent)
{
	uint32_t wrong[] = { self->rig.edu.id, self->hwpt };

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(-ENOENT, map(self->rig.fd, wrong[i], self->memory));
		EXPECT_EQ(-ENOENT, iommufd_unmap_all(self->rig.fd, wrong[i], NULL));
		EXPECT_EQ(-ENOENT, iova_ranges(self->rig.fd, wrong[i]));
	}
}

TEST_F(attached, destroy_of_objects_in_use_is_ebusy)
{
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->rig.fd, self->rig.ioas));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->rig.fd, self->hwpt));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->rig.fd, self->rig.edu.id));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, IOVA, self->memory, PAGE));
}

TEST_F(attached, detach_destroys_the_automatic_hwpt)
{
	EXPECT_EQ(0, vfio_dev_detach(&self->rig.edu));
	EXPECT_EQ(0, rig_pins(&self->rig));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->rig.fd, self->hwpt));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->rig.fd, self->rig.edu.id));
	EXPECT_EQ(0, iommufd_destroy(self->rig.fd, self->rig.ioas));
}

TEST_F(attached, unbinding_destroys_the_device)
{
	vfio_dev_close(&self->rig.edu);
	EXPECT_EQ(0, rig_pins(&self->rig));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->rig.fd, self->rig.edu.id));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->rig.fd, self->hwpt));
	EXPECT_EQ(0, iommufd_destroy(self->rig.fd, self->rig.ioas));
}

TEST_F(attached, attach_to_invalid_ids)
{
	uint32_t id;

	id = UNKNOWN_ID;
	EXPECT_EQ(-ENOENT, vfio_dev_attach(&self->rig.edu, &id));
	id = 0;
	EXPECT_EQ(-ENOENT, vfio_dev_attach(&self->rig.edu, &id));
	id = self->rig.edu.id;
	EXPECT_EQ(-EINVAL, vfio_dev_attach(&self->rig.edu, &id));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, IOVA, self->memory, PAGE));

	ASSERT_EQ(0, vfio_dev_detach(&self->rig.edu));
	id = UNKNOWN_ID;
	EXPECT_EQ(-ENOENT, vfio_dev_attach(&self->rig.edu, &id));
	id = self->rig.edu.id;
	EXPECT_EQ(-EINVAL, vfio_dev_attach(&self->rig.edu, &id));
	EXPECT_EQ(0, rig_pins(&self->rig));
}

TEST_F(attached, attach_to_the_same_ioas_again)
{
	uint32_t id = self->rig.ioas;

	EXPECT_EQ(0, vfio_dev_attach(&self->rig.edu, &id));
	EXPECT_EQ(self->hwpt, id);
	EXPECT_EQ(0, vfio_dev_attach(&self->rig.edu, &id));
	EXPECT_EQ(self->hwpt, id);
	EXPECT_EQ(PAGES, rig_pins(&self->rig));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, IOVA, self->memory, PAGE));
}

/* A bound device keeps the objects of the file alive, so its DMA goes on */
TEST_F(attached, close_iommufd_before_the_device)
{
	close(self->rig.fd);
	self->rig.fd = -1;
	EXPECT_EQ(PAGES, rig_pins(&self->rig));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, IOVA, self->memory, PAGE));
	vfio_dev_close(&self->rig.edu);
	EXPECT_EQ(0, rig_pins(&self->rig));
}

TEST_F(attached, close_the_device_before_iommufd)
{
	vfio_dev_close(&self->rig.edu);
	EXPECT_EQ(0, rig_pins(&self->rig));
	close(self->rig.fd);
	self->rig.fd = -1;
}

TEST_F(attached, bind_and_attach_repeatedly)
{
	for (int i = 0; i < 10; i++) {
		uint32_t id = self->rig.ioas;

		vfio_dev_close(&self->rig.edu);
		ASSERT_EQ(0, rig_pins(&self->rig));
		ASSERT_EQ(0, setup_edu(&self->rig.edu, self->rig.fd));
		ASSERT_EQ(0, vfio_dev_attach(&self->rig.edu, &id));
		ASSERT_EQ(PAGES, rig_pins(&self->rig));
	}
	EXPECT_TRUE(edu_reaches(&self->rig.edu, IOVA, self->memory, PAGE));
}

TEST_F(attached, bind_requires_an_iommufd)
{
	int null = open("/dev/null", O_RDWR);

	ASSERT_LE(0, null);
	vfio_dev_close(&self->rig.edu);
	ASSERT_EQ(0, vfio_dev_open(&self->rig.edu));
	EXPECT_EQ(-EBADFD, vfio_dev_bind(&self->rig.edu, null));
	close(null);
	EXPECT_EQ(-EBADF, vfio_dev_bind(&self->rig.edu, null));
	EXPECT_EQ(0, vfio_dev_bind(&self->rig.edu, self->rig.fd));
	EXPECT_EQ(-EINVAL, vfio_dev_bind(&self->rig.edu, self->rig.fd));
}

TEST_HARNESS_MAIN
