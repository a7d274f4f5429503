// SPDX-License-Identifier: GPL-2.0
/* The memory that the model maps */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"
#include "system.h"
#include "test_cmd.h"

#define GUARD MIB2

/* Finds addresses for @length bytes, aligned to 2 MiB, with unmapped addresses on both sides */
static char *find_addresses(size_t length)
{
	char *p = mmap(NULL, length + 3 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	return (char *)(((uintptr_t)p + 2 * GUARD - 1) & ~(GUARD - 1));
}

static char *map(size_t length, int flags, int fd)
{
	char *at = find_addresses(length);

	if (!at)
		return NULL;
	at = mmap(at, length, PROT_READ | PROT_WRITE, MAP_FIXED | flags, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

/* Writes to all pages, so that they are allocated, and creates the shadow copy */
static int fill(struct memory *memory)
{
	size_t length = memory->pages * PAGE;

	for (size_t i = 0; i < length; i++)
		memory->va[i] = i * 31 + i / PAGE;
	memory->shadow = malloc(length);
	if (!memory->shadow)
		return -ENOMEM;
	memcpy(memory->shadow, memory->va, length);
	return memory->read_only && mprotect(memory->va, length, PROT_READ) ? -errno : 0;
}

static int anonymous(struct memory *memory, int advice)
{
	memory->va = map(memory->pages * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (!memory->va || madvise(memory->va, memory->pages * PAGE, advice))
		return -ENOMEM;
	return fill(memory);
}

static int shared(struct memory *memory)
{
	memory->va = map(memory->pages * PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);
	return memory->va ? fill(memory) : -ENOMEM;
}

static int hugetlb(struct memory *memory)
{
	memory->va = map(memory->pages * PAGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
	return memory->va ? fill(memory) : -ENOMEM;
}

static int file(struct memory *memory, unsigned int flags)
{
	memory->fd = memfd_create("ioas_model", flags);
	if (memory->fd < 0 || ftruncate(memory->fd, memory->pages * PAGE))
		return -ENOMEM;
	memory->va = map(memory->pages * PAGE, MAP_SHARED, memory->fd);
	return memory->va ? fill(memory) : -ENOMEM;
}

static int unpinnable(struct memory *memory)
{
	memory->fd = open("/proc/self/maps", O_RDONLY);
	return memory->fd < 0 ? -errno : 0;
}

static void enlarge_pool(void)
{
	void *pool = alloc_hugetlb(4 * MIB2);

	if (pool)
		munmap(pool, 4 * MIB2);
}

static int create(struct memory *memory, int kind, int iommufd)
{
	switch (kind) {
	case 0:
		*memory = (struct memory){ .name = "small", .pages = 64 };
		return anonymous(memory, MADV_NOHUGEPAGE);
	case 1:
		*memory = (struct memory){ .name = "thp", .pages = 1024, .compound = true };
		return anonymous(memory, MADV_HUGEPAGE);
	case 2:
		*memory = (struct memory){ .name = "shared", .pages = 32 };
		return shared(memory);
	case 3:
		*memory = (struct memory){ .name = "read-only", .pages = 16, .read_only = true };
		return anonymous(memory, MADV_NOHUGEPAGE);
	case 4:
		*memory = (struct memory){ .name = "file", .pages = 64 };
		return file(memory, 0);
	case 5:
		*memory = (struct memory){ .name = "dma-buf", .pages = 16, .dmabuf = true };
		return test_dmabuf_create(iommufd, memory->pages * PAGE, &memory->fd);
	case 6:
		*memory = (struct memory){ .name = "unpinnable", .pages = 16, .unpinnable = true };
		return unpinnable(memory);
	case 7:
		*memory = (struct memory){ .name = "hugetlb", .pages = 512, .compound = true };
		return hugetlb(memory);
	case 8:
		*memory = (struct memory){ .name = "huge file", .pages = 1024, .compound = true };
		return file(memory, MFD_HUGETLB);
	}
	return -ENOENT;
}

int memory_create(struct memory *all, int iommufd)
{
	int num = 0;

	enlarge_pool();
	for (int kind = 0; kind < 9; kind++) {
		struct memory *memory = &all[num];
		int rc = create(memory, kind, iommufd);

		if (memory->fd <= 0)
			memory->fd = -1;
		if (!rc)
			num++;
		else if (!memory->compound)
			return rc;	/* only huge pages may be unavailable */
	}
	return num;
}

void memory_destroy(struct memory *all, int num)
{
	for (int i = 0; i < num; i++) {
		if (all[i].va)
			munmap(all[i].va - GUARD, all[i].pages * PAGE + 2 * GUARD);
		if (all[i].fd >= 0)
			close(all[i].fd);
		free(all[i].shadow);
	}
}

/* Returns @length, limited to the end of the memory */
static uint64_t clip(const struct memory *memory, uint64_t start, uint64_t length)
{
	uint64_t end = memory->pages * PAGE;

	if (start >= end)
		return 0;
	return length < end - start ? length : end - start;
}

void memory_accept(struct memory *memory, uint64_t start, uint64_t length)
{
	memcpy(memory->shadow + start, memory->va + start, clip(memory, start, length));
}

bool memory_matches(const struct memory *memory, uint64_t start, uint64_t length)
{
	length = clip(memory, start, length);
	return !memory->va || !memcmp(memory->va + start, memory->shadow + start, length);
}
