/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The generic page tables of the kernel and counters to measure them, as symbols
 * that Rust can call. generic_pt.rs repeats these declarations.
 */
#ifndef _GENERIC_PT_HELPERS_H
#define _GENERIC_PT_HELPERS_H

#include <linux/types.h>

struct device;
struct generic_pt;

enum generic_pt_format {
	GENERIC_PT_AMDV1,
	GENERIC_PT_VTDSS,
	GENERIC_PT_X86_64,
};

struct generic_pt_run {
	u64 phys;
	u64 length;
};

struct generic_pt *generic_pt_create(unsigned int format, struct device *iommu,
				     bool coherent);
void generic_pt_destroy(struct generic_pt *pt);
int generic_pt_map(struct generic_pt *pt, u64 iova, u64 phys, u64 length);
int generic_pt_map_runs(struct generic_pt *pt, u64 iova,
			const struct generic_pt_run *runs, size_t count);
u64 generic_pt_unmap(struct generic_pt *pt, u64 iova, u64 length);
u64 generic_pt_translate(struct generic_pt *pt, u64 iova);
void generic_pt_read(struct generic_pt *pt, u64 iova, u64 granule, u64 *phys,
		     size_t count);

u64 generic_pt_ticks(void);
void generic_pt_spin(u64 rounds);
long generic_pt_table_pages(void);

#endif
