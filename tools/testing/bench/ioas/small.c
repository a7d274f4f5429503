// SPDX-License-Identifier: GPL-2.0
/* Single pages, few and many; see bench.h. */
#include "bench.h"
#include "iommufd.h"
#include "meter.h"

#define MANY 2000
#define MANY_ROUNDS (WARM_UP + 3)

static void one_page(const struct bench *bench, const struct memory *memory)
{
	struct series both = {}, map = {}, unmap = {};

	for (int i = 0; i < WARM_UP + MAX_ROUNDS; i++) {
		struct cost first, second, sum;

		meter_begin(&first);
		must("map", iommufd_map_at(bench->fd, bench->ioas, memory->va, KIB4,
					   IOVA_BASE));
		meter_end(&first);
		meter_begin(&second);
		must("unmap", iommufd_unmap(bench->fd, bench->ioas, IOVA_BASE, KIB4,
					    NULL));
		meter_end(&second);
		sum.ticks = first.ticks + second.ticks;
		sum.ns = first.ns + second.ns;
		series_add(&map, &first);
		series_add(&unmap, &second);
		series_add(&both, &sum);
	}
	report_series("small", "both", &both, 1);
	report_series("small", "map", &map, 1);
	report_series("small", "unmap", &unmap, 1);
}

static void many_pages(const struct bench *bench, const struct memory *memory)
{
	struct series map = {}, unmap = {};

	for (int i = 0; i < MANY_ROUNDS; i++) {
		struct cost cost;

		meter_begin(&cost);
		for (size_t at = 0; at < MANY * KIB4; at += KIB4)
			must("map", iommufd_map_at(bench->fd, bench->ioas, memory->va + at,
						   KIB4, IOVA_BASE + at));
		meter_end(&cost);
		series_add(&map, &cost);
		meter_begin(&cost);
		must("unmap", iommufd_unmap_all(bench->fd, bench->ioas, NULL));
		meter_end(&cost);
		series_add(&unmap, &cost);
	}
	report_series("many", "map", &map, MANY);
	report_series("many", "unmap-all", &unmap, MANY);
}

void bench_small(const struct bench *bench)
{
	struct memory memory = memory_scattered(MANY * KIB4);

	one_page(bench, &memory);
	many_pages(bench, &memory);
	memory_free(&memory);
}
