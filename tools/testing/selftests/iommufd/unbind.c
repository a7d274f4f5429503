// SPDX-License-Identifier: GPL-2.0
/*
 * A device can be unbound at any time, whatever user space does meanwhile. Here a
 * command on the device is stopped in the middle: it touches memory whose faults
 * this test answers itself, with userfaultfd, and does not answer. Closing the
 * device must not wait for it, although it waits for calls that use the device:
 * for a minute, after which the device would be left behind.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define PAGE 4096UL
#define IOVA 0x300000UL
#define FAULT_MS 30000
#define AT_ONCE_MS 10000
#define TIMEOUT_S 120

FIXTURE(unbind) {
	struct rig rig;
	int faults;	/* the userfaultfd */
	void *page;	/* whose faults it reports */
};

/* A command that another thread carries out */
struct call {
	pthread_t thread;
	int fd;
	unsigned long code;
	void *arg;
	int rc;
};

static void *carry_out(void *arg)
{
	struct call *call = arg;

	call->rc = ioctl_errno(call->fd, call->code, call->arg);
	return NULL;
}

static int start(struct call *call)
{
	return -pthread_create(&call->thread, NULL, carry_out, call);
}

static int finish(struct call *call)
{
	int rc = -pthread_join(call->thread, NULL);

	return rc ? rc : call->rc;
}

static int open_faults(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api)) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

/* Reports faults on the page: all until it is there, or those of writing to it */
static int report(int faults, void *page, uint64_t mode)
{
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)page, .len = PAGE },
		.mode = mode,
	};

	return ioctl_errno(faults, UFFDIO_REGISTER, &range);
}

static int write_protect(int faults, void *page, bool protect)
{
	struct uffdio_writeprotect range = {
		.range = { .start = (uintptr_t)page, .len = PAGE },
		.mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl_errno(faults, UFFDIO_WRITEPROTECT, &range);
}

/* Lets whatever waits for the page go on: it is there, and empty */
static int provide(int faults, void *page)
{
	struct uffdio_zeropage range = {
		.range = { .start = (uintptr_t)page, .len = PAGE },
	};

	return ioctl_errno(faults, UFFDIO_ZEROPAGE, &range);
}

/* Waits until a thread is stopped at the page; whether one is */
static bool is_stopped(int faults, const void *page)
{
	struct pollfd ready = { .fd = faults, .events = POLLIN };
	struct uffd_msg msg;

	return poll(&ready, 1, FAULT_MS) == 1 &&
	       read(faults, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT &&
	       (msg.arg.pagefault.address & ~(PAGE - 1)) == (uintptr_t)page;
}

/* Unbinds the device; how long that took, in milliseconds */
static int64_t close_device(struct vfio_dev *dev)
{
	struct timespec begin, end;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	vfio_dev_close(dev);
	clock_gettime(CLOCK_MONOTONIC, &end);
	return (end.tv_sec - begin.tv_sec) * 1000 +
	       (end.tv_nsec - begin.tv_nsec) / 1000000;
}

FIXTURE_SETUP(unbind)
{
	ASSERT_EQ(0, rig_open(&self->rig));
	self->page = alloc_small(PAGE);
	ASSERT_NE(NULL, self->page);
	self->faults = open_faults();
	ASSERT_LE(0, self->faults);
}

FIXTURE_TEARDOWN(unbind)
{
	close(self->faults);
	rig_close(&self->rig);
	EXPECT_EQ(0, rig_pins(&self->rig));
}

/* A page table is filled with memory that is not there yet, and pins it */
TEST_F_TIMEOUT(unbind, while_a_page_table_is_filled, TIMEOUT_S)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = self->rig.edu.id,
		.pt_id = self->rig.ioas,
	};
	struct call call = {
		.fd = self->rig.fd,
		.code = IOMMU_HWPT_ALLOC,
		.arg = &cmd,
	};
	int fd = self->rig.fd;

	ASSERT_EQ(0, report(self->faults, self->page, UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_EQ(0, iommufd_map_at(fd, self->rig.ioas, self->page, PAGE, IOVA));
	ASSERT_EQ(0, start(&call));
	ASSERT_TRUE(is_stopped(self->faults, self->page));
	EXPECT_GT(AT_ONCE_MS, close_device(&self->rig.edu));
	EXPECT_EQ(-ENOENT, iommufd_destroy(fd, cmd.dev_id));

	/* It goes on without the device. */
	ASSERT_EQ(0, provide(self->faults, self->page));
	ASSERT_EQ(0, finish(&call));
	EXPECT_EQ(1, rig_pins(&self->rig));
	EXPECT_EQ(0, iommufd_destroy(fd, cmd.out_hwpt_id));
	EXPECT_EQ(0, rig_pins(&self->rig));

	/* The device is free again, and as good as before. */
	ASSERT_EQ(0, setup_edu(&self->rig.edu, fd));
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	EXPECT_TRUE(edu_reaches(&self->rig.edu, IOVA, self->page, PAGE));
}

/* The hardware's description is copied to memory that is not there yet */
TEST_F_TIMEOUT(unbind, while_hardware_is_described, TIMEOUT_S)
{
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = self->rig.edu.id,
		.data_len = PAGE,
		.data_uptr = (uintptr_t)self->page,
	};
	struct call call = {
		.fd = self->rig.fd,
		.code = IOMMU_GET_HW_INFO,
		.arg = &cmd,
	};

	ASSERT_EQ(0, report(self->faults, self->page, UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_EQ(0, start(&call));
	ASSERT_TRUE(is_stopped(self->faults, self->page));
	EXPECT_GT(AT_ONCE_MS, close_device(&self->rig.edu));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->rig.fd, cmd.dev_id));

	ASSERT_EQ(0, provide(self->faults, self->page));
	ASSERT_EQ(0, finish(&call));
	EXPECT_EQ(0, setup_edu(&self->rig.edu, self->rig.fd));
}

/*
 * The answer is written to memory that is write-protected, and the device is
 * attached: what it is attached to goes with it.
 */
TEST_F_TIMEOUT(unbind, while_a_page_table_is_announced, TIMEOUT_S)
{
	struct iommu_hwpt_alloc *cmd = self->page;
	struct call call = {
		.fd = self->rig.fd,
		.code = IOMMU_HWPT_ALLOC,
		.arg = cmd,
	};

	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	*cmd = (struct iommu_hwpt_alloc) {
		.size = sizeof(*cmd),
		.dev_id = self->rig.edu.id,
		.pt_id = self->rig.ioas,
	};
	ASSERT_EQ(0, report(self->faults, self->page, UFFDIO_REGISTER_MODE_WP));
	ASSERT_EQ(0, write_protect(self->faults, self->page, true));
	ASSERT_EQ(0, start(&call));
	ASSERT_TRUE(is_stopped(self->faults, self->page));
	EXPECT_GT(AT_ONCE_MS, close_device(&self->rig.edu));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->rig.fd, cmd->dev_id));

	ASSERT_EQ(0, write_protect(self->faults, self->page, false));
	ASSERT_EQ(0, finish(&call));
	EXPECT_EQ(0, iommufd_destroy(self->rig.fd, cmd->out_hwpt_id));
	EXPECT_EQ(0, iommufd_destroy(self->rig.fd, self->rig.ioas));
}

TEST_HARNESS_MAIN
