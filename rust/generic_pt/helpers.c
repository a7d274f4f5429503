// SPDX-License-Identifier: GPL-2.0
/*
 * The generic page tables of the kernel, used as an IOMMU driver does, but
 * without a driver. No IOMMU walks these tables, so only CPU caches are flushed.
 *
 * Each call from Rust is one call here. The work of a C caller around the
 * functions of the page table (the gather, the list of freed tables) is done
 * here, so that it is compiled by the C compiler.
 */
#include <linux/generic_pt/iommu.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmstat.h>
#include <asm/timex.h>

#include "helpers.h"

/* drivers/iommu/iommu-pages.h is not installed with kernel headers. */
void iommu_put_pages_list(struct iommu_pages_list *list);

#define PROT (IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE)

/* Four levels of 512 entries, as the Rust page tables have. */
#define VA_BITS 48
#define OA_BITS 52
#define TOP_LEVEL 3

struct generic_pt {
	union {
		struct pt_iommu iommu;
		struct pt_iommu_amdv1 amdv1;
		struct pt_iommu_vtdss vtdss;
		struct pt_iommu_x86_64 x86_64;
	};
	phys_addr_t (*iova_to_phys)(struct iommu_domain *domain,
				    dma_addr_t iova);
	spinlock_t top_lock;
};

/* The AMD format can add levels at the top; these tables start with all four. */
static void change_top(struct pt_iommu *iommu, phys_addr_t top,
		       unsigned int level)
{
}

static spinlock_t *get_top_lock(struct pt_iommu *iommu)
{
	return &container_of(iommu, struct generic_pt, iommu)->top_lock;
}

static const struct pt_iommu_driver_ops driver_ops = {
	.change_top = change_top,
	.get_top_lock = get_top_lock,
};

static int init_amdv1(struct generic_pt *pt, unsigned int walker)
{
	struct pt_iommu_amdv1_cfg cfg = {
		.common.features = BIT(PT_FEAT_DYNAMIC_TOP) |
				   BIT(PT_FEAT_FLUSH_RANGE) |
				   BIT(PT_FEAT_AMDV1_ENCRYPT_TABLES) |
				   BIT(PT_FEAT_AMDV1_FORCE_COHERENCE) | walker,
		.common.hw_max_vasz_lg2 = VA_BITS,
		.common.hw_max_oasz_lg2 = OA_BITS,
		.starting_level = TOP_LEVEL,
	};

	pt->iommu.driver_ops = &driver_ops;
	pt->iova_to_phys = pt_iommu_amdv1_iova_to_phys;
	return pt_iommu_amdv1_init(&pt->amdv1, &cfg, GFP_KERNEL);
}

static int init_vtdss(struct generic_pt *pt, unsigned int walker)
{
	struct pt_iommu_vtdss_cfg cfg = {
		.common.features = BIT(PT_FEAT_FLUSH_RANGE) | walker,
		.common.hw_max_vasz_lg2 = VA_BITS,
		.common.hw_max_oasz_lg2 = OA_BITS,
		.top_level = TOP_LEVEL,
	};

	pt->iova_to_phys = pt_iommu_vtdss_iova_to_phys;
	return pt_iommu_vtdss_init(&pt->vtdss, &cfg, GFP_KERNEL);
}

static int init_x86_64(struct generic_pt *pt, unsigned int walker)
{
	struct pt_iommu_x86_64_cfg cfg = {
		.common.features = BIT(PT_FEAT_SIGN_EXTEND) |
				   BIT(PT_FEAT_FLUSH_RANGE) | walker,
		.common.hw_max_vasz_lg2 = VA_BITS,
		.common.hw_max_oasz_lg2 = OA_BITS,
		.top_level = TOP_LEVEL,
	};

	pt->iova_to_phys = pt_iommu_x86_64_iova_to_phys;
	return pt_iommu_x86_64_init(&pt->x86_64, &cfg, GFP_KERNEL);
}

/* Returns NULL if memory is short or the format does not support such tables. */
struct generic_pt *generic_pt_create(unsigned int format, struct device *iommu,
				     bool coherent)
{
	unsigned int walker = coherent ? 0 : BIT(PT_FEAT_DMA_INCOHERENT);
	struct generic_pt *pt = kzalloc(sizeof(*pt), GFP_KERNEL);
	int ret = -EINVAL;

	if (!pt)
		return NULL;
	spin_lock_init(&pt->top_lock);
	pt->iommu.iommu_device = iommu;
	pt->iommu.nid = dev_to_node(iommu);
	switch (format) {
	case GENERIC_PT_AMDV1:
		ret = init_amdv1(pt, walker);
		break;
	case GENERIC_PT_VTDSS:
		ret = init_vtdss(pt, walker);
		break;
	case GENERIC_PT_X86_64:
		ret = init_x86_64(pt, walker);
		break;
	}
	if (ret) {
		kfree(pt);
		return NULL;
	}
	return pt;
}

void generic_pt_destroy(struct generic_pt *pt)
{
	pt_iommu_deinit(&pt->iommu);
	kfree(pt);
}

int generic_pt_map(struct generic_pt *pt, u64 iova, u64 phys, u64 length)
{
	size_t mapped = 0;

	return pt->iommu.ops->map_range(&pt->iommu, iova, phys, length, PROT,
					GFP_KERNEL, &mapped);
}

int generic_pt_map_runs(struct generic_pt *pt, u64 iova,
			const struct generic_pt_run *runs, size_t count)
{
	size_t mapped = 0, i;
	int ret;

	for (i = 0; i < count; i++) {
		ret = pt->iommu.ops->map_range(&pt->iommu, iova + mapped,
					       runs[i].phys, runs[i].length,
					       PROT, GFP_KERNEL, &mapped);
		if (ret)
			return ret;
	}
	return 0;
}

u64 generic_pt_unmap(struct generic_pt *pt, u64 iova, u64 length)
{
	struct iommu_iotlb_gather gather;
	size_t unmapped;

	iommu_iotlb_gather_init(&gather);
	unmapped = pt->iommu.ops->unmap_range(&pt->iommu, iova, length,
					      &gather);
	iommu_put_pages_list(&gather.freelist);
	return unmapped;
}

u64 generic_pt_translate(struct generic_pt *pt, u64 iova)
{
	return pt->iova_to_phys(&pt->iommu.domain, iova);
}

/* Looks up each page with one call, as iommufd does before it unmaps. */
void generic_pt_read(struct generic_pt *pt, u64 iova, u64 granule, u64 *phys,
		     size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		phys[i] = pt->iova_to_phys(&pt->iommu.domain,
					   iova + i * granule);
}

u64 generic_pt_ticks(void)
{
	return get_cycles();
}

/* Each round is two instructions. */
void generic_pt_spin(u64 rounds)
{
	asm volatile("1: dec %0\n\tjnz 1b" : "+r"(rounds) : : "cc");
}

/*
 * Includes the per-CPU differences, so that the number is exact if no tables are
 * allocated or freed during the call.
 */
long generic_pt_table_pages(void)
{
	long pages = atomic_long_read(&vm_node_stat[NR_IOMMU_PAGES]);
#ifdef CONFIG_SMP
	int node, cpu;

	for_each_online_node(node)
		for_each_online_cpu(cpu)
			pages += per_cpu_ptr(NODE_DATA(node)->per_cpu_nodestats,
					     cpu)
					 ->vm_node_stat_diff[NR_IOMMU_PAGES];
#endif
	return pages;
}

MODULE_IMPORT_NS("GENERIC_PT_IOMMU");
