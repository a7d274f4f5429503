// SPDX-License-Identifier: GPL-2.0
/* Memory of every kind; see the header. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"
#include "meter.h"
#include "system.h"

static struct memory memory_new(const char *name, void *va, size_t length)
{
	struct memory memory = {
		.name = name, .va = va, .length = length, .file = -1,
	};

	if (!va || va == MAP_FAILED)
		die(name, -ENOMEM);
	return memory;
}

/* Reserves @length bytes of unmapped addresses at a multiple of 2 MiB */
static char *reserve_addresses(size_t length)
{
	char *va = mmap(NULL, length + MIB2, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (va == MAP_FAILED)
		die("addresses", -errno);
	return (char *)(((uintptr_t)va + MIB2 - 1) & ~(MIB2 - 1));
}

static void touch(volatile char *va)
{
	*va = 1;
}

static void touch_in_order(const struct memory *memory, size_t page)
{
	for (size_t at = 0; at < memory->length; at += page)
		touch(memory->va + at);
}

static void touch_in_disorder(const struct memory *memory)
{
	size_t count = memory->length / KIB4;
	uint32_t *order = shuffled(count);

	for (size_t i = 0; i < count; i++)
		touch(memory->va + order[i] * KIB4);
	free(order);
}

struct memory memory_scattered(size_t length)
{
	struct memory memory = memory_new("scattered", alloc_small(length), length);

	touch_in_disorder(&memory);
	return memory;
}

struct memory memory_sequential(size_t length)
{
	struct memory memory = memory_new("sequential", alloc_small(length), length);

	touch_in_order(&memory, KIB4);
	return memory;
}

struct memory memory_thp(size_t length)
{
	struct memory memory = memory_new("thp", alloc_thp(length), length);

	touch_in_order(&memory, MIB2);
	if (!is_thp(memory.va))
		die("thp", -ENOMEM);
	return memory;
}

static int by_phys(const void *a, const void *b)
{
	uint64_t x = phys_of(*(char *const *)a), y = phys_of(*(char *const *)b);

	return (x > y) - (x < y);
}

/*
 * Returns the new index of the page with the @rank-th address of @count. A step
 * that has no divisor in common with @count visits all indices, and no page
 * follows the one before it in memory.
 */
static size_t place(size_t rank, size_t count, bool adjacent)
{
	return adjacent ? rank : rank * (count / 2 - 1) % count;
}

struct memory memory_hugetlb(size_t length)
{
	struct memory memory = memory_new("hugetlb", alloc_hugetlb(length), length);

	touch_in_order(&memory, MIB2);
	return memory;
}

/* Sorts the pages by physical address, and moves each to its place */
void memory_arrange(struct memory *memory, bool adjacent)
{
	size_t count = memory->length / MIB2;
	char **pages = calloc(count, sizeof(*pages));
	char *to;

	memory->name = adjacent ? "hugetlb-adjacent" : "hugetlb-apart";
	if (!pages)
		die(memory->name, -ENOMEM);
	for (size_t i = 0; i < count; i++)
		pages[i] = memory->va + i * MIB2;
	qsort(pages, count, sizeof(*pages), by_phys);
	to = reserve_addresses(memory->length);
	for (size_t i = 0; i < count; i++)
		if (mremap(pages[i], MIB2, MIB2, MREMAP_MAYMOVE | MREMAP_FIXED,
			   to + place(i, count, adjacent) * MIB2) == MAP_FAILED)
			die(memory->name, -errno);
	free(pages);
	memory->va = to;
}

static struct memory file_memory(const char *name, size_t length, unsigned int flags)
{
	int fd = memfd_create(name, flags);
	struct memory memory;
	char *at;

	if (fd < 0 || ftruncate(fd, length))
		die(name, -errno);
	at = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	memory = memory_new(name, at, length);
	memory.file = fd;
	return memory;
}

static struct memory small_file(void)
{
	struct memory memory = file_memory("memfd", FILE_LENGTH, 0);

	touch_in_disorder(&memory);
	return memory;
}

static struct memory huge_file(void)
{
	void *pool = alloc_hugetlb(FILE_LENGTH);
	struct memory memory;

	munmap(pool, FILE_LENGTH);
	memory = file_memory("hugetlb-memfd", FILE_LENGTH, MFD_HUGETLB);
	touch_in_order(&memory, MIB2);
	return memory;
}

const struct memory *memory_file(bool huge)
{
	static struct memory files[2];

	if (!files[huge].va)
		files[huge] = huge ? huge_file() : small_file();
	return &files[huge];
}

struct memory memory_repeated(size_t length, bool huge)
{
	const struct memory *file = memory_file(huge);
	struct memory memory;

	memory = memory_new(file->name, reserve_addresses(length), length);
	for (size_t at = 0; at < length; at += FILE_LENGTH) {
		size_t part = length - at < FILE_LENGTH ? length - at : FILE_LENGTH;

		if (mmap(memory.va + at, part, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED | MAP_POPULATE, file->file, 0) == MAP_FAILED)
			die(file->name, -errno);
	}
	return memory;
}

/* Reads the entries of /proc/self/pagemap for all of it */
static uint64_t *page_map(const struct memory *memory)
{
	size_t size = memory->length / KIB4 * sizeof(uint64_t);
	off_t at = (uintptr_t)memory->va / KIB4 * sizeof(uint64_t);
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t *map = malloc(size);

	if (fd < 0 || !map || pread(fd, map, size, at) != (ssize_t)size)
		die("pagemap", -EIO);
	close(fd);
	return map;
}

void memory_report(const struct memory *memory)
{
	uint64_t *map = page_map(memory);
	int64_t runs = 1;

	/* The low 55 bits are the frame; the others are the same for all */
	for (size_t i = 1; i < memory->length / KIB4; i++)
		if (map[i] != map[i - 1] + 1)
			runs++;
	free(map);
	report_value("runs", memory->name, runs);
}

void memory_free(struct memory *memory)
{
	munmap(memory->va, memory->length);
}
