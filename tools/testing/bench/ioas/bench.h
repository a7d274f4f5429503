/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is measured, a function for each part of the report. All take an IOAS to
 * which a device is attached, with nothing mapped in it, and leave it so.
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

/* Where large ranges are mapped, aligned for every page size */
#define IOVA_BASE (4 * GIB)

/* range.c: one large range: map, unmap, copy, a second page table */
void bench_ranges(const struct bench *bench);

/* small.c: single pages, few and many */
void bench_small(const struct bench *bench);

/* growth.c: what a page costs as ranges grow, what a call costs as areas do */
void bench_growth(const struct bench *bench);

/* kernel_memory.c: what the kernel needs to have a GiB mapped */
void bench_kernel_memory(const struct bench *bench);

/* access.c: pages that the kernel pins, reads and writes */
void bench_access(const struct bench *bench);

/* parallel.c: small mappings while a large one is being made */
void bench_parallel(const struct bench *bench);

/* for_ever.c: one page, many pages one by one, many pages at once; do not return */
void bench_one_for_ever(const struct bench *bench);
void bench_many_for_ever(const struct bench *bench);
void bench_range_for_ever(const struct bench *bench);

#endif
