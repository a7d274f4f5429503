/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What IO address spaces have to do, without doing it: areas, page tables and
 * accesses, and which pages are pinned for them. Each function returns the errno
 * that the kernel has to return, negative, and changes the model if it is 0.
 *
 * A page of a source is pinned once while anybody holds it: an area whose IOAS has
 * page tables, or an access that pinned it. All areas that were copied from each
 * other share a source; mapping the same memory again makes another one, which
 * pins and is charged again.
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

/* Pages of one memory that were mapped in one go */
struct source {
	int refs;			/* areas; 0: unused */
	struct memory *memory;
	uint64_t first;			/* page of the memory */
	unsigned int pages;		/* may reach beyond the memory's */
	bool file;			/* through its file, not through its address */
	bool writable;
	bool pinned[SOURCE_PAGES];
};

struct area {
	struct range iova;
	struct source *source;
	uint64_t start;			/* byte of the source */
	unsigned int rights;
};

struct ioas {
	uint32_t id;			/* 0: unused */
	bool small_pages;		/* large ones are forbidden */
	int hwpts, num_areas, num_allowed, num_reserved;
	struct area areas[MAX_AREAS];	/* by IOVA */
	struct range allowed[MAX_RANGES], reserved[MAX_RANGES];
};

struct hwpt {
	uint32_t id;			/* 0: unused */
	struct ioas *ioas;
	bool automatic;			/* goes with its last device */
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

/* What an access has pinned in one call */
struct item {
	struct access *access;		/* NULL: unused */
	struct range iova;
	uint32_t id;
};

struct model {
	enum account account;
	uint64_t limit;			/* pages; no matter for ACCOUNT_NONE */
	uint64_t pinned;		/* pages, as VmPin counts them */
	int num_memory;
	struct memory memory[MAX_MEMORY];
	struct source sources[MAX_SOURCES];
	struct ioas ioas[MAX_IOAS];
	struct hwpt hwpts[MAX_HWPTS];
	struct device devices[MAX_DEVICES];
	struct access accesses[MAX_ACCESSES];
	struct item items[MAX_ITEMS];
};

/* Counts anew what is pinned */
void model_count(struct model *m);

uint64_t ioas_alignment(const struct model *m, const struct ioas *s);
/* The ranges that IOVA_RANGES reports; their number, at most @most are written */
int ioas_usable(const struct ioas *s, struct range *ranges, int most);
/* The area that has @iova, and the address of that byte; NULL if there is none */
struct area *ioas_area(struct ioas *s, uint64_t iova);
bool area_is_accessed(const struct model *m, const struct ioas *s, const struct area *area);
/* The byte of the memory under an IOVA of an area, which may be beyond its end */
uint64_t area_byte(const struct area *area, uint64_t iova);

struct piece {
	struct source *source;
	uint64_t start, length;		/* bytes of the source */
};

/* A source for @length bytes from byte @start of a memory; belongs to nobody yet */
struct source *model_source(struct model *m, struct memory *memory, uint64_t start,
			    uint64_t length, bool file, bool writable);
int model_map(struct model *m, struct ioas *s, const struct piece *pieces, int num,
	      uint64_t length, bool fixed, uint64_t *iova, unsigned int rights);
/* The pieces that a copy takes: their number, or a negative errno */
int model_pieces(struct ioas *s, uint64_t iova, uint64_t length, struct piece *pieces);
/* @unmapped: bytes that are gone, whatever is returned */
int model_unmap(struct model *m, struct ioas *s, uint64_t start, uint64_t last,
		uint64_t *unmapped);

int model_reserve(struct ioas *s, uint64_t start, uint64_t last);
int model_allow(struct ioas *s, const struct range *ranges, int num);
int model_small_pages(struct model *m, struct ioas *s, bool small);

/* A page table more or less; a page table that is to vanish has no devices */
int model_add_hwpt(struct model *m, struct ioas *s, struct hwpt *hwpt);
void model_remove_hwpt(struct model *m, struct hwpt *hwpt);

/* @access: not used yet, or elsewhere now; what it has pinned there is given back */
int model_access_attach(struct model *m, struct access *access, struct ioas *s);
void model_access_detach(struct model *m, struct access *access);
int model_pin(struct model *m, struct access *access, uint64_t iova, uint64_t length,
	      bool write, struct item *item);
void model_unpin(struct model *m, struct item *item);

#endif
