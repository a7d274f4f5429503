// SPDX-License-Identifier: GPL-2.0
/* Small mappings while another thread makes a large one; see bench.h. */
#include <pthread.h>
#include <stdatomic.h>

#include "bench.h"
#include "iommufd.h"
#include "meter.h"

#define LENGTH GIB

struct large {
	const struct bench *bench;
	struct memory memory;
	struct cost cost;
	atomic_bool begun;
	atomic_bool done;
};

static void *map_large(void *arg)
{
	struct large *large = arg;

	meter_begin(&large->cost);
	atomic_store(&large->begun, true);
	must("map", iommufd_map_at(large->bench->fd, large->bench->ioas,
				   large->memory.va, LENGTH, IOVA_BASE));
	atomic_store(&large->done, true);
	meter_end(&large->cost);
	return NULL;
}

static struct cost one_small(const struct bench *bench, const struct memory *memory)
{
	struct cost cost;

	meter_begin(&cost);
	must("map", iommufd_map_at(bench->fd, bench->ioas, memory->va, KIB4, MIB2));
	must("unmap", iommufd_unmap(bench->fd, bench->ioas, MIB2, KIB4, NULL));
	meter_end(&cost);
	return cost;
}

/* Reports the longest of the small mappings that ended before the large one, and their number */
void bench_parallel(const struct bench *bench)
{
	struct large large = { .bench = bench };
	struct memory memory = memory_sequential(MIB2);
	struct cost longest = {};
	int64_t meanwhile = 0;
	pthread_t thread;

	large.memory = memory_repeated(LENGTH, false);
	must("thread", -pthread_create(&thread, NULL, map_large, &large));
	while (!atomic_load(&large.begun))
		;
	for (;;) {
		struct cost cost = one_small(bench, &memory);

		if (atomic_load(&large.done))
			break;
		meanwhile++;
		if (cost.ns > longest.ns)
			longest = cost;
	}
	pthread_join(thread, NULL);
	must("unmap", iommufd_unmap(bench->fd, bench->ioas, IOVA_BASE, LENGTH, NULL));
	report_value("parallel", "small-meanwhile", meanwhile);
	report_cost("parallel", "longest-small", longest, 1);
	report_cost("parallel", "large", large.cost, LENGTH / KIB4);
	memory_free(&large.memory);
	memory_free(&memory);
}
