// SPDX-License-Identifier: GPL-2.0
/*
 * Several threads and processes on the same objects, and processes that die in
 * the middle of a command. Which one wins is open; that every answer is one of
 * those the ABI allows, and that no page stays pinned, is not.
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
#define KILL_SIZE (256UL << 20)
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

/* What the threads of one test share */
struct shared {
	struct rig *rig;
	const char *memory;
	_Atomic uint32_t ioas;
	atomic_bool stop;
	atomic_int unexpected;	/* an errno that must not occur, 0 if none */
	atomic_uint mapped;	/* commands that succeeded */
	atomic_uint destroyed;
	int64_t stopped;	/* when the loops were told to end, in us */
};

/* Notes the answer; @allowed ends with 0, which is always allowed */
static void judge(struct shared *s, int rc, const int *allowed)
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

		judge(s, rc, allowed);
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
			judge(s, iommufd_unmap(s->rig->fd, s->ioas, IOVA,
					       SIZE + 2 * PAGE, NULL), allowed);
		else
			judge(s, iommufd_unmap_all(s->rig->fd, s->ioas, NULL),
			      allowed);
	return NULL;
}

/*
 * Puts a new IOAS in place of the one that the others are busy with and gets
 * rid of that one, however long they hold it.
 */
static void *destroy_loop(void *arg)
{
	static const int allowed[] = { EBUSY, 0 };
	struct shared *s = arg;

	while (!s->stop) {
		uint32_t id;
		int rc;

		judge(s, iommufd_ioas_alloc(s->rig->fd, &id), &(int){ 0 });
		id = atomic_exchange(&s->ioas, id);
		do {
			rc = iommufd_destroy(s->rig->fd, id);
			judge(s, rc, allowed);
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
		judge(s, rig_attach(s->rig, s->ioas), allowed);
		judge(s, vfio_dev_detach(&s->rig->edu), allowed);
	}
	return NULL;
}

/* To and fro between the IOAS that is being mapped and an empty one */
static void *replace_loop(void *arg)
{
	static const int allowed[] = { 0 };
	struct shared *s = arg;
	uint32_t other;

	judge(s, iommufd_ioas_alloc(s->rig->fd, &other), allowed);
	while (!s->stop) {
		judge(s, rig_attach(s->rig, s->ioas), allowed);
		judge(s, rig_attach(s->rig, other), allowed);
	}
	return NULL;
}

/* Runs the loops side by side; the first errno that was not allowed, or 0 */
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
 * DESTROY waits for commands that are at work on the object, but not longer.
 * The C module of 7.3 does at times: it waits uninterruptibly for a wake-up that
 * is sent to interruptible waiters only, and goes on after a minute; so the loops
 * must end well before that.
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

/* In a child whose parent has closed everything: the devices are still ours */
static int go_on_alone(struct rig *rig, void *memory)
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
		_exit(go_on_alone(&self->rig, self->memory));
	}
	rig_close(&self->rig);
	EXPECT_EQ(PAGES, rig_pins(&self->rig));
	close(fds[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, rig_pins(&self->rig));
}

TEST_F(races, children_that_map_and_die)
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

/* All of it belongs to a process that dies without having closed anything */
TEST_F(races, a_killed_owner_leaves_nothing)
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
 * As much as leaves the rest of the machine alone, of small shared pages that
 * are touched out of order, so that hardly two are neighbours in memory too.
 */
static char *alloc_much(size_t *length)
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

/* In a child: says that it begins, then maps */
static void map_and_exit(struct rig *rig, atomic_bool *begun, char *much,
			 size_t length)
{
	*begun = true;
	_exit(!!iommufd_map_at(rig->fd, rig->ioas, much, length, IOVA));
}

/*
 * The kill comes at every stage of a long map: while pages are faulted in and
 * pinned, while the page table is filled, and after the end. The first round is
 * left alone and tells how long that takes.
 */
TEST_F(races, sigkill_during_map)
{
	unsigned int cut_short = 0;
	int64_t begin, duration = 0;
	atomic_bool *begun;
	uint64_t unmapped;
	size_t length;
	char *much;

	begun = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)begun);
	much = alloc_much(&length);
	ASSERT_NE(NULL, much);
	ASSERT_EQ(0, rig_attach(&self->rig, self->rig.ioas));

	for (int i = 0; i <= KILL_ROUNDS; i++) {
		pid_t pid;
		int status;

		*begun = false;
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			map_and_exit(&self->rig, begun, much, length);
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

		/* Either all of it or nothing */
		ASSERT_EQ(0, iommufd_unmap_all(self->rig.fd, self->rig.ioas,
					       &unmapped));
		EXPECT_TRUE(unmapped == 0 || unmapped == length);
		EXPECT_EQ(0, rig_pins(&self->rig));
		cut_short += !unmapped;
	}
	TH_LOG("%zu MiB in %lld ms, cut short %u of %d times", length >> 20,
	       (long long)duration / 1000, cut_short, KILL_ROUNDS);
	/* Else no kill came in the middle, and nothing has been tested */
	EXPECT_LT(2, cut_short);
}

TEST_HARNESS_MAIN
