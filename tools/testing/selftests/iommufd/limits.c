// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the charge for pinned pages against RLIMIT_MEMLOCK: how much a user without
 * CAP_IPC_LOCK can pin, that a refused command leaves no pin or charge, and which user is
 * charged. Each test runs in its own process, so it need not restore limits and user IDs.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

#define PAGE 4096UL
#define LIMIT 8UL	/* pages */
#define PAGES (4 * LIMIT)
#define IOVA 0x400000UL
#define USER 1000
#define OTHER_USER 1001

FIXTURE(limits) {
	struct rig rig;
	struct vfio_dev testdev;
	char *memory;
};

/*
 * Changes to an ordinary user, after the devices have been opened. The saved user ID
 * stays 0, so that become_root() can change back.
 */
static int become_user(uid_t uid)
{
	return setresuid(uid, uid, 0);
}

static int become_root(void)
{
	return setresuid(0, 0, 0);
}

static int set_limit(unsigned long pages)
{
	struct rlimit lim = { pages * PAGE, pages * PAGE };

	return setrlimit(RLIMIT_MEMLOCK, &lim);
}

FIXTURE_SETUP(limits)
{
	self->testdev = (struct vfio_dev)VFIO_DEV_CLOSED;
	self->memory = alloc_small(PAGES * PAGE);
	ASSERT_NE(NULL, self->memory);
	memset(self->memory, 1, PAGES * PAGE);
	ASSERT_EQ(0, rig_open(&self->rig));
	ASSERT_EQ(0, set_limit(LIMIT));
}

FIXTURE_TEARDOWN(limits)
{
	ASSERT_EQ(0, become_root());
	vfio_dev_close(&self->testdev);
	rig_close(&self->rig);
	EXPECT_EQ(0, rig_pins(&self->rig));
	EXPECT_EQ(0, status_kib("VmPin"));
}

#define attach() rig_attach(&self->rig, self->rig.ioas)
#define map_at(offset, pages, iova) \
	iommufd_map_at(self->rig.fd, self->rig.ioas, \
		       self->memory + (offset) * PAGE, (pages) * PAGE, iova)
#define unmap(iova, pages) \
	iommufd_unmap(self->rig.fd, self->rig.ioas, iova, (pages) * PAGE, NULL)

/* Number of pinned pages; changes to root to read it */
static int64_t count_pins(struct rig *rig)
{
	uid_t uid = getuid();
	int64_t pins;

	if (become_root())
		return -1;
	pins = rig_pins(rig);
	return become_user(uid) ? -1 : pins;
}

TEST_F(limits, root_is_not_limited)
{
	ASSERT_EQ(0, attach());
	EXPECT_EQ(0, map_at(0, PAGES, IOVA));
	EXPECT_EQ(PAGES * PAGE / 1024, status_kib("VmPin"));
}

TEST_F(limits, exceeding_the_limit_is_enomem)
{
	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, become_user(USER));
	EXPECT_EQ(-ENOMEM, map_at(0, LIMIT + 1, IOVA));
	EXPECT_EQ(-ENOMEM, map_at(0, PAGES, IOVA));
	EXPECT_EQ(0, count_pins(&self->rig));
	EXPECT_EQ(0, status_kib("VmPin"));
	EXPECT_EQ(-ENOENT, unmap(IOVA, PAGES));
	EXPECT_EQ(0, map_at(0, LIMIT, IOVA));
	EXPECT_EQ(LIMIT, count_pins(&self->rig));
}

TEST_F(limits, mappings_are_added_up)
{
	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, become_user(USER));
	EXPECT_EQ(0, map_at(0, LIMIT - 1, IOVA));
	EXPECT_EQ(-ENOMEM, map_at(LIMIT, 2, IOVA + PAGES * PAGE));
	EXPECT_EQ(0, map_at(LIMIT, 1, IOVA + PAGES * PAGE));
	EXPECT_EQ(-ENOMEM, map_at(LIMIT + 1, 1, IOVA + 2 * PAGES * PAGE));
	/* Memory that is mapped again is charged again */
	EXPECT_EQ(-ENOMEM, map_at(0, 1, IOVA + 2 * PAGES * PAGE));
	EXPECT_EQ(LIMIT, count_pins(&self->rig));
}

TEST_F(limits, unmap_and_detach_release_the_charge)
{
	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, become_user(USER));
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, map_at(0, LIMIT, IOVA));
		ASSERT_EQ(-ENOMEM, map_at(LIMIT, 1, IOVA + PAGES * PAGE));
		ASSERT_EQ(0, unmap(IOVA, LIMIT));
	}
	ASSERT_EQ(0, map_at(0, LIMIT, IOVA));
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, vfio_dev_detach(&self->rig.edu));
		ASSERT_EQ(0, status_kib("VmPin"));
		ASSERT_EQ(0, attach());
	}
	EXPECT_EQ(-ENOMEM, map_at(LIMIT, 1, IOVA + PAGES * PAGE));
}

TEST_F(limits, attach_charges_existing_mappings)
{
	ASSERT_EQ(0, become_user(USER));
	ASSERT_EQ(0, map_at(0, LIMIT, IOVA));
	ASSERT_EQ(0, map_at(LIMIT, LIMIT, IOVA + LIMIT * PAGE));
	EXPECT_EQ(-ENOMEM, attach());
	EXPECT_EQ(0, count_pins(&self->rig));
	EXPECT_EQ(0, status_kib("VmPin"));
	EXPECT_EQ(0, unmap(IOVA, LIMIT));
	EXPECT_EQ(0, attach());
	EXPECT_EQ(LIMIT, count_pins(&self->rig));
}

/* The pages before the hole are pinned and charged first; the error must release them */
TEST_F(limits, failed_attach_releases_the_charge)
{
	uint32_t other;

	ASSERT_EQ(0, become_user(USER));
	ASSERT_EQ(0, map_at(0, LIMIT, IOVA));
	ASSERT_EQ(0, munmap(self->memory + (LIMIT - 1) * PAGE, PAGE));
	EXPECT_EQ(-EFAULT, attach());
	EXPECT_EQ(0, status_kib("VmPin"));

	ASSERT_EQ(0, iommufd_ioas_alloc(self->rig.fd, &other));
	ASSERT_EQ(0, rig_attach(&self->rig, other));
	EXPECT_EQ(0, iommufd_map_at(self->rig.fd, other,
				    self->memory + LIMIT * PAGE, LIMIT * PAGE,
				    IOVA));
}

/* The user that mapped the memory is charged, not the one that attaches the device */
TEST_F(limits, mappings_of_root_are_not_charged_to_the_user)
{
	ASSERT_EQ(0, map_at(0, PAGES, IOVA));
	ASSERT_EQ(0, become_user(USER));
	EXPECT_EQ(0, attach());
	EXPECT_EQ(0, iommufd_map_at(self->rig.fd, self->rig.ioas, self->memory,
				    LIMIT * PAGE, IOVA + PAGES * PAGE));
}

TEST_F(limits, all_files_share_the_limit)
{
	int fd = iommufd_open();
	uint32_t ioas;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, setup_testdev(&self->testdev, fd));
	ASSERT_EQ(0, iommufd_ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, vfio_dev_attach(&self->testdev, &(uint32_t){ ioas }));
	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, become_user(USER));
	EXPECT_EQ(0, map_at(0, LIMIT - 2, IOVA));
	EXPECT_EQ(-ENOMEM, iommufd_map_at(fd, ioas, self->memory, 3 * PAGE,
					  IOVA));
	EXPECT_EQ(0, iommufd_map_at(fd, ioas, self->memory, 2 * PAGE, IOVA));
	vfio_dev_close(&self->testdev);
	close(fd);
	EXPECT_EQ(0, map_at(0, 2, IOVA + PAGES * PAGE));
}

TEST_F(limits, each_user_has_a_limit)
{
	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, become_user(USER));
	ASSERT_EQ(0, map_at(0, LIMIT, IOVA));
	ASSERT_EQ(-ENOMEM, map_at(LIMIT, 1, IOVA + LIMIT * PAGE));
	ASSERT_EQ(0, become_root());
	ASSERT_EQ(0, become_user(OTHER_USER));
	EXPECT_EQ(0, map_at(LIMIT, LIMIT, IOVA + LIMIT * PAGE));
	EXPECT_EQ(-ENOMEM, map_at(0, 1, IOVA + PAGES * PAGE));
	/* Unmap by another user releases the charge of the user that mapped */
	ASSERT_EQ(0, unmap(IOVA, LIMIT));
	EXPECT_EQ(-ENOMEM, map_at(0, 1, IOVA + PAGES * PAGE));
	ASSERT_EQ(0, become_root());
	ASSERT_EQ(0, become_user(USER));
	EXPECT_EQ(0, map_at(0, LIMIT, IOVA));
}

/* The user is charged until the pages are unpinned, also after the process has exited */
TEST_F(limits, charge_remains_after_exit)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, attach());
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(become_user(USER) || map_at(0, LIMIT, IOVA));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_EQ(0, become_user(USER));
	EXPECT_EQ(-ENOMEM, map_at(0, 1, IOVA + PAGES * PAGE));
	EXPECT_EQ(0, unmap(IOVA, LIMIT));
	EXPECT_EQ(0, map_at(0, LIMIT, IOVA + PAGES * PAGE));
}

static int set_process_mode(int fd)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = IOMMU_OPTION_OP_SET,
		.val64 = 1,
	};

	return ioctl_errno(fd, IOMMU_OPTION, &cmd);
}

static int map_file(int iommufd, uint32_t ioas, int fd, unsigned long pages)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | MAP_RW,
		.ioas_id = ioas,
		.fd = fd,
		.length = pages * PAGE,
		.iova = IOVA,
	};

	return ioctl_errno(iommufd, IOMMU_IOAS_MAP_FILE, &cmd);
}

struct part {
	uint32_t ioas;
	unsigned long pages;
};

/* By an ordinary user whose process is gone when this returns */
static int map_files_and_exit(int iommufd, int fd, const struct part *parts, int count)
{
	pid_t pid = fork();
	int status, rc;

	if (!pid) {
		rc = become_user(USER);
		for (int i = 0; !rc && i < count; i++)
			rc = map_file(iommufd, parts[i].ioas, fd, parts[i].pages);
		_exit(!!rc);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return status ? -EPROTO : 0;
}

/*
 * A file outlives the process that mapped it, whose limit stays what it was. What it is
 * charged once it has exited stays counted, and suffices for the same pages again.
 */
TEST(a_dead_process_is_charged_for_its_files)
{
	struct part parts[3] = { { .pages = LIMIT }, { .pages = 1 }, { .pages = LIMIT + 1 } };
	struct vfio_dev edu = VFIO_DEV_CLOSED;
	int fd, memfd;

	ASSERT_EQ(0, setup_system());
	ASSERT_EQ(0, set_limit(LIMIT));
	fd = iommufd_open();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, set_process_mode(fd));
	ASSERT_EQ(0, setup_edu(&edu, fd));
	memfd = memfd_create("limits", MFD_CLOEXEC);
	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ftruncate(memfd, PAGES * PAGE));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, iommufd_ioas_alloc(fd, &parts[i].ioas));

	ASSERT_EQ(0, map_files_and_exit(fd, memfd, parts, 2));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, vfio_dev_attach(&edu, &(uint32_t){ parts[0].ioas }));
		ASSERT_EQ(0, vfio_dev_detach(&edu));
		EXPECT_EQ(-ENOMEM, vfio_dev_attach(&edu, &(uint32_t){ parts[1].ioas }));
	}

	/* Another process, which has a limit of its own */
	ASSERT_EQ(0, map_files_and_exit(fd, memfd, &parts[2], 1));
	EXPECT_EQ(-ENOMEM, vfio_dev_attach(&edu, &(uint32_t){ parts[2].ioas }));
	vfio_dev_close(&edu);
	close(memfd);
	close(fd);
}

/* The kernel limits such messages to a few in five seconds */
#define RATELIMIT_SECONDS 6

/* Lines of the kernel log that tell of a limit, from where @log is */
static int count_reports(int log)
{
	char line[1024];
	int count = 0;
	ssize_t len;

	while ((len = read(log, line, sizeof(line) - 1)) > 0) {
		line[len] = '\0';
		count += strstr(line, "cannot pin ") != NULL;
	}
	return count;
}

static int open_log(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (log >= 0)
		lseek(log, 0, SEEK_END);
	return log;
}

/* Some programs take ENOMEM for an everyday answer, and go on */
TEST_F(limits, a_limit_is_reported_once_per_file)
{
	int log = open_log();

	ASSERT_LE(0, log);
	sleep(RATELIMIT_SECONDS);
	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, become_user(USER));
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, map_at(0, LIMIT, IOVA));
		EXPECT_EQ(-ENOMEM, map_at(LIMIT, 1, IOVA + PAGES * PAGE));
		ASSERT_EQ(0, unmap(IOVA, LIMIT));
		EXPECT_EQ(-ENOMEM, map_at(0, LIMIT + 1, IOVA));
	}
	EXPECT_EQ(1, count_reports(log));

	/* The limit of another user is another one */
	ASSERT_EQ(0, become_root());
	ASSERT_EQ(0, become_user(OTHER_USER));
	for (int i = 0; i < 3; i++)
		EXPECT_EQ(-ENOMEM, map_at(0, LIMIT + 1, IOVA));
	EXPECT_EQ(1, count_reports(log));
	close(log);
}

TEST_F(limits, each_file_reports_a_limit)
{
	int fd = iommufd_open(), log = open_log();
	uint32_t ioas;

	ASSERT_LE(0, fd);
	ASSERT_LE(0, log);
	sleep(RATELIMIT_SECONDS);
	ASSERT_EQ(0, setup_testdev(&self->testdev, fd));
	ASSERT_EQ(0, iommufd_ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, vfio_dev_attach(&self->testdev, &(uint32_t){ ioas }));
	ASSERT_EQ(0, attach());
	ASSERT_EQ(0, become_user(USER));
	for (int i = 0; i < 3; i++) {
		EXPECT_EQ(-ENOMEM, map_at(0, LIMIT + 1, IOVA));
		EXPECT_EQ(-ENOMEM, iommufd_map_at(fd, ioas, self->memory,
						  (LIMIT + 1) * PAGE, IOVA));
	}
	EXPECT_EQ(2, count_reports(log));
	vfio_dev_close(&self->testdev);
	close(fd);
	close(log);
}

TEST_HARNESS_MAIN
