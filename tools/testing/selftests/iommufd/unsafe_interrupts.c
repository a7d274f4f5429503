// SPDX-License-Identifier: GPL-2.0
/*
 * Tests for a machine without interrupt remapping, where a device that can do DMA can
 * raise any interrupt. Binding such a device is refused unless the module parameter
 * allow_unsafe_interrupts allows it. The parameter can be changed at any time.
 */
#include <sys/stat.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define PAGE 4096UL
#define IOVA 0x400000UL

FIXTURE(unsafe_interrupts) {
	int before;	/* value of the parameter before the test */
	int fd;
	struct vfio_dev edu;
};

FIXTURE_SETUP(unsafe_interrupts)
{
	ASSERT_EQ(0, load_modules());
	self->before = get_unsafe_interrupts();
	ASSERT_LT(0, self->before);
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, vfio_dev_find_single(&self->edu, EDU_VENDOR, EDU_DEVICE));
	ASSERT_EQ(0, vfio_dev_claim(&self->edu));
	ASSERT_EQ(0, vfio_dev_open(&self->edu));
}

FIXTURE_TEARDOWN(unsafe_interrupts)
{
	vfio_dev_close(&self->edu);
	close(self->fd);
	EXPECT_EQ(0, set_unsafe_interrupts(self->before == 'Y'));
}

TEST_F(unsafe_interrupts, off_by_default_and_writable_by_root_only)
{
	struct stat st;

	EXPECT_EQ('N', self->before);
	ASSERT_EQ(0, stat(UNSAFE_INTERRUPTS, &st));
	EXPECT_EQ(0644, st.st_mode & 07777);
}

TEST_F(unsafe_interrupts, bind_is_eperm_without_permission)
{
	ASSERT_EQ(0, set_unsafe_interrupts(false));
	EXPECT_EQ(-EPERM, vfio_dev_bind(&self->edu, self->fd));
	EXPECT_EQ(-EPERM, vfio_dev_bind(&self->edu, self->fd));
}

/* A refused bind neither owns the group nor uses an object ID */
TEST_F(unsafe_interrupts, refused_bind_has_no_effect)
{
	int other = iommufd_open();
	uint32_t id;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, set_unsafe_interrupts(false));
	ASSERT_EQ(-EPERM, vfio_dev_bind(&self->edu, self->fd));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &id));
	EXPECT_EQ(1, id);
	ASSERT_EQ(0, set_unsafe_interrupts(true));
	EXPECT_EQ(0, vfio_dev_bind(&self->edu, other));
	close(other);
}

TEST_F(unsafe_interrupts, parameter_is_read_at_each_bind)
{
	void *memory = alloc_small(PAGE);
	uint32_t ioas;

	ASSERT_NE(NULL, memory);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, iommufd_map_at(self->fd, ioas, memory, PAGE, IOVA));
	ASSERT_EQ(0, set_unsafe_interrupts(true));
	EXPECT_EQ('Y', get_unsafe_interrupts());
	ASSERT_EQ(0, vfio_dev_bind(&self->edu, self->fd));
	ASSERT_EQ(0, vfio_dev_enable(&self->edu));

	/* A device that is bound already can still be attached */
	ASSERT_EQ(0, set_unsafe_interrupts(false));
	EXPECT_EQ('N', get_unsafe_interrupts());
	ASSERT_EQ(0, vfio_dev_attach(&self->edu, &ioas));
	EXPECT_TRUE(edu_reaches(&self->edu, IOVA, memory, PAGE));

	vfio_dev_close(&self->edu);
	ASSERT_EQ(0, vfio_dev_open(&self->edu));
	EXPECT_EQ(-EPERM, vfio_dev_bind(&self->edu, self->fd));
}

TEST_HARNESS_MAIN
