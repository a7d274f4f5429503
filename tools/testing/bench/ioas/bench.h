/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the report, a function for each. All take an empty IOAS to which a
 * device is attached, and leave it empty.
 */
#ifndef BENCH_IOAS_BENCH_H
#define BENCH_IOAS_BENCH_H

#include <stdint.h>

#include "memory.h"

struct bench {
	int fd;			/* of /dev/iommu */
	uint32_t ioas;
	uint32_t device;	/* the device that is attached */
	uint32_t other_ioas;	/* has a device of its own */
};

/* The IOVA of large ranges, aligned for every page size */
#define IOVA_BASE (4 * GIB)

/* range.c: one large range: map, unmap, copy, a second page table */
void bench_ranges(const struct bench *bench);

/* small.c: single pages, few and many */
void bench_small(const struct bench *bench);

/* growth.c: the cost of a page by the length of a range, and of a call by the number of areas */
void bench_growth(const struct bench *bench);

/* kernel_memory.c: the kernel memory for a GiB that is mapped */
void bench_kernel_memory(const struct bench *bench);

/* access.c: pages that the kernel pins, reads and writes */
void bench_access(const struct bench *bench);

/* parallel.c: small mappings during a large one */
void bench_parallel(const struct bench *bench);

/* for_ever.c: one page, many pages one by one, many pages at once; do not return */
void bench_one_for_ever(const struct bench *bench);
void bench_many_for_ever(const struct bench *bench);
void bench_range_for_ever(const struct bench *bench);

#endif
