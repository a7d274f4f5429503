// SPDX-License-Identifier: GPL-2.0
/*
 * Memory for IO page tables: the functions of drivers/iommu/iommu-pages.h as
 * symbols, and tables that are freed after an RCU grace period.
 */
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/kasan.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#ifdef CONFIG_X86
#include <asm/cacheflush.h>
#endif

#include "helpers.h"

#ifndef PHYS_OFFSET
#define PHYS_OFFSET 0UL
#endif

unsigned long kernel_ext_linear_map_offset(void)
{
	return (unsigned long)__va(PHYS_OFFSET) - (unsigned long)PHYS_OFFSET;
}

void *kernel_ext_table_alloc(struct device *iommu, size_t size, gfp_t gfp,
			     bool coherent)
{
	void *table = iommu_alloc_pages_node_sz(dev_to_node(iommu), gfp, size);

	if (table && !coherent && iommu_pages_start_incoherent(table, iommu)) {
		iommu_free_pages(table);
		return NULL;
	}
	/* Rust computes the physical address, of which a KASAN tag is not a part. */
	return kasan_reset_tag(table);
}

/*
 * Ends the DMA mapping of a table that no device accesses any more. The CPU may
 * still read it.
 */
static void table_stop(struct device *iommu, void *table)
{
#ifndef CONFIG_X86
	struct iommu_pages_list list = IOMMU_PAGES_LIST_INIT(list);

	list_add(&virt_to_page(table)->lru, &list.pages);
	iommu_pages_stop_incoherent_list(&list, iommu);
#endif
}

void kernel_ext_table_free(struct device *iommu, void *table, bool coherent)
{
	if (!coherent)
		table_stop(iommu, table);
	iommu_free_pages(table);
}

void kernel_ext_table_flush(struct device *iommu, void *start, size_t length)
{
#ifdef CONFIG_X86
	clflush_cache_range(start, length);
#else
	dma_sync_single_for_device(iommu, virt_to_phys(start), length,
				   DMA_TO_DEVICE);
#endif
}

/*
 * Puts a table in front of the list @next, and returns the new list. The list is
 * linked by the private field of the pages, which tables do not use otherwise.
 */
void *kernel_ext_table_retire(void *next, void *table)
{
	set_page_private(virt_to_page(table), (unsigned long)next);
	return table;
}

static void tables_free_rcu(struct rcu_head *head)
{
	struct page *page = container_of(head, struct page, rcu_head);
	void *table = page_address(page);

	while (table) {
		void *next;

		page = virt_to_page(table);
		next = (void *)page_private(page);
		set_page_private(page, 0);
		iommu_free_pages(table);
		table = next;
	}
}

void kernel_ext_tables_reclaim(struct device *iommu, void *first,
			       bool coherent)
{
	void *table;

	if (!coherent) {
		for (table = first; table;
		     table = (void *)page_private(virt_to_page(table)))
			table_stop(iommu, table);
	}
	call_rcu(&virt_to_page(first)->rcu_head, tables_free_rcu);
}
