// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of attaching PASIDs, on mock devices: the rules about page tables, the errors, and
 * that an error changes nothing.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "system.h"

#define TEST_CMD _IO(IOMMUFD_TYPE, 0xa0)
#define OP_DEVICE_REPLACE 10
#define OP_DEVICE_CREATE_FLAGS 12
#define OP_PASID_ATTACH 18
#define OP_PASID_REPLACE 19
#define OP_PASID_DETACH 20
#define OP_PASID_CHECK 21
#define DEVICE_PASID (1 << 2)
#define PASID_WIDTH 20

/* The mock IOMMU fails every second time that this one is attached. */
#define FAILING_PASID 1024
#define NO_PASID 0
#define UNKNOWN_ID 0x7fffffff
/* Enough for a fan-out of the structures that have them */
#define MANY 300
/* More than the allocations of a command, so that a loop without end fails */
#define LIMIT 200

#define DEBUGFS "/sys/kernel/debug/"

struct test_cmd {
	uint32_t size;
	uint32_t op;
	uint32_t id;
	uint32_t reserved;
	union {
		struct {
			uint32_t stdev;
			uint32_t hwpt;
			uint32_t device;
			uint32_t flags;
		} create;
		struct {
			uint32_t pt;
		} replace;
		struct {
			uint32_t pasid;
			uint32_t pt;
		} pasid;
		uint8_t unused[48];
	};
	uint32_t last;
};

struct mock {
	uint32_t stdev;
	uint32_t device;
};

FIXTURE(pasid) {
	int fd;
	uint32_t ioas;
	struct mock mock;
	uint32_t plain;		/* page tables: not compatible with PASIDs, */
	uint32_t a, b;		/* and compatible ones */
};

static int pasid_op(int fd, uint32_t op, uint32_t stdev, uint32_t pasid, uint32_t *pt)
{
	struct test_cmd cmd = {
		.size = sizeof(cmd), .op = op, .id = stdev,
		.pasid = { .pasid = pasid, .pt = *pt },
	};
	int rc = ioctl_errno(fd, TEST_CMD, &cmd);

	*pt = cmd.pasid.pt;
	return rc;
}

static int attach(int fd, uint32_t stdev, uint32_t pasid, uint32_t pt)
{
	return pasid_op(fd, OP_PASID_ATTACH, stdev, pasid, &pt);
}

static int replace(int fd, uint32_t stdev, uint32_t pasid, uint32_t pt)
{
	return pasid_op(fd, OP_PASID_REPLACE, stdev, pasid, &pt);
}

static int detach(int fd, uint32_t stdev, uint32_t pasid)
{
	uint32_t none = 0;

	return pasid_op(fd, OP_PASID_DETACH, stdev, pasid, &none);
}

/* Checks that a PASID is attached to a page table; to none, if that is 0 */
static int check(int fd, uint32_t stdev, uint32_t pasid, uint32_t pt)
{
	return pasid_op(fd, OP_PASID_CHECK, stdev, pasid, &pt);
}

static int create(int fd, uint32_t ioas, uint32_t flags, struct mock *mock)
{
	struct test_cmd cmd = {
		.size = sizeof(cmd), .op = OP_DEVICE_CREATE_FLAGS, .id = ioas,
		.create = { .flags = flags },
	};
	int rc = ioctl_errno(fd, TEST_CMD, &cmd);

	*mock = (struct mock) { .stdev = cmd.create.stdev, .device = cmd.create.device };
	return rc;
}

static int hwpt_alloc(int fd, uint32_t device, uint32_t ioas, uint32_t flags, uint32_t *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd), .flags = flags, .dev_id = device, .pt_id = ioas,
	};
	int rc = ioctl_errno(fd, IOMMU_HWPT_ALLOC, &cmd);

	*hwpt = cmd.out_hwpt_id;
	return rc;
}

#define ATTACH(pasid, pt) attach(self->fd, self->mock.stdev, pasid, pt)
#define REPLACE(pasid, pt) replace(self->fd, self->mock.stdev, pasid, pt)
#define DETACH(pasid) detach(self->fd, self->mock.stdev, pasid)
#define CHECK(pasid, pt) check(self->fd, self->mock.stdev, pasid, pt)

FIXTURE_SETUP(pasid)
{
	ASSERT_EQ(0, load_modules());
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, iommufd_ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, create(self->fd, self->ioas, DEVICE_PASID, &self->mock));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->mock.device, self->ioas, 0, &self->plain));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->mock.device, self->ioas, IOMMU_HWPT_ALLOC_PASID,
				&self->a));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->mock.device, self->ioas, IOMMU_HWPT_ALLOC_PASID,
				&self->b));
	ASSERT_EQ(0, REPLACE(NO_PASID, self->a));
}

FIXTURE_TEARDOWN(pasid)
{
	if (self->fd >= 0)
		close(self->fd);
}

static int max_pasid_log2(int fd, uint32_t device, uint8_t *width)
{
	struct iommu_hw_info info = { .size = sizeof(info), .dev_id = device };
	int rc = ioctl_errno(fd, IOMMU_GET_HW_INFO, &info);

	*width = info.out_max_pasid_log2;
	return rc;
}

TEST_F(pasid, width)
{
	struct mock none;
	uint8_t width;

	ASSERT_EQ(0, max_pasid_log2(self->fd, self->mock.device, &width));
	EXPECT_EQ(PASID_WIDTH, width);
	ASSERT_EQ(0, create(self->fd, self->ioas, 0, &none));
	ASSERT_EQ(0, max_pasid_log2(self->fd, none.device, &width));
	EXPECT_EQ(0, width);

	EXPECT_EQ(0, ATTACH((1 << PASID_WIDTH) - 1, self->b));
	EXPECT_EQ(-EINVAL, ATTACH(1 << PASID_WIDTH, self->b));
	EXPECT_EQ(-EINVAL, ATTACH(UINT32_MAX, self->b));
	EXPECT_EQ(-EINVAL, REPLACE(1 << PASID_WIDTH, self->b));
	EXPECT_EQ(0, DETACH(1 << PASID_WIDTH));
	EXPECT_EQ(0, CHECK(1 << PASID_WIDTH, 0));
	EXPECT_EQ(0, CHECK((1 << PASID_WIDTH) - 1, self->b));
}

TEST_F(pasid, page_table_of_pasid)
{
	EXPECT_EQ(-EINVAL, ATTACH(1, self->plain));
	EXPECT_EQ(-EINVAL, ATTACH(1, self->ioas));
	EXPECT_EQ(0, CHECK(1, 0));

	ASSERT_EQ(0, ATTACH(1, self->b));
	EXPECT_EQ(-EINVAL, REPLACE(1, self->plain));
	EXPECT_EQ(-EINVAL, REPLACE(1, self->ioas));
	EXPECT_EQ(-EBUSY, ATTACH(1, self->plain));
	EXPECT_EQ(-EBUSY, ATTACH(1, self->ioas));
	EXPECT_EQ(0, CHECK(1, self->b));
	EXPECT_EQ(0, CHECK(2, 0));
}

/* The page table of other requests is compatible as well while a PASID is attached */
TEST_F(pasid, page_table_of_device)
{
	struct test_cmd cmd = {
		.size = sizeof(cmd), .op = OP_DEVICE_REPLACE, .id = self->mock.stdev,
		.replace = { .pt = self->plain },
	};

	ASSERT_EQ(0, ioctl_errno(self->fd, TEST_CMD, &cmd));
	EXPECT_EQ(-EINVAL, ATTACH(1, self->a));
	EXPECT_EQ(0, CHECK(1, 0));

	ASSERT_EQ(0, REPLACE(NO_PASID, self->a));
	ASSERT_EQ(0, ATTACH(1, self->a));
	EXPECT_EQ(-EINVAL, ioctl_errno(self->fd, TEST_CMD, &cmd));
	EXPECT_EQ(0, CHECK(NO_PASID, self->a));
	EXPECT_EQ(0, REPLACE(NO_PASID, self->b));
	EXPECT_EQ(0, CHECK(1, self->a));
	EXPECT_EQ(0, CHECK(NO_PASID, self->b));

	ASSERT_EQ(0, DETACH(1));
	EXPECT_EQ(0, ioctl_errno(self->fd, TEST_CMD, &cmd));
	EXPECT_EQ(0, CHECK(NO_PASID, self->plain));
}

TEST_F(pasid, ids)
{
	uint32_t gone = self->b;
	uint32_t op[] = { OP_PASID_ATTACH, OP_PASID_REPLACE };

	ASSERT_EQ(0, ATTACH(2, self->a));
	ASSERT_EQ(0, iommufd_destroy(self->fd, gone));
	for (size_t i = 0; i < ARRAY_SIZE(op); i++) {
		uint32_t pasid = op[i] == OP_PASID_ATTACH ? 1 : 2;
		uint32_t pt;

		pt = gone;
		EXPECT_EQ(-ENOENT, pasid_op(self->fd, op[i], self->mock.stdev, pasid, &pt));
		pt = UNKNOWN_ID;
		EXPECT_EQ(-ENOENT, pasid_op(self->fd, op[i], self->mock.stdev, pasid, &pt));
		pt = 0;
		EXPECT_EQ(-ENOENT, pasid_op(self->fd, op[i], self->mock.stdev, pasid, &pt));
		pt = self->mock.device;
		EXPECT_EQ(-EINVAL, pasid_op(self->fd, op[i], self->mock.stdev, pasid, &pt));
		pt = self->a;
		EXPECT_EQ(-ENOENT, pasid_op(self->fd, op[i], UNKNOWN_ID, pasid, &pt));
		EXPECT_EQ(-ENOENT, pasid_op(self->fd, op[i], self->ioas, pasid, &pt));
	}
	EXPECT_EQ(0, CHECK(1, 0));
	EXPECT_EQ(0, CHECK(2, self->a));
	EXPECT_EQ(-EINVAL, CHECK(2, self->plain));
	EXPECT_EQ(-EINVAL, CHECK(2, 0));
}

TEST_F(pasid, order)
{
	EXPECT_EQ(0, DETACH(1));
	EXPECT_EQ(-EINVAL, REPLACE(1, self->a));
	EXPECT_EQ(0, CHECK(1, 0));

	ASSERT_EQ(0, ATTACH(1, self->b));
	EXPECT_EQ(-EBUSY, ATTACH(1, self->b));
	EXPECT_EQ(-EBUSY, ATTACH(1, self->a));
	EXPECT_EQ(0, REPLACE(1, self->b));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->b));
	EXPECT_EQ(0, REPLACE(1, self->a));
	EXPECT_EQ(0, CHECK(1, self->a));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->b));

	EXPECT_EQ(0, DETACH(1));
	EXPECT_EQ(0, DETACH(1));
	EXPECT_EQ(0, CHECK(1, 0));
	EXPECT_EQ(0, CHECK(NO_PASID, self->a));
	EXPECT_EQ(-EBUSY, ATTACH(NO_PASID, self->a));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->a));
}

/* Requests without a PASID are attached and detached independently of PASIDs */
TEST_F(pasid, without_device)
{
	ASSERT_EQ(0, ATTACH(1, self->b));
	ASSERT_EQ(0, DETACH(NO_PASID));
	EXPECT_EQ(0, CHECK(NO_PASID, 0));
	EXPECT_EQ(0, CHECK(1, self->b));
	EXPECT_EQ(0, ATTACH(2, self->a));

	EXPECT_EQ(-EINVAL, ATTACH(NO_PASID, self->plain));
	EXPECT_EQ(-EINVAL, ATTACH(NO_PASID, self->ioas));
	EXPECT_EQ(0, CHECK(NO_PASID, 0));
	EXPECT_EQ(0, ATTACH(NO_PASID, self->a));
	ASSERT_EQ(0, DETACH(NO_PASID));

	ASSERT_EQ(0, DETACH(1));
	ASSERT_EQ(0, DETACH(2));
	EXPECT_EQ(0, ATTACH(NO_PASID, self->ioas));
}

TEST_F(pasid, failing_driver)
{
	ASSERT_EQ(0, ATTACH(FAILING_PASID, self->a));
	EXPECT_EQ(-ENOMEM, REPLACE(FAILING_PASID, self->b));
	EXPECT_EQ(0, CHECK(FAILING_PASID, self->a));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->b));
	ASSERT_EQ(0, DETACH(FAILING_PASID));
	EXPECT_EQ(0, CHECK(FAILING_PASID, 0));
	EXPECT_EQ(0, ATTACH(FAILING_PASID, self->a));
}

TEST_F(pasid, device_without_pasids)
{
	struct mock none;

	ASSERT_EQ(0, create(self->fd, self->ioas, 0, &none));
	EXPECT_EQ(-EINVAL, attach(self->fd, none.stdev, 1, self->a));
	EXPECT_EQ(0, check(self->fd, none.stdev, 1, 0));

	/* A compatible page table does not need PASIDs */
	ASSERT_EQ(0, replace(self->fd, none.stdev, NO_PASID, self->a));
	EXPECT_EQ(-EINVAL, attach(self->fd, none.stdev, 1, self->a));
	EXPECT_EQ(0, check(self->fd, none.stdev, 1, 0));
}

TEST_F(pasid, device_goes)
{
	for (uint32_t pasid = 1; pasid <= MANY; pasid++)
		ASSERT_EQ(0, ATTACH(pasid, pasid % 2 ? self->a : self->b));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->b));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->mock.device));
	ASSERT_EQ(0, iommufd_destroy(self->fd, self->mock.stdev));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->a));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->b));
}

TEST_F(pasid, file_closed)
{
	for (uint32_t pasid = 1; pasid <= MANY; pasid++)
		ASSERT_EQ(0, ATTACH(pasid, self->b));
	ASSERT_EQ(0, DETACH(NO_PASID));
	ASSERT_EQ(0, close(self->fd));
	self->fd = -1;
}

/* Makes the n-th allocation of this thread fail; returns the number left, or an error */
static int fail_nth(int fd, int n)
{
	char text[16];
	ssize_t length;
	int left = -1;

	length = pread(fd, text, sizeof(text) - 1, 0);
	if (length > 0) {
		text[length] = 0;
		left = atoi(text);
	}
	length = snprintf(text, sizeof(text), "%d", n);
	return pwrite(fd, text, length, 0) == length ? left : -1;
}

static bool write_file(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY);
	bool done = fd >= 0 && write(fd, value, strlen(value)) > 0;

	if (fd >= 0)
		close(fd);
	return done;
}

TEST_F(pasid, fail_nth)
{
	static const uint32_t op[] = { OP_PASID_ATTACH, OP_PASID_REPLACE, OP_PASID_DETACH };
	int fd, failed[ARRAY_SIZE(op)] = {};

	if (!write_file(DEBUGFS "failslab/ignore-gfp-wait", "N"))
		SKIP(return, "no failslab");
	write_file(DEBUGFS "failslab/verbose", "0");
	write_file(DEBUGFS "fail_iommufd/verbose", "0");
	fd = open("/proc/thread-self/fail-nth", O_RDWR);
	ASSERT_LE(0, fd);

	for (size_t i = 0; i < ARRAY_SIZE(op); i++) {
		uint32_t before = i == 0 ? 0 : i == 1 ? self->a : self->b;
		uint32_t after = i == 0 ? self->a : i == 1 ? self->b : 0;

		for (int n = 1;; n++) {
			uint32_t pt = after;
			int rc, left;

			ASSERT_GT(LIMIT, n);
			ASSERT_LE(0, fail_nth(fd, n));
			rc = pasid_op(self->fd, op[i], self->mock.stdev, 7, &pt);
			left = fail_nth(fd, 0);
			if (!rc) {
				/* Left over, if there was no n-th allocation */
				ASSERT_LE(0, left);
				break;
			}
			/* Looking up an object can be made to fail as well */
			if (rc != -ENOENT)
				ASSERT_EQ(-ENOMEM, rc);
			ASSERT_EQ(0, left);
			ASSERT_EQ(0, CHECK(7, before));
			failed[i]++;
		}
		ASSERT_EQ(0, CHECK(7, after));
	}
	EXPECT_LT(1, failed[0]);
	EXPECT_LT(1, failed[1]);
	/* Only looking up the device */
	EXPECT_GE(1, failed[2]);
	close(fd);
}

TEST_HARNESS_MAIN
