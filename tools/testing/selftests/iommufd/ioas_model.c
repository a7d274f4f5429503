// SPDX-License-Identifier: GPL-2.0
/*
 * Compares random sequences of operations on IO address spaces with a model in user
 * space. After every step, the errno, the accounting, the pins of each page and the
 * mappings must be those of the model. Other tests kill a process during such a
 * sequence, or check the memory that an exited process has mapped.
 *
 * Environment variables:
 *   IOAS_MODEL_SEED=N       runs only the sequence of this seed
 *   IOAS_MODEL_STEPS=N      number of steps of each sequence
 *   IOAS_MODEL_SEQUENCES=N  number of sequences
 *   IOAS_MODEL_TRACE=1      prints each step
 *
 * Requires modules with the mock IOMMU, and is skipped without them.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "run.h"
#include "system.h"

#define SEQUENCES 4
#define STEPS 200
#define LIMIT 300	/* of locked memory, in pages; some steps exceed it */
#define ROUNDS 6
#define BIG 8192	/* pages */

#define AT MOCK_FIRST

static struct run run;

static uint64_t env_number(const char *name, uint64_t default_value)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : default_value;
}

/* Prepares the mock IOMMU; -ENOTTY if the modules have none */
static int check_mock(void)
{
	int fd, rc = load_modules();

	if (rc)
		return rc;
	fd = iommufd_open();
	if (fd < 0)
		return fd;
	rc = test_cmd_exists(fd) ? test_batch(fd, BATCH_NORMAL) : -ENOTTY;
	close(fd);
	return rc;
}

FIXTURE(sequence) {
	int64_t pins;
};

FIXTURE_VARIANT(sequence) {
	enum account account;
};

FIXTURE_VARIANT_ADD(sequence, no_limit) { ACCOUNT_NONE };
FIXTURE_VARIANT_ADD(sequence, limit_of_the_user) { ACCOUNT_USER };
FIXTURE_VARIANT_ADD(sequence, limit_of_the_process) { ACCOUNT_PROCESS };

FIXTURE_SETUP(sequence)
{
	int rc = check_mock();

	if (rc == -ENOTTY)
		SKIP(return, "these modules have no mock IOMMU");
	ASSERT_EQ(0, rc);
	self->pins = pinned_pages();
}

FIXTURE_TEARDOWN(sequence)
{
}

TEST_F_TIMEOUT(sequence, random_steps, 900)
{
	uint64_t sequences = env_number("IOAS_MODEL_SEQUENCES", SEQUENCES);
	uint64_t seed = env_number("IOAS_MODEL_SEED", 0);
	uint64_t first = seed ? seed : 1 + variant->account * sequences;
	uint64_t last = seed ? seed : first + sequences - 1;

	for (seed = first; seed <= last; seed++) {
		ASSERT_EQ(0, run_sequence(&run, variant->account, LIMIT, seed,
					  env_number("IOAS_MODEL_STEPS", STEPS)));
		TH_LOG("seed %lu: %u steps", seed, run.step);
		ASSERT_FALSE(run.failed);
		EXPECT_EQ(self->pins, pinned_pages());
	}
}

/* An open file with an IOAS and at most one mock device */
struct context {
	int fd;
	uint32_t ioas;
	struct mock_ids ids;
};

static int attach(struct context *c)
{
	return test_device_create(c->fd, c->ioas, &c->ids);
}

static int context_open(struct context *c, bool attached)
{
	int rc;

	c->fd = iommufd_open();
	if (c->fd < 0)
		return c->fd;
	rc = iommufd_ioas_alloc(c->fd, &c->ioas);
	return rc || !attached ? rc : attach(c);
}

static int map_at(const struct context *c, const void *va, uint64_t pages, uint64_t iova)
{
	return iommufd_map_at(c->fd, c->ioas, va, pages * PAGE, iova);
}

static int map_file_at(const struct context *c, int file, uint64_t start, uint64_t pages,
		       uint64_t iova)
{
	return ioas_map_file(c->fd, c->ioas, MAP_RW | IOMMU_IOAS_MAP_FIXED_IOVA, file, start,
			     pages * PAGE, &iova);
}

/* Waits for a child; returns its exit status, or -1 if a signal has killed it */
static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Kills a child; returns false if it had exited before */
static bool kill_child(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status);
}

/*
 * Whether no page is charged to the user. A child of the user, with a limit of @limit
 * pages, must be able to map exactly that many.
 */
static bool user_has_no_charge(uint64_t limit)
{
	pid_t pid = fork();
	struct context c;
	char *memory;

	if (pid)
		return pid > 0 && !wait_for(pid);
	memory = alloc_small((limit + 1) * PAGE);
	if (!memory || context_open(&c, true) || become_user(limit))
		_exit(1);
	if (map_at(&c, memory, limit + 1, AT) != -ENOMEM || map_at(&c, memory, limit, AT))
		_exit(2);
	_exit(map_at(&c, memory, 1, AT + limit * PAGE) == -ENOMEM ? 0 : 3);
}

FIXTURE(killed) {
	int64_t pins;
	int ready[2];
};

FIXTURE_SETUP(killed)
{
	int rc = check_mock();

	if (rc == -ENOTTY)
		SKIP(return, "these modules have no mock IOMMU");
	ASSERT_EQ(0, rc);
	ASSERT_EQ(0, pipe(self->ready));
	self->pins = pinned_pages();
}

FIXTURE_TEARDOWN(killed)
{
}

static void signal_ready(const FIXTURE_DATA(killed) *self)
{
	if (write(self->ready[1], "", 1) != 1)
		_exit(1);
}

/* Waits until the child is ready, then for a random time of less than @max_us */
static bool wait_ready_and_sleep(const FIXTURE_DATA(killed) *self, unsigned int max_us)
{
	char c;

	if (read(self->ready[0], &c, 1) != 1)
		return false;
	usleep(rand() % max_us);
	return true;
}

TEST_F_TIMEOUT(killed, in_a_random_sequence, 300)
{
	srand(env_number("IOAS_MODEL_SEED", 1));
	for (int round = 0; round < ROUNDS; round++) {
		enum account account = round % 3;
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			if (run_begin(&run, account, LIMIT, 1000 + round))
				_exit(1);
			signal_ready(self);
			while (!run.failed)
				run_step(&run);
			_exit(1);
		}
		EXPECT_TRUE(wait_ready_and_sleep(self, 1500000));
		ASSERT_TRUE(kill_child(pid));
		ASSERT_EQ(self->pins, pinned_pages());
		ASSERT_TRUE(user_has_no_charge(LIMIT));
	}
}

static void map_forever(const FIXTURE_DATA(killed) *self, bool file)
{
	int fd = memfd_create("killed", 0);
	char *memory = alloc_small(BIG * PAGE);
	struct context c;

	if (fd < 0 || ftruncate(fd, BIG * PAGE) || !memory || context_open(&c, true) ||
	    become_user(BIG))
		return;
	signal_ready(self);
	for (;;) {
		if (file ? map_file_at(&c, fd, 0, BIG, AT) : map_at(&c, memory, BIG, AT))
			return;
		if (iommufd_unmap(c.fd, c.ioas, AT, BIG * PAGE, NULL))
			return;
	}
}

TEST_F_TIMEOUT(killed, in_a_big_map, 300)
{
	srand(env_number("IOAS_MODEL_SEED", 1));
	for (int round = 0; round < ROUNDS; round++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			map_forever(self, round % 2);
			_exit(1);
		}
		EXPECT_TRUE(wait_ready_and_sleep(self, 700000));
		ASSERT_TRUE(kill_child(pid));
		ASSERT_EQ(self->pins, pinned_pages());
		ASSERT_TRUE(user_has_no_charge(LIMIT));
	}
}

/*
 * Tests of a file that several processes share, after a process that mapped memory has
 * exited. The memory of that process cannot be pinned any more. Pages that are pinned
 * already remain pinned and keep their contents.
 */
FIXTURE(inherited) {
	int64_t pins;
	struct context c;
	int access, file;
	char *memory, *buffer;
	int wait[2];
};

#define PAGES 16UL

FIXTURE_SETUP(inherited)
{
	int rc = check_mock();

	if (rc == -ENOTTY)
		SKIP(return, "these modules have no mock IOMMU");
	ASSERT_EQ(0, rc);
	self->pins = pinned_pages();
	ASSERT_EQ(0, context_open(&self->c, false));
	self->memory = alloc_small(PAGES * PAGE);
	self->buffer = alloc_small(PAGES * PAGE);
	ASSERT_NE(NULL, self->memory);
	ASSERT_NE(NULL, self->buffer);
	memset(self->memory, 0x11, PAGES * PAGE);
	self->file = memfd_create("inherited", 0);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, ftruncate(self->file, PAGES * PAGE));
	ASSERT_EQ(0, pipe(self->wait));
	self->access = -1;
}

FIXTURE_TEARDOWN(inherited)
{
	close(self->access);
	close(self->c.fd);
	EXPECT_EQ(self->pins, pinned_pages());
	EXPECT_EQ(0, status_kib("VmPin"));
	EXPECT_EQ(0, status_kib("VmLck"));
}

/*
 * Forks a child that fills its memory with @byte, maps it or the file, and then waits.
 * Returns when the child has mapped it.
 */
static pid_t child_maps(const FIXTURE_DATA(inherited) *self, char byte, bool file)
{
	pid_t pid = fork();
	char c;

	if (pid) {
		if (read(self->wait[0], &c, 1) != 1 || c)
			return -1;
		return pid;
	}
	memset(self->memory, byte, PAGES * PAGE);
	c = file ? map_file_at(&self->c, self->file, 0, PAGES, AT) :
		   map_at(&self->c, self->memory, PAGES, AT);
	if (write(self->wait[1], &c, 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

#define EXPECT_PINNED(pages) EXPECT_EQ((int64_t)(pages), pinned_pages() - self->pins)

/* Reads through the access; -EIO if a byte is not @byte */
static int read_and_check(const FIXTURE_DATA(inherited) *self, uint64_t length, char byte)
{
	int rc;

	memset(self->buffer, 0, length);
	rc = test_access_rw(self->c.fd, self->access, AT + 5, length, self->buffer, 0);
	for (uint64_t i = 0; !rc && i < length; i++)
		if (self->buffer[i] != byte)
			return -EIO;
	return rc;
}

TEST_F(inherited, pinned_pages_remain_when_the_process_exits)
{
	uint32_t second, item;
	pid_t pid;

	ASSERT_EQ(0, attach(&self->c));
	ASSERT_EQ(0, test_access_create(self->c.fd, self->c.ioas, true, &self->access));
	pid = child_maps(self, 0x22, false);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, read_and_check(self, 16, 0x22));
	EXPECT_EQ(0, read_and_check(self, 3 * PAGE, 0x22));
	ASSERT_TRUE(kill_child(pid));

	EXPECT_PINNED(PAGES);
	EXPECT_EQ(0, status_kib("VmPin"));
	EXPECT_EQ(0, read_and_check(self, 16, 0x22));
	EXPECT_EQ(0, read_and_check(self, 3 * PAGE, 0x22));
	memset(self->buffer, 0x33, 2 * PAGE);
	EXPECT_EQ(0, test_access_rw(self->c.fd, self->access, AT, 2 * PAGE, self->buffer,
				    RW_WRITE));
	EXPECT_EQ(0, read_and_check(self, PAGE, 0x33));
	/* Another page table and an access use the pages that the first one has pinned */
	ASSERT_EQ(0, hwpt_alloc(self->c.fd, self->c.ids.idev, self->c.ioas, &second));
	ASSERT_EQ(0, iommufd_destroy(self->c.fd, self->c.ids.stdev));
	EXPECT_PINNED(PAGES);
	ASSERT_EQ(0, test_access_pin(self->c.fd, self->access, AT + PAGE, 4 * PAGE, NULL, true,
				     &item));
	ASSERT_EQ(0, iommufd_destroy(self->c.fd, second));
	EXPECT_PINNED(4);
	EXPECT_EQ(-EFAULT, attach(&self->c));
	EXPECT_EQ(-EFAULT, read_and_check(self, 16, 0));
	EXPECT_PINNED(4);
	ASSERT_EQ(0, iommufd_unmap(self->c.fd, self->c.ioas, AT, PAGES * PAGE, NULL));
	EXPECT_PINNED(0);
	EXPECT_EQ(0, attach(&self->c));
}

TEST_F(inherited, other_pages_are_lost_when_the_process_exits)
{
	uint32_t other, item;
	uint64_t iova = AT;
	pid_t pid = child_maps(self, 0x22, false);

	ASSERT_LT(0, pid);
	ASSERT_EQ(0, test_access_create(self->c.fd, self->c.ioas, true, &self->access));
	EXPECT_EQ(0, read_and_check(self, 16, 0x22));
	EXPECT_EQ(0, read_and_check(self, 3 * PAGE, 0x22));
	EXPECT_PINNED(0);
	ASSERT_TRUE(kill_child(pid));

	EXPECT_EQ(-EFAULT, attach(&self->c));
	EXPECT_EQ(-EFAULT, read_and_check(self, 16, 0));
	EXPECT_EQ(-EFAULT, read_and_check(self, 3 * PAGE, 0));
	EXPECT_EQ(-EFAULT, test_access_pin(self->c.fd, self->access, AT, PAGE, NULL, false, &item));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->c.fd, &other));
	EXPECT_EQ(0, ioas_copy(self->c.fd, MAP_RW | IOMMU_IOAS_MAP_FIXED_IOVA, other, &iova,
			       self->c.ioas, AT, PAGE));
	EXPECT_PINNED(0);
	ASSERT_EQ(0, iommufd_unmap(self->c.fd, self->c.ioas, AT, PAGES * PAGE, NULL));
	EXPECT_EQ(0, attach(&self->c));
}

TEST_F(inherited, files_can_be_pinned_after_the_process_exits)
{
	pid_t pid = child_maps(self, 0, true);

	ASSERT_LT(0, pid);
	ASSERT_EQ(0, test_access_create(self->c.fd, self->c.ioas, true, &self->access));
	ASSERT_TRUE(kill_child(pid));
	ASSERT_EQ(0, attach(&self->c));
	EXPECT_PINNED(PAGES);
	EXPECT_EQ(0, status_kib("VmPin"));
	EXPECT_EQ(0, read_and_check(self, 3 * PAGE, 0));
}

/* The charge is made to what is left of the process; see limits.c for its limit. */
TEST_F(inherited, charged_process_has_exited)
{
	pid_t pid;

	ASSERT_EQ(0, iommufd_destroy(self->c.fd, self->c.ioas));
	ASSERT_EQ(0, option_set(self->c.fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	ASSERT_EQ(0, iommufd_ioas_alloc(self->c.fd, &self->c.ioas));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(become_user(LIMIT) || map_file_at(&self->c, self->file, 0, PAGES, AT));
	ASSERT_EQ(0, wait_for(pid));
	EXPECT_EQ(0, attach(&self->c));
	EXPECT_PINNED(PAGES);
	ASSERT_EQ(0, iommufd_unmap(self->c.fd, self->c.ioas, AT, PAGES * PAGE, NULL));
	EXPECT_PINNED(0);
}

/* A child that has inherited the file calls CHANGE_PROCESS, then exits */
TEST_F(inherited, change_process_moves_the_charge)
{
	pid_t pid;

	ASSERT_EQ(0, attach(&self->c));
	ASSERT_EQ(0, become_user(PAGES));
	ASSERT_EQ(0, map_file_at(&self->c, self->file, 0, PAGES, AT));
	EXPECT_EQ((int64_t)(PAGES * PAGE / 1024), status_kib("VmPin"));
	EXPECT_EQ(-ENOMEM, map_at(&self->c, self->memory, 1, AT + PAGES * PAGE));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* The same user; the limit does not allow a charge for both processes */
		if (status_kib("VmPin") || become_root() || become_user(2 * PAGES))
			_exit(2);
		if (ioas_change_process(self->c.fd))
			_exit(3);
		_exit(status_kib("VmPin") != PAGES * PAGE / 1024);
	}
	EXPECT_EQ(0, wait_for(pid));
	EXPECT_EQ(0, status_kib("VmPin"));
	ASSERT_EQ(0, become_root());
	EXPECT_PINNED(PAGES);
	ASSERT_EQ(0, become_user(PAGES));
	/* The user remains charged while the pages are pinned */
	EXPECT_EQ(-ENOMEM, map_at(&self->c, self->memory, 1, AT + PAGES * PAGE));
	ASSERT_EQ(0, iommufd_unmap(self->c.fd, self->c.ioas, AT, PAGES * PAGE, NULL));
	EXPECT_EQ(0, map_at(&self->c, self->memory, PAGES, AT));
	/* The charge for memory of a process cannot be moved */
	EXPECT_EQ(-EINVAL, ioas_change_process(self->c.fd));
	ASSERT_EQ(0, become_root());
	ASSERT_EQ(0, iommufd_unmap(self->c.fd, self->c.ioas, AT, PAGES * PAGE, NULL));
	EXPECT_TRUE(user_has_no_charge(LIMIT));
}

/* COPY_NTH_AREA names the source by the index of its area, for fuzzers */
TEST_F(inherited, copy_of_an_area_by_index)
{
	uint32_t flags = COPY_NTH_AREA | MAP_RW | IOMMU_IOAS_MAP_FIXED_IOVA;
	uint64_t to = AT + 4 * PAGES * PAGE;
	int fd = self->c.fd;

	ASSERT_EQ(0, attach(&self->c));
	ASSERT_EQ(0, map_at(&self->c, self->memory, 1, AT));
	ASSERT_EQ(0, map_at(&self->c, self->memory + PAGE, 2, AT + 2 * PAGE));
	ASSERT_EQ(0, ioas_copy(fd, flags, self->c.ioas, &to, self->c.ioas,
			       NTH_AREA(1, PAGE), PAGE));
	EXPECT_EQ(0, test_check_map(fd, self->c.ids.hwpt, to, PAGE,
				    self->memory + 2 * PAGE));
	to += PAGE;
	/* If there is no such area, the source is IOVA 0, which is not mapped */
	EXPECT_EQ(-ENOENT, ioas_copy(fd, flags, self->c.ioas, &to, self->c.ioas,
				     NTH_AREA(3, 0), PAGE));
	EXPECT_EQ(-ENOENT, ioas_copy(fd, flags, self->c.ioas, &to, 0x7fffffff,
				     NTH_AREA(0, 0), PAGE));
}

/* The type of the file is not checked before its pages are pinned */
TEST_F(inherited, files_that_cannot_be_pinned)
{
	int pipes[2], null = open("/dev/null", O_RDWR);
	uint32_t item;

	ASSERT_LE(0, null);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, test_access_create(self->c.fd, self->c.ioas, true, &self->access));
	for (int i = 0; i < 3; i++) {
		int file = (int[]){ null, pipes[0], self->c.fd }[i];

		ASSERT_EQ(0, map_file_at(&self->c, file, 0, PAGES, AT));
		EXPECT_EQ(-EINVAL, attach(&self->c));
		EXPECT_EQ(-EINVAL, read_and_check(self, 16, 0));
		EXPECT_EQ(-EINVAL, test_access_pin(self->c.fd, self->access, AT, PAGE, NULL,
						   false, &item));
		ASSERT_EQ(0, iommufd_unmap(self->c.fd, self->c.ioas, AT, PAGES * PAGE, NULL));
	}
	ASSERT_EQ(0, attach(&self->c));
	EXPECT_EQ(-EINVAL, map_file_at(&self->c, null, 0, PAGES, AT));
	EXPECT_EQ(-EINVAL, map_file_at(&self->c, pipes[0], 0, PAGES, AT));
	EXPECT_PINNED(0);
	close(null);
	close(pipes[0]);
	close(pipes[1]);
}

TEST_F(inherited, truncated_files)
{
	ASSERT_EQ(0, test_access_create(self->c.fd, self->c.ioas, true, &self->access));
	ASSERT_EQ(0, map_file_at(&self->c, self->file, 0, PAGES, AT));
	ASSERT_EQ(0, ftruncate(self->file, (PAGES - 1) * PAGE));
	EXPECT_EQ(-EINVAL, attach(&self->c));
	EXPECT_EQ(0, read_and_check(self, PAGE, 0));
	EXPECT_EQ(-EINVAL, read_and_check(self, (PAGES - 1) * PAGE, 0));
	ASSERT_EQ(0, ftruncate(self->file, PAGES * PAGE));
	ASSERT_EQ(0, attach(&self->c));
	/* Pinned pages remain after they are truncated */
	ASSERT_EQ(0, ftruncate(self->file, 0));
	EXPECT_PINNED(PAGES);
	EXPECT_EQ(0, read_and_check(self, (PAGES - 1) * PAGE, 0));
	ASSERT_EQ(0, iommufd_destroy(self->c.fd, self->c.ids.stdev));
	EXPECT_EQ(-EINVAL, attach(&self->c));
}

TEST_HARNESS_MAIN
