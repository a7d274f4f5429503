// SPDX-License-Identifier: GPL-2.0
/* The same calls over and over, for a profile of their instructions; see bench.h. */
#include <stdio.h>

#include "bench.h"
#include "iommufd.h"
#include "meter.h"

#define WARM 20

static void for_ever(const struct bench *bench, const struct memory *memory, size_t step)
{
	for (unsigned int round = 0;; round++) {
		for (size_t at = 0; at < memory->length; at += step)
			must("map", iommufd_map_at(bench->fd, bench->ioas, memory->va + at,
						   step, IOVA_BASE + at));
		must("unmap", iommufd_unmap_all(bench->fd, bench->ioas, NULL));
		if (round == WARM)
			puts("for-ever: warm");
	}
}

void bench_one_for_ever(const struct bench *bench)
{
	struct memory memory = memory_scattered(KIB4);

	for_ever(bench, &memory, KIB4);
}

void bench_many_for_ever(const struct bench *bench)
{
	struct memory memory = memory_scattered(2000 * KIB4);

	for_ever(bench, &memory, KIB4);
}

void bench_range_for_ever(const struct bench *bench)
{
	struct memory memory = memory_scattered(MIB2);

	for_ever(bench, &memory, MIB2);
}
