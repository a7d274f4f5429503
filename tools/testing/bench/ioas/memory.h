/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory of every kind that is mapped, touched, with its pages where its name
 * says that they are. The report has how many physically contiguous runs there
 * really were.
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

/* Small pages, touched in disorder and in order */
struct memory memory_scattered(size_t length);
struct memory memory_sequential(size_t length);

/* Transparent huge pages */
struct memory memory_thp(size_t length);

/* 2 MiB pages of hugetlbfs, which stand wherever they came from ... */
struct memory memory_hugetlb(size_t length);

/* ... until each is put in front of the next in physical memory, or none is */
void memory_arrange(struct memory *memory, bool adjacent);

/*
 * A file in memory of FILE_LENGTH bytes, made once and kept: small pages touched
 * in disorder, or 2 MiB pages.
 */
#define FILE_LENGTH (128 * MIB)
const struct memory *memory_file(bool huge);

/*
 * @length bytes of addresses, which are plentiful where memory is not: behind
 * them there is that file over and over.
 */
struct memory memory_repeated(size_t length, bool huge);

/* Says what came out */
void memory_report(const struct memory *memory);

void memory_free(struct memory *memory);

#endif
