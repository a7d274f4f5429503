/* SPDX-License-Identifier: GPL-2.0 */
/* The addresses of an IOAS, for the model alone: what is used, allowed and reserved. */
#ifndef IOAS_MODEL_IOVA_H
#define IOAS_MODEL_IOVA_H

#include "model.h"

/* Where page tables of the mock cannot be */
extern const struct range outside[2];

static inline bool overlap(const struct range *a, uint64_t start, uint64_t last)
{
	return a->start <= last && start <= a->last;
}

static inline bool overflows(uint64_t start, uint64_t length)
{
	return start + (length - 1) < start;
}

/* The lowest that overlaps, or NULL: of some ranges, of the areas, of what is reserved */
const struct range *among(const struct range *ranges, int num, uint64_t start, uint64_t last);
const struct range *area_among(const struct ioas *s, uint64_t start, uint64_t last);
const struct range *reserved_among(const struct ioas *s, uint64_t start, uint64_t last);

/* Whether all areas begin and end so */
bool fits_alignment(const struct ioas *s, uint64_t alignment);

/* Errnos: of an address that was asked for, and of one to be found for memory at @address */
int check_iova(const struct model *m, const struct ioas *s, uint64_t iova, uint64_t length);
int choose_iova(const struct model *m, const struct ioas *s, uint64_t address, uint64_t length,
		uint64_t *iova);

#endif
