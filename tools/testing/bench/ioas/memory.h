/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kinds of memory that are mapped. All pages are touched, and have the
 * physical addresses that the name implies. The report has the actual number of
 * physically contiguous runs.
 */
#ifndef BENCH_IOAS_MEMORY_H
#define BENCH_IOAS_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB4 4096UL
#define MIB (1UL << 20)
#define MIB2 (2 * MIB)
#define GIB (1UL << 30)

struct memory {
	const char *name;
	char *va;
	size_t length;
	int file;	/* to be mapped by MAP_FILE, else -1 */
};

/* Small pages, touched in random order and in order */
struct memory memory_scattered(size_t length);
struct memory memory_sequential(size_t length);

/* Transparent huge pages */
struct memory memory_thp(size_t length);

/* 2 MiB pages of hugetlbfs, at any physical addresses ... */
struct memory memory_hugetlb(size_t length);

/* ... until they are rearranged so that all are physically adjacent, or none */
void memory_arrange(struct memory *memory, bool adjacent);

/*
 * A file in memory of FILE_LENGTH bytes, created once and kept: small pages touched
 * in random order, or 2 MiB pages.
 */
#define FILE_LENGTH (128 * MIB)
const struct memory *memory_file(bool huge);

/*
 * @length bytes of addresses at which that file is mapped repeatedly, for ranges
 * that are larger than memory.
 */
struct memory memory_repeated(size_t length, bool huge);

/* Prints the number of runs */
void memory_report(const struct memory *memory);

void memory_free(struct memory *memory);

#endif
