// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of races: several threads and processes use the same objects, and processes are
 * killed during a command. The outcome of a race is not determined, but each result must
 * be one that the ABI allows, and no page may remain pinned.
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>

#include "iommufd.h"
#include "kselftest_harness.h"
#include "setup.h"
#include "system.h"

/* A day: this machine's speed decides on no test. The VM's script ends one that hangs. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 86400

#define PAGE 4096UL
#define PAGES 64UL
#define SIZE (PAGES * PAGE)
#define IOVA 0x10000000UL
#define SECONDS 3
/* How often a loop must have succeeded; a slow machine gets up to 100 times as long. */
#define ENOUGH 10
#define KILL_SIZE (64UL << 20)
#define KILL_ROUNDS 20
#define STRIDE 16

FIXTURE(races) {
	struct rig rig;
	char *memory;
};

FIXTURE_SETUP(races)
{
	self->memory = alloc_small(SIZE);
	ASSERT_NE(NULL, self->memory);
	memset(self->memory, 1, SIZE);
	ASSERT_EQ(0, rig_open(&self->rig));
}

FIXTURE_TEARDOWN(races)
{
	rig_close(&self->rig);
	EXPECT_EQ(0, rig_pins(&self->rig));
}

static int64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

/* Data that the threads of one test share */
struct shared {
	struct rig *rig;
	const char *memory;
	_Atomic uint32_t ioas;
	atomic_bool stop;
	atomic_int unexpected;	/* an errno that is not allowed, or 0 */
	atomic_uint mapped;	/* number of commands that succeeded */
	atomic_uint destroyed;
	int64_t stopped;	/* when the loops were told to end, in us */
};

/* Checks a result; @allowed is a list of errnos that ends with 0 */
static void check_result(struct shared *s, int rc, const int *allowed)
{
	if (!rc)
		return;
	while (*allowed)
		if (rc == -*allowed++)
			return;
	s->unexpected = -rc;
}

static void *map_loop(void *arg)
{
	static const int allowed[] = { EEXIST, ENOENT, 0 };
	struct shared *s = arg;

	for (unsigned int i = 0; !s->stop; i++) {
		int rc = iommufd_map_at(s->rig->fd, s->ioas, s->memory, SIZE,
					IOVA + i % 3 * PAGE);

		check_result(s, rc, allowed);
		s->mapped += !rc;
	}
	return NULL;
}

static void *unmap_loop(void *arg)
{
	static const int allowed[] = { EBUSY, ENOENT, 0 };
	struct shared *s = arg;

	for (unsigned int i = 0; !s->stop; i++)
		if (i % 2)
			check_result(s, iommufd_unmap(s->rig->fd, s->ioas, IOVA,
						      SIZE + 2 * PAGE, NULL), allowed);
		else
			check_result(s, iommufd_unmap_all(s->rig->fd, s->ioas, NULL),
				     allowed);
	return NULL;
}

/*
 * Replaces the IOAS that the other threads use by a new one and destroys the old one,
 * repeating the command as long as it is busy.
 */
static void *destroy_loop(void *arg)
{
	static const int allowed[] = { EBUSY, 0 };
	struct shared *s = arg;

	while (!s->stop) {
		uint32_t id;
		int rc;

		check_result(s, iommufd_ioas_alloc(s->rig->fd, &id), &(int){ 0 });
		id = atomic_exchange(&s->ioas, id);
		do {
			rc = iommufd_destroy(s->rig->fd, id);
			check_result(s, rc, allowed);
			s->destroyed += !rc;
		} while (rc == -EBUSY && !s->stop);
	}
	return NULL;
}

static void *attach_loop(void *arg)
{
	static const int allowed[] = { 0 };
	struct shared *s = arg;

	while (!s->stop) {
		check_result(s, rig_attach(s->rig, s->ioas), allowed);
		check_result(s, vfio_dev_detach(&s->rig->edu), allowed);
	}
	return NULL;
}

/* Attaches the device in turn to the IOAS that is being mapped and to an empty one */
static void *replace_loop(void *arg)
{
	static const int allowed[] = { 0 };
	struct shared *s = arg;
	uint32_t other;

	check_result(s, iommufd_ioas_alloc(s->rig->fd, &other), allowed);
	while (!s->stop) {
		check_result(s, rig_attach(s->rig, s->ioas), allowed);
		check_result(s, rig_attach(s->rig, other), allowed);
	}
	return NULL;
}

/* Runs each loop in a thread; returns an errno that is not allowed, or 0 */
static int run_threads(struct shared *s, void *(*const *loops)(void *), int n)
{
	struct timespec second = { .tv_sec = 1 };
	bool destroys = loops[n - 1] == destroy_loop;
	pthread_t threads[8];

	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, loops[i], s))
			return errno;
	for (int i = 0; i < SECONDS ||
	     (i < 100 * SECONDS && (s->mapped <= ENOUGH || (destroys && s->destroyed <= ENOUGH)));
	     i++)
		nanosleep(&second, NULL);
	s->stopped = now_us();
	s->stop = true;
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	return s->unexpected;
}

#define RUN(...) ({							\
	void *(*const _loops[])(void *) = { __VA_ARGS__ };		\
	struct shared _s = {						\
		.rig = &self->rig,					\
		.memory = self->memory,					\
		.ioas = self->rig.ioas,					\
	};								\
	EXPECT_EQ(0, run_threads(&_s, _loops, ARRAY_SIZE(_loops)));	\
	EXPECT_GT(50 * 1000000, now_us() - _s.stopped);			\
	EXPECT_LT(ENOUGH, _s.mapped);					\
	TH_LOG("mapped %u times, destroyed %u", _s.mapped, _s.destroyed); \
	_s.destroyed;							\
})

/*
 * DESTROY must not wait longer than until the commands that use the object have ended.
 * The C module of Linux 7.3 sometimes does: it waits uninterruptibly for a wake-up that is
 * sent to interruptible waiters only, and times out after a minute. The loops must end
 * well before that.
 */
TEST_F(races, map_unmap_destroy)
{
	EXPECT_LT(ENOUGH, RUN(map_loop, map_loop, unmap_loop, destroy_loop));
}

TEST_F(races, map_unmap_while_attached)
{
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	RUN(map_loop, map_loop, unmap_loop, unmap_loop);
	EXPECT_EQ(0, iommufd_unmap_all(self->rig.fd, self->rig.ioas, NULL));
	EXPECT_EQ(0, rig_pins(&self->rig));
}

TEST_F(races, map_unmap_attach_detach)
{
	RUN(map_loop, map_loop, unmap_loop, attach_loop);
	EXPECT_EQ(0, rig_pins(&self->rig));
}

TEST_F(races, map_unmap_replace)
{
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	RUN(map_loop, map_loop, unmap_loop, replace_loop);
	EXPECT_EQ(0, rig_pins(&self->rig));
}

/* Runs in a child after its parent has closed all files; the device is still usable */
static int map_and_check(struct rig *rig, void *memory)
{
	if (iommufd_map_at(rig->fd, rig->ioas, memory, PAGE, IOVA + SIZE))
		return 1;
	return !edu_reaches(&rig->edu, IOVA + SIZE, memory, PAGE);
}

TEST_F(races, fork_and_close)
{
	int status, fds[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	ASSERT_EQ(0, iommufd_map_at(self->rig.fd, self->rig.ioas, self->memory,
				    SIZE, IOVA));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(fds[1]);
		if (read(fds[0], &c, 1))
			_exit(2);
		_exit(map_and_check(&self->rig, self->memory));
	}
	rig_close(&self->rig);
	EXPECT_EQ(PAGES, rig_pins(&self->rig));
	close(fds[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, rig_pins(&self->rig));
}

TEST_F(races, children_map_and_exit)
{
	int status;

	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));
	ASSERT_EQ(0, iommufd_map_at(self->rig.fd, self->rig.ioas, self->memory,
				    SIZE, IOVA));
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			int rc = iommufd_map_at(self->rig.fd, self->rig.ioas,
						self->memory, SIZE,
						IOVA + 2 * SIZE);

			if (i % 2)
				raise(SIGKILL);
			_exit(!!rc);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(i % 2 ? SIGKILL : 0, status);
		EXPECT_EQ(2 * PAGES, rig_pins(&self->rig));
		ASSERT_EQ(0, iommufd_unmap(self->rig.fd, self->rig.ioas,
					   IOVA + 2 * SIZE, SIZE, NULL));
	}
}

/* The process that has opened the files is killed before it closes them */
TEST_F(races, sigkill_of_the_owner)
{
	vfio_dev_close(&self->rig.edu);
	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();
		int status;

		ASSERT_LE(0, pid);
		if (!pid) {
			struct rig own;

			if (rig_open(&own) || rig_attach(&own, own.ioas) ||
			    iommufd_map_at(own.fd, own.ioas, self->memory, SIZE,
					   IOVA))
				_exit(1);
			raise(SIGKILL);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(SIGKILL, status);
		EXPECT_EQ(0, rig_pins(&self->rig));
	}
}

/*
 * Allocates shared memory of small pages, at most half of the free memory. The pages are
 * accessed out of order, so that few of them are physically contiguous.
 */
static char *alloc_scattered(size_t *length)
{
	struct sysinfo info;
	char *p;

	sysinfo(&info);
	*length = KILL_SIZE;
	while (*length > info.freeram * info.mem_unit / 2)
		*length /= 2;
	p = mmap(NULL, *length, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	for (size_t first = 0; first < STRIDE; first++)
		for (size_t i = first * PAGE; i < *length; i += STRIDE * PAGE)
			p[i] = 1;
	return p;
}

/* Runs in a child: sets @begun, then maps */
static void map_and_exit(struct rig *rig, atomic_bool *begun, char *memory,
			 size_t length)
{
	*begun = true;
	_exit(!!iommufd_map_at(rig->fd, rig->ioas, memory, length, IOVA));
}

/*
 * Kills a process at every stage of a long map: while pages are faulted in and pinned,
 * while the page table is filled, and after the end. The first round, without a kill,
 * measures how long the map takes.
 */
TEST_F(races, sigkill_during_map)
{
	unsigned int interrupted = 0;
	int64_t begin, duration = 0;
	atomic_bool *begun;
	uint64_t unmapped;
	size_t length;
	char *memory;

	begun = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)begun);
	memory = alloc_scattered(&length);
	ASSERT_NE(NULL, memory);
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));

	for (int i = 0; i <= KILL_ROUNDS; i++) {
		pid_t pid;
		int status;

		*begun = false;
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			map_and_exit(&self->rig, begun, memory, length);
		while (!*begun)
			sched_yield();
		begin = now_us();
		if (i) {
			usleep(duration * i / KILL_ROUNDS);
			kill(pid, SIGKILL);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(status == 0 || (i && status == SIGKILL));
		if (!i) {
			duration = now_us() - begin;
			ASSERT_EQ(length / PAGE, rig_pins(&self->rig));
		}

		/* Either all of the memory is mapped or none */
		ASSERT_EQ(0, iommufd_unmap_all(self->rig.fd, self->rig.ioas,
					       &unmapped));
		EXPECT_TRUE(unmapped == 0 || unmapped == length);
		EXPECT_EQ(0, rig_pins(&self->rig));
		interrupted += !unmapped;
	}
	TH_LOG("%zu MiB in %lld ms, interrupted %u of %d times", length >> 20,
	       (long long)duration / 1000, interrupted, KILL_ROUNDS);
	/* The test is valid only if some of the kills came during the map */
	EXPECT_LT(2, interrupted);
}

TEST_HARNESS_MAIN
