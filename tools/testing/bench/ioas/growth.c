// SPDX-License-Identifier: GPL-2.0
/* How costs grow with the size of a range and the number of areas; see bench.h. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "iommufd.h"
#include "meter.h"

#define SMALL_LONGEST GIB
#define HUGE_LONGEST (64 * GIB)

/* Warms up, except for the longest range, where that makes no difference */
static void one_length(const struct bench *bench, const struct memory *memory,
		       const char *kind, size_t length)
{
	struct cost map, unmap;
	char name[32];

	for (int round = length < 4 * GIB ? 0 : 1; round < 2; round++) {
		meter_begin(&map);
		must("map", iommufd_map_at(bench->fd, bench->ioas, memory->va, length,
					   IOVA_BASE));
		meter_end(&map);
		meter_begin(&unmap);
		must("unmap", iommufd_unmap(bench->fd, bench->ioas, IOVA_BASE, length,
					    NULL));
		meter_end(&unmap);
	}
	snprintf(name, sizeof(name), "%s@%zu", kind, length / MIB);
	report_cost("length-map", name, map, length / KIB4);
	report_cost("length-unmap", name, unmap, length / KIB4);
}

/* Each four times as long as the one before */
static void lengths(const struct bench *bench, bool huge)
{
	size_t longest = huge ? HUGE_LONGEST : SMALL_LONGEST;
	struct memory memory = memory_repeated(longest, huge);

	for (size_t length = huge ? 4 * MIB : MIB; length <= longest; length *= 4)
		one_length(bench, &memory, huge ? "huge-pages" : "small-pages", length);
	memory_free(&memory);
}

#define MOST_AREAS 100000
/* Every other page of IOVA, so that no areas are adjacent */
#define AREA_STRIDE (2 * KIB4)

static void map_areas(const struct bench *bench, const char *va, uint32_t count,
		      struct cost *cost)
{
	uint32_t *order = shuffled(count);

	meter_begin(cost);
	for (uint32_t i = 0; i < count; i++)
		must("map", iommufd_map_at(bench->fd, bench->ioas, va, KIB4,
					   IOVA_BASE + order[i] * AREA_STRIDE));
	meter_end(cost);
	free(order);
}

/* One more page, at a fixed IOVA or where the kernel finds a free range */
static void one_more(const struct bench *bench, const char *va, uint32_t count,
		     bool fixed)
{
	uint32_t flags = MAP_RW | (fixed ? IOMMU_IOAS_MAP_FIXED_IOVA : 0);
	struct series series = {};
	char name[32];

	for (int i = 0; i < WARM_UP + 11; i++) {
		/* In the middle, between two existing areas */
		uint64_t iova = IOVA_BASE + count / 2 * AREA_STRIDE + KIB4;
		struct cost cost;

		meter_begin(&cost);
		must("map", iommufd_map(bench->fd, bench->ioas, flags, va, KIB4, &iova));
		must("unmap", iommufd_unmap(bench->fd, bench->ioas, iova, KIB4, NULL));
		meter_end(&cost);
		series_add(&series, &cost);
	}
	snprintf(name, sizeof(name), "%s@%u", fixed ? "fixed" : "found", count);
	report_series("areas-one-more", name, &series, 1);
}

static void areas(const struct bench *bench)
{
	struct memory memory = memory_sequential(MIB2);

	for (uint32_t count = 10; count <= MOST_AREAS; count *= 10) {
		struct cost cost;
		char name[32];

		snprintf(name, sizeof(name), "each@%u", count);
		map_areas(bench, memory.va, count, &cost);
		report_cost("areas-map", name, cost, count);
		one_more(bench, memory.va, count, true);
		one_more(bench, memory.va, count, false);
		meter_begin(&cost);
		must("unmap", iommufd_unmap_all(bench->fd, bench->ioas, NULL));
		meter_end(&cost);
		report_cost("areas-unmap-all", name, cost, count);
	}
	memory_free(&memory);
}

void bench_growth(const struct bench *bench)
{
	lengths(bench, false);
	lengths(bench, true);
	areas(bench);
}
