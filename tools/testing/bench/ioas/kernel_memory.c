// SPDX-License-Identifier: GPL-2.0
/* The kernel memory for a GiB of scattered memory that is mapped; see bench.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "iommufd.h"
#include "meter.h"

#define ROUNDS 3

/*
 * GONE counts all pages that the page allocator has handed out. The others are
 * the counters of the kernel for some of the uses.
 */
enum counter { GONE, SLAB, TABLES, VMALLOC, PERCPU, COUNTERS };

static const char *const names[COUNTERS] = {
	"all", "Slab", "SecPageTables", "VmallocUsed", "Percpu",
};

struct usage {
	int64_t kib[COUNTERS];
};

/* Drops caches, and adds the counts of each CPU to the global ones */
static void settle(void)
{
	FILE *f = fopen("/proc/sys/vm/drop_caches", "w");

	if (f) {
		fputs("3", f);
		fclose(f);
	}
	f = fopen("/proc/sys/vm/stat_refresh", "r");
	if (f) {
		fgetc(f);
		fclose(f);
	}
}

static void read_meminfo(struct usage *usage)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128], key[64];
	int64_t kib;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63[^:]: %" SCNd64, key, &kib) == 2)
			for (int i = SLAB; i < COUNTERS; i++)
				if (!strcmp(key, names[i]))
					usage->kib[i] = kib;
	if (f)
		fclose(f);
}

/* Free pages are in the zones' lists and in those of the CPUs */
static int64_t free_pages(void)
{
	FILE *f = fopen("/proc/zoneinfo", "r");
	int64_t pages = 0, n;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " nr_free_pages %" SCNd64, &n) == 1 ||
		    sscanf(line, " count: %" SCNd64, &n) == 1)
			pages += n;
	if (f)
		fclose(f);
	return pages;
}

static struct usage usage_now(void)
{
	struct usage usage = {};

	settle();
	read_meminfo(&usage);
	usage.kib[GONE] = -free_pages() * (int64_t)(KIB4 / 1024);
	return usage;
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t median(int64_t *values)
{
	qsort(values, ROUNDS, sizeof(*values), by_value);
	return values[ROUNDS / 2];
}

/*
 * At another IOVA each time, because the next mapping at the same IOVA would
 * use tables that were kept although they had become empty.
 */
static void one_round(const struct bench *bench, const struct memory *memory, int round,
		      int64_t grown[COUNTERS][ROUNDS], int64_t kept[COUNTERS][ROUNDS])
{
	uint64_t iova = IOVA_BASE + (round + 1) * 2 * GIB;
	struct usage before = usage_now(), mapped, after;

	must("map", iommufd_map_at(bench->fd, bench->ioas, memory->va, GIB, iova));
	mapped = usage_now();
	must("unmap", iommufd_unmap(bench->fd, bench->ioas, iova, GIB, NULL));
	after = usage_now();
	for (int i = 0; i < COUNTERS && round >= 0; i++) {
		grown[i][round] = mapped.kib[i] - before.kib[i];
		kept[i][round] = after.kib[i] - before.kib[i];
	}
}

void bench_kernel_memory(const struct bench *bench)
{
	struct memory memory = memory_repeated(GIB, false);
	int64_t grown[COUNTERS][ROUNDS], kept[COUNTERS][ROUNDS];

	for (int round = -1; round < ROUNDS; round++)
		one_round(bench, &memory, round, grown, kept);
	for (int i = 0; i < COUNTERS; i++) {
		report_value("kib-per-gib", names[i], median(grown[i]));
		report_value("kib-per-gib-after", names[i], median(kept[i]));
	}
	memory_free(&memory);
}
