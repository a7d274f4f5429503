/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory that the model maps: one of each kind, with a shadow copy of the expected
 * contents. The addresses after the last page of each are not mapped.
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
	char *va;		/* NULL: not mapped in the process */
	int fd;			/* -1: no file */
	unsigned int pages;
	bool compound;		/* huge pages, whose pins cannot be checked */
	bool read_only;
	bool unpinnable;	/* a file whose pages cannot be pinned */
	bool dmabuf;
	bool revoked;		/* the dma-buf is revoked now */
	char *shadow;		/* expected contents of @va */
	unsigned int pins[MAX_PAGES];	/* expected pins of each page */
};

/* Allocates all kinds that the system has; returns their number or a negative errno */
int memory_create(struct memory *all, int iommufd);
void memory_destroy(struct memory *all, int num);

/* Copies the contents to the shadow, for bytes that the model does not predict */
void memory_accept(struct memory *memory, uint64_t start, uint64_t length);
/* Whether the contents are those of the shadow */
bool memory_matches(const struct memory *memory, uint64_t start, uint64_t length);

#endif
