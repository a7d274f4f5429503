/* SPDX-License-Identifier: GPL-2.0 */
/* The IOVAs of an IOAS in the model: areas, allowed ranges and reserved ranges */
#ifndef IOAS_MODEL_IOVA_H
#define IOAS_MODEL_IOVA_H

#include "model.h"

/* IOVAs outside the aperture of the mock IOMMU */
extern const struct range outside_aperture[2];

static inline bool overlap(const struct range *a, uint64_t start, uint64_t last)
{
	return a->start <= last && start <= a->last;
}

static inline bool overflows(uint64_t start, uint64_t length)
{
	return start + (length - 1) < start;
}

/*
 * Return the lowest range that overlaps @start to @last, or NULL: of an array, of the
 * areas, of the allowed ranges, and of the reserved ranges.
 */
const struct range *first_overlap(const struct range *ranges, int num, uint64_t start,
				  uint64_t last);
const struct range *overlapping_area(const struct ioas *s, uint64_t start, uint64_t last);
const struct range *overlapping_allowed(const struct ioas *s, uint64_t start, uint64_t last);
const struct range *overlapping_reserved(const struct ioas *s, uint64_t start, uint64_t last);

/* Whether the IOVAs and the memory of all areas have this alignment */
bool fits_alignment(const struct ioas *s, uint64_t alignment);

/* Returns 0 or the errno of a mapping at the fixed IOVA @iova */
int check_iova(const struct model *m, const struct ioas *s, uint64_t iova, uint64_t length);
/* Chooses an IOVA for memory at @address; 0 or a negative errno */
int choose_iova(const struct model *m, const struct ioas *s, uint64_t address, uint64_t length,
		uint64_t *iova);

#endif
