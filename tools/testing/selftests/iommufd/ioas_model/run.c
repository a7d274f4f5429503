// SPDX-License-Identifier: GPL-2.0
/* Sequences of random steps */
#include <errno.h>
#include <linux/iommufd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "iommufd.h"
#include "run.h"
#include "system.h"

uint64_t run_random(struct run *run, uint64_t n)
{
	/* xorshift64 */
	run->random ^= run->random << 13;
	run->random ^= run->random >> 7;
	run->random ^= run->random << 17;
	return (run->random >> 11) % n;
}

void run_log(struct run *run, const char *format, ...)
{
	char *line = run->log[run->step % LOG_LINES];
	va_list args;
	int n;

	n = snprintf(line, LOG_LINE, "%u: ", run->step);
	va_start(args, format);
	vsnprintf(line + n, LOG_LINE - n, format, args);
	va_end(args);
}

static void show(const struct model *m)
{
	for (const struct ioas *s = m->ioas; s < m->ioas + MAX_IOAS; s++) {
		if (!s->id)
			continue;
		printf("# ioas %u: %d page tables\n", s->id, s->hwpts);
		for (int i = 0; i < s->num_areas; i++) {
			const struct area *area = &s->areas[i];
			const struct source *source = area->source;

			printf("#   %#lx-%#lx %s%s of source %d: %s%s+%#lx\n",
			       area->iova.start, area->iova.last,
			       area->rights & RIGHT_READ ? "r" : "",
			       area->rights & RIGHT_WRITE ? "w" : "",
			       (int)(source - m->sources), source->memory->name,
			       source->file ? " (file)" : "", area_byte(area, area->iova.start));
		}
	}
}

void run_fail(struct run *run, const char *format, ...)
{
	unsigned int first = run->step < LOG_LINES ? 0 : run->step - LOG_LINES + 1;
	va_list args;

	if (run->failed)
		return;
	run->failed = true;
	printf("# seed %lu, step %u: ", run->seed, run->step);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n# the last steps:\n");
	for (unsigned int i = first; i <= run->step; i++)
		printf("# %s\n", run->log[i % LOG_LINES]);
	show(&run->model);
	fflush(stdout);
}

bool run_check(struct run *run, int expected, int got)
{
	char *line = run->log[run->step % LOG_LINES];
	size_t n = strlen(line);

	snprintf(line + n, LOG_LINE - n, " = %d", expected);
	if (expected != got)
		run_fail(run, "returned %d, expected %d", got, expected);
	return !expected && !got;
}

/* ---- comparisons after each step ---- */

static void verify_charges(struct run *run)
{
	const struct model *m = &run->model;
	int64_t locked = m->account == ACCOUNT_PROCESS ? m->pinned : 0;
	int64_t got = status_kib("VmPin");

	if (got != (int64_t)(m->pinned * PAGE / 1024))
		run_fail(run, "VmPin is %ld KiB, expected %lu pages", got, m->pinned);
	got = status_kib("VmLck");
	if (got != locked * (int64_t)PAGE / 1024)
		run_fail(run, "VmLck is %ld KiB, expected %ld pages", got, locked);
}

/* Checks the number of pins of each page, in runs of pages with the same number */
static void verify_pins(struct run *run, struct memory *memory)
{
	unsigned int first = 0, end;

	if (!memory->va || memory->compound)
		return;
	for (; first < memory->pages; first = end) {
		int rc;

		for (end = first + 1; end < memory->pages; end++)
			if (memory->pins[end] != memory->pins[first])
				break;
		rc = test_check_refs(run->fd, memory->va + first * PAGE, (end - first) * PAGE,
				     memory->pins[first]);
		if (rc)
			run_fail(run, "%s, pages %u to %u: expected %u pins of each page (%d)",
				 memory->name, first, end - 1, memory->pins[first], rc);
	}
}

/* Checks that a random IOVA is mapped to the memory of its area, or not mapped */
static void verify_table(struct run *run, const struct hwpt *hwpt)
{
	uint64_t iova = MOCK_FIRST + run_random(run, 128) * MOCK_PAGE, length = MOCK_PAGE;
	struct ioas *s = hwpt->ioas;
	int expected = -EINVAL, rc;
	char *va = run->model.memory[0].va;

	if (s->num_areas) {
		const struct area *area = &s->areas[run_random(run, s->num_areas)];
		const struct memory *memory = area->source->memory;
		uint64_t most = area->iova.last - area->iova.start + 1;
		uint64_t at = run_random(run, most / MOCK_PAGE) * MOCK_PAGE;

		if (memory->va) {
			iova = area->iova.start + at;
			va = memory->va + area_byte(area, iova);
			length = most - at > 16 * PAGE ? 16 * PAGE : most - at;
			expected = 0;
		}
	}
	if (expected && ioas_area(s, iova))
		return;
	rc = test_check_map(run->fd, hwpt->id, iova, length, va);
	if (rc != expected)
		run_fail(run, "page table %u at %#lx: returned %d, expected %d", hwpt->id, iova,
			 rc, expected);
}

static void verify_ranges(struct run *run, const struct ioas *s)
{
	struct iommu_iova_range got[MAX_RANGES + 4] = {};
	struct range expected[MAX_RANGES + 4];
	int most = MAX_RANGES + 4, num = ioas_usable(s, expected, most);
	uint32_t got_num = most;
	uint64_t alignment;
	int rc = iommufd_iova_ranges(run->fd, s->id, got, &got_num, &alignment);

	if (rc || got_num != (uint32_t)num || memcmp(got, expected, num * sizeof(*expected)))
		run_fail(run, "ioas %u: %u usable ranges (%d), expected %d", s->id, got_num, rc,
			 num);
	if (alignment != ioas_alignment(&run->model, s))
		run_fail(run, "ioas %u: alignment is %lu, expected %lu", s->id, alignment,
			 ioas_alignment(&run->model, s));
}

void verify(struct run *run)
{
	struct model *m = &run->model;
	struct hwpt *hwpt = &m->hwpts[run_random(run, MAX_HWPTS)];
	struct ioas *s = &m->ioas[run_random(run, MAX_IOAS)];

	verify_charges(run);
	for (int i = 0; i < m->num_memory; i++)
		verify_pins(run, &m->memory[i]);
	for (hwpt = m->hwpts; hwpt < m->hwpts + MAX_HWPTS; hwpt++)
		if (hwpt->id)
			verify_table(run, hwpt);
	if (s->id)
		verify_ranges(run, s);
}

/* ---- the sequence ---- */

int become_user(uint64_t limit)
{
	struct rlimit rlimit = { limit * PAGE, limit * PAGE };

	return setrlimit(RLIMIT_MEMLOCK, &rlimit) || setresuid(USER, USER, 0) ? -errno : 0;
}

int become_root(void)
{
	return setresuid(0, 0, 0) ? -errno : 0;
}

int run_begin(struct run *run, enum account account, uint64_t limit, uint64_t seed)
{
	struct model *m = &run->model;
	int rc;

	memset(run, 0, sizeof(*run));
	run->trace = getenv("IOAS_MODEL_TRACE");
	run->seed = seed;
	run->random = seed * 0x9e3779b97f4a7c15 + 1;
	m->account = account;
	m->limit = limit;
	for (int i = 0; i < MAX_ACCESSES; i++)
		m->accesses[i].fd = -1;
	run->buffer = malloc(MAX_PAGES * PAGE);
	run->fd = iommufd_open();
	if (!run->buffer || run->fd < 0)
		return run->buffer ? run->fd : -ENOMEM;
	rc = memory_create(m->memory, run->fd);
	if (rc < 0)
		return rc;
	m->num_memory = rc;
	if (account == ACCOUNT_PROCESS) {
		rc = option_set(run->fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1);
		if (rc)
			return rc;
	}
	return account == ACCOUNT_NONE ? 0 : become_user(limit);
}

void run_step(struct run *run)
{
	run->log[run->step % LOG_LINES][0] = 0;
	if (run_random(run, 5) < 3)
		step_ioas(run);
	else
		step_users(run);
	model_count(&run->model);
	verify(run);
	if (run->trace && run->log[run->step % LOG_LINES][0])
		printf("# %s\n", run->log[run->step % LOG_LINES]);
	run->step++;
}

/* Closes the file descriptors in a random order, which destroys all objects */
void run_end(struct run *run)
{
	struct model *m = &run->model;
	bool first = run_random(run, 2);

	run_log(run, "end of the sequence");
	test_batch(run->fd, BATCH_NORMAL);
	for (int i = 0; i < m->num_memory; i++)
		if (!memory_matches(&m->memory[i], 0, m->memory[i].pages * PAGE))
			run_fail(run, "%s: unexpected contents", m->memory[i].name);
	if (first)
		close(run->fd);
	for (int i = 0; i < MAX_ACCESSES; i++)
		if (m->accesses[i].fd >= 0)
			close(m->accesses[i].fd);
	if (!first)
		close(run->fd);
	become_root();
	if (status_kib("VmPin") || status_kib("VmLck"))
		run_fail(run, "pages are still charged: VmPin %ld, VmLck %ld",
			 status_kib("VmPin"), status_kib("VmLck"));
	memory_destroy(m->memory, m->num_memory);
	free(run->buffer);
}

int run_sequence(struct run *run, enum account account, uint64_t limit, uint64_t seed,
		 unsigned int steps)
{
	int rc = run_begin(run, account, limit, seed);

	if (rc)
		return rc;
	while (run->step < steps && !run->failed)
		run_step(run);
	run_end(run);
	return 0;
}
