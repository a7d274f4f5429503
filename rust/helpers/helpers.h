/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Declarations for the Rust abstractions that bindgen cannot generate: inline
 * functions and macros as symbols, and prototypes from private headers of the
 * kernel.
 */
#ifndef _KERNEL_EXT_HELPERS_H
#define _KERNEL_EXT_HELPERS_H

#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/rwsem.h>
#include <linux/sched/user.h>

/* drivers/iommu/iommu-pages.h is not installed with kernel headers. */
void *iommu_alloc_pages_node_sz(int nid, gfp_t gfp, size_t size);
void iommu_free_pages(void *virt);
int iommu_pages_start_incoherent(void *virt, struct device *dma_dev);
#ifndef CONFIG_X86
void iommu_pages_stop_incoherent_list(struct iommu_pages_list *list,
				      struct device *dma_dev);
#endif

void kernel_ext_down_write_nest_lock(struct rw_semaphore *sem,
				     struct rw_semaphore *outer);

bool kernel_ext_iommu_enforce_cache_coherency(struct iommu_domain *domain);
int kernel_ext_pci_pasid_control(struct device *dev);
void kernel_ext_iotlb_gather_init(struct iommu_iotlb_gather *gather);
void kernel_ext_iotlb_sync(struct iommu_domain *domain,
			   struct iommu_iotlb_gather *gather);

struct iova_bitmap;

struct iova_bitmap *kernel_ext_iova_bitmap_alloc(unsigned long iova,
						 size_t length,
						 unsigned long page_size,
						 u64 __user *data);
void kernel_ext_iova_bitmap_free(struct iova_bitmap *bitmap);
void kernel_ext_iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova,
				size_t length);
bool kernel_ext_yield(void);

void kernel_ext_module_get(struct module *module);
void kernel_ext_module_put(struct module *module);
void kernel_ext_iommu_registry_lock(void);
void kernel_ext_iommu_registry_unlock(void);
void kernel_ext_iommu_instances_down_read(void);
void kernel_ext_iommu_instances_up_read(void);
void kernel_ext_iommu_instances_down_write(void);
void kernel_ext_iommu_instances_up_write(void);
struct iommu_group *kernel_ext_pci_device_group(struct device *dev);

void *kernel_ext_kmalloc_account(size_t size);
unsigned long kernel_ext_page_to_pfn(struct page *page);
void *kernel_ext_page_address(struct page *page);
struct page *kernel_ext_pfn_to_page(unsigned long pfn);
unsigned long kernel_ext_folio_nr_pages(struct folio *folio);
struct folio *kernel_ext_hugetlb_folio(struct page *page, unsigned long *npages,
				       unsigned long *index);
void kernel_ext_copy_from_page(void *to, struct page *page, size_t offset,
			       size_t length);
void kernel_ext_copy_to_page(struct page *page, size_t offset, const void *from,
			     size_t length);
int kernel_ext_memory_file_seals(struct file *file);
bool kernel_ext_file_is_writable(struct file *file);
int kernel_ext_file_map_writable(struct file *file);
void kernel_ext_file_unmap_writable(struct file *file);
void kernel_ext_mm_add_pinned(struct mm_struct *mm, long npages);

unsigned long kernel_ext_linear_map_offset(void);
void *kernel_ext_table_alloc(struct device *iommu, size_t size, gfp_t gfp,
			     bool coherent);
void kernel_ext_table_free(struct device *iommu, void *table, bool coherent);
void kernel_ext_table_flush(struct device *iommu, void *start, size_t length);
void *kernel_ext_table_retire(void *next, void *table);
void kernel_ext_tables_reclaim(struct device *iommu, void *first,
			       bool coherent);

struct user_struct *kernel_ext_get_current_user(void);
void kernel_ext_get_user(struct user_struct *user);
unsigned long kernel_ext_memlock_limit(struct task_struct *task);
bool kernel_ext_user_charge(struct user_struct *user, unsigned long npages,
			    unsigned long limit);
void kernel_ext_user_uncharge(struct user_struct *user, unsigned long npages);
unsigned long kernel_ext_user_locked(struct user_struct *user);
int kernel_ext_mm_account(struct mm_struct *mm, struct task_struct *task,
			  unsigned long npages, bool charge);
unsigned long kernel_ext_mm_locked(struct mm_struct *mm);
void kernel_ext_report_user_limit(struct task_struct *task,
				  struct user_struct *user,
				  unsigned long wanted, unsigned long used,
				  unsigned long limit);
void kernel_ext_report_mm_limit(struct task_struct *task, unsigned long wanted,
				unsigned long used, unsigned long limit);

struct dma_buf;
struct dma_buf_attachment;
struct dma_buf_ops;

int kernel_ext_dma_buf_phys(struct dma_buf_attachment *attachment,
			    struct phys_vec *phys);
struct dma_buf *kernel_ext_dma_buf_export(const struct dma_buf_ops *ops,
					  size_t size, int flags, void *priv);

#ifdef CONFIG_IOMMUFD_RUST_TEST
#include "test.h"
#endif

#endif
