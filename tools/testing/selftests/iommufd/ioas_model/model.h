/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of IO address spaces: areas, page tables and accesses, and the pages that are
 * pinned for them. Each function that returns int returns the expected result of the
 * kernel: a negative errno, or 0 after it has changed the model.
 *
 * A page of a source is pinned once, as long as an area whose IOAS has page tables, or
 * an access, needs it. An area and its copies share a source. Mapping the same memory
 * again creates another source, whose pages are pinned and charged again.
 */
#ifndef IOAS_MODEL_MODEL_H
#define IOAS_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "memory.h"
#include "test_cmd.h"

#define MAX_IOAS 3
#define MAX_AREAS 40
#define MAX_SOURCES (MAX_IOAS * MAX_AREAS + 1)
#define MAX_HWPTS 6
#define MAX_DEVICES 4
#define MAX_ACCESSES 4
#define MAX_ITEMS 12
#define MAX_RANGES 8
#define SOURCE_PAGES (MAX_PAGES + 8)

#define RIGHT_READ 1U
#define RIGHT_WRITE 2U

enum account { ACCOUNT_NONE, ACCOUNT_USER, ACCOUNT_PROCESS };

struct range {
	uint64_t start, last;
};

/* Pages of one memory that one map command has mapped */
struct source {
	int refs;			/* number of areas; 0: unused */
	struct memory *memory;
	uint64_t first;			/* first page, counted from the start of the memory */
	unsigned int pages;		/* may extend beyond the end of the memory */
	bool file;			/* mapped by file descriptor, not by address */
	bool writable;
	bool pinned[SOURCE_PAGES];
};

struct area {
	struct range iova;
	struct source *source;
	uint64_t start;			/* first byte, counted from the start of the source */
	unsigned int rights;
};

struct ioas {
	uint32_t id;			/* 0: unused */
	bool small_pages;		/* IOMMU_OPTION_HUGE_PAGES is 0 */
	int hwpts, num_areas, num_allowed, num_reserved;
	struct area areas[MAX_AREAS];	/* in the order of IOVAs */
	struct range allowed[MAX_RANGES], reserved[MAX_RANGES];
};

struct hwpt {
	uint32_t id;			/* 0: unused */
	struct ioas *ioas;
	bool automatic;			/* freed with its last device */
	int devices;
};

struct device {
	struct mock_ids ids;		/* ids.stdev 0: unused */
	struct hwpt *hwpt;
};

struct access {
	int fd;				/* -1: unused */
	struct ioas *ioas;
	bool pins;
};

/* IOVAs that an access has pinned in one call */
struct item {
	struct access *access;		/* NULL: unused */
	struct range iova;
	uint32_t id;
};

struct model {
	enum account account;
	uint64_t limit;			/* pages; not used with ACCOUNT_NONE */
	uint64_t pinned;		/* pages, as counted in VmPin */
	int num_memory;
	struct memory memory[MAX_MEMORY];
	struct source sources[MAX_SOURCES];
	struct ioas ioas[MAX_IOAS];
	struct hwpt hwpts[MAX_HWPTS];
	struct device devices[MAX_DEVICES];
	struct access accesses[MAX_ACCESSES];
	struct item items[MAX_ITEMS];
};

/* Recalculates the pins and the charge */
void model_count(struct model *m);

uint64_t ioas_alignment(const struct model *m, const struct ioas *s);
/* Writes at most @most of the ranges that IOVA_RANGES returns; returns their total number */
int ioas_usable(const struct ioas *s, struct range *ranges, int most);
/* The area that contains @iova, or NULL */
struct area *ioas_area(struct ioas *s, uint64_t iova);
bool area_is_accessed(const struct model *m, const struct ioas *s, const struct area *area);
/* Offset of an IOVA in the memory of its area; may be beyond the end of the memory */
uint64_t area_byte(const struct area *area, uint64_t iova);

/* Part of a source */
struct piece {
	struct source *source;
	uint64_t start, length;		/* in bytes */
};

/* Initialises an unused source for @length bytes at offset @start of a memory; refs is 0 */
struct source *model_source(struct model *m, struct memory *memory, uint64_t start,
			    uint64_t length, bool file, bool writable);
int model_map(struct model *m, struct ioas *s, const struct piece *pieces, int num,
	      uint64_t length, bool fixed, uint64_t *iova, unsigned int rights);
/* Finds the pieces that a copy maps; returns their number or a negative errno */
int model_pieces(struct ioas *s, uint64_t iova, uint64_t length, struct piece *pieces);
/* @unmapped: number of bytes that were unmapped, also set on error */
int model_unmap(struct model *m, struct ioas *s, uint64_t start, uint64_t last,
		uint64_t *unmapped);

int model_reserve(struct ioas *s, uint64_t start, uint64_t last);
int model_allow(struct ioas *s, const struct range *ranges, int num);
int model_small_pages(struct model *m, struct ioas *s, bool small);

/* Add and remove a page table; one that is removed must have no devices */
int model_add_hwpt(struct model *m, struct ioas *s, struct hwpt *hwpt);
void model_remove_hwpt(struct model *m, struct hwpt *hwpt);

/* Attaches a new access, or moves one from another IOAS after unpinning its items */
int model_access_attach(struct model *m, struct access *access, struct ioas *s);
void model_access_detach(struct model *m, struct access *access);
int model_pin(struct model *m, struct access *access, uint64_t iova, uint64_t length,
	      bool write, struct item *item);
void model_unpin(struct model *m, struct item *item);

#endif
