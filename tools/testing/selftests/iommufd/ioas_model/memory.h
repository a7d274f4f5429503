/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory that is mapped: some of every kind, with a copy of what its bytes
 * have to be. Behind the last page of each there is none.
 */
#ifndef IOAS_MODEL_MEMORY_H
#define IOAS_MODEL_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE 4096UL
#define MIB2 (2UL << 20)
#define MAX_PAGES 1024		/* of one memory */
#define MAX_MEMORY 10

struct memory {
	const char *name;
	char *va;		/* NULL: nothing for the CPU */
	int fd;			/* -1: no file */
	unsigned int pages;
	bool compound;		/* huge pages: their pins are not to be seen */
	bool read_only;
	bool no_memory;		/* a file that is none of memory */
	bool dmabuf;
	bool revoked;		/* a dma-buf, at the moment */
	char *shadow;		/* what has to be at va */
	unsigned int pins[MAX_PAGES];	/* expected for each page */
};

/* Fills in as much as the system has; the number of it, or a negative errno */
int memory_create(struct memory *all, int iommufd);
void memory_destroy(struct memory *all, int num);

/* Brings the copy up to date, where the bytes are not settled */
void memory_accept(struct memory *memory, uint64_t start, uint64_t length);
/* Whether the bytes are what they have to be */
bool memory_is_right(const struct memory *memory, uint64_t start, uint64_t length);

#endif
