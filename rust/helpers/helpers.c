// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions and macros of the kernel as symbols that Rust can call. The
 * logic is in Rust.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/iova_bitmap.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci-ats.h>
#include <linux/pci.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/uidgid.h>

#include "helpers.h"

void kernel_ext_down_write_nest_lock(struct rw_semaphore *sem,
				     struct rw_semaphore *outer)
{
	down_write_nest_lock(sem, outer);
}

bool kernel_ext_iommu_enforce_cache_coherency(struct iommu_domain *domain)
{
	return domain->ops->enforce_cache_coherency &&
	       domain->ops->enforce_cache_coherency(domain);
}

/* Returns the PASID control register of a PCI device with PASIDs enabled, else 0. */
int kernel_ext_pci_pasid_control(struct device *dev)
{
	int ctrl;

	if (!dev_is_pci(dev))
		return 0;
	ctrl = pci_pasid_status(to_pci_dev(dev));
	if (WARN_ON_ONCE(ctrl < 0 || !(ctrl & PCI_PASID_CTRL_ENABLE)))
		return 0;
	return ctrl;
}

void kernel_ext_iotlb_gather_init(struct iommu_iotlb_gather *gather)
{
	iommu_iotlb_gather_init(gather);
}

void kernel_ext_iotlb_sync(struct iommu_domain *domain,
			   struct iommu_iotlb_gather *gather)
{
	iommu_iotlb_sync(domain, gather);
}

/* Returns NULL if the kernel has no such bitmaps (CONFIG_IOMMUFD_DRIVER). */
struct iova_bitmap *kernel_ext_iova_bitmap_alloc(unsigned long iova,
						 size_t length,
						 unsigned long page_size,
						 u64 __user *data)
{
	return iova_bitmap_alloc(iova, length, page_size, data);
}

void kernel_ext_iova_bitmap_free(struct iova_bitmap *bitmap)
{
	iova_bitmap_free(bitmap);
}

void kernel_ext_iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova,
				size_t length)
{
	iova_bitmap_set(bitmap, iova, length);
}

/* Lets other tasks run. Returns whether the caller is to end, because it was killed. */
bool kernel_ext_yield(void)
{
	cond_resched();
	return fatal_signal_pending(current);
}

/* The caller knows that the module, which may be NULL, is not being unloaded. */
void kernel_ext_module_get(struct module *module)
{
	__module_get(module);
}

void kernel_ext_module_put(struct module *module)
{
	module_put(module);
}

static DEFINE_MUTEX(iommu_registry);

void kernel_ext_iommu_registry_lock(void)
{
	mutex_lock(&iommu_registry);
}

void kernel_ext_iommu_registry_unlock(void)
{
	mutex_unlock(&iommu_registry);
}

static DECLARE_RWSEM(iommu_instances);

void kernel_ext_iommu_instances_down_read(void)
{
	down_read(&iommu_instances);
}

void kernel_ext_iommu_instances_up_read(void)
{
	up_read(&iommu_instances);
}

void kernel_ext_iommu_instances_down_write(void)
{
	down_write(&iommu_instances);
}

void kernel_ext_iommu_instances_up_write(void)
{
	up_write(&iommu_instances);
}

struct iommu_group *kernel_ext_pci_device_group(struct device *dev)
{
	return dev_is_pci(dev) ? pci_device_group(dev) :
				 generic_device_group(dev);
}

/* Of memory that the kernel always maps: there is no high memory on 64-bit machines. */
void *kernel_ext_page_address(struct page *page)
{
	return page_address(page);
}

unsigned long kernel_ext_page_to_pfn(struct page *page)
{
	return page_to_pfn(page);
}

struct page *kernel_ext_pfn_to_page(unsigned long pfn)
{
	return pfn_to_page(pfn);
}

unsigned long kernel_ext_folio_nr_pages(struct folio *folio)
{
	return folio_nr_pages(folio);
}

/* Returns the huge page of hugetlbfs that @page is part of, or NULL. */
struct folio *kernel_ext_hugetlb_folio(struct page *page, unsigned long *npages,
				       unsigned long *index)
{
	struct folio *folio = page_folio(page);

	if (!folio_test_hugetlb(folio))
		return NULL;
	*npages = folio_nr_pages(folio);
	*index = folio_page_idx(folio, page);
	return folio;
}

void kernel_ext_copy_from_page(void *to, struct page *page, size_t offset,
			       size_t length)
{
	memcpy_from_page(to, page, offset, length);
}

void kernel_ext_copy_to_page(struct page *page, size_t offset, const void *from,
			     size_t length)
{
	memcpy_to_page(page, offset, from, length);
}

/*
 * Returns the seals of a file whose contents are memory, or -EINVAL for any other
 * file. memfd_get_seals() does the same, but is not exported to modules.
 */
int kernel_ext_memory_file_seals(struct file *file)
{
	if (shmem_file(file))
		return READ_ONCE(SHMEM_I(file_inode(file))->seals);
#ifdef CONFIG_HUGETLBFS
	if (is_file_hugepages(file))
		return READ_ONCE(HUGETLBFS_I(file_inode(file))->seals);
#endif
	return -EINVAL;
}

bool kernel_ext_file_is_writable(struct file *file)
{
	return file->f_mode & FMODE_WRITE;
}

int kernel_ext_file_map_writable(struct file *file)
{
	return mapping_map_writable(file->f_mapping);
}

void kernel_ext_file_unmap_writable(struct file *file)
{
	mapping_unmap_writable(file->f_mapping);
}

void *kernel_ext_kmalloc_account(size_t size)
{
	/*
	 * Of a constant size, kmalloc() knows the cache without looking it up. KASAN is
	 * told the exact size, behind which it watches.
	 */
	if (!IS_ENABLED(CONFIG_KASAN)) {
		if (size > 128 && size <= 192)
			return kmalloc(192, GFP_KERNEL_ACCOUNT);
		if (size > 256 && size <= 512)
			return kmalloc(512, GFP_KERNEL_ACCOUNT);
	}
	return kmalloc(size, GFP_KERNEL_ACCOUNT);
}

void kernel_ext_mm_add_pinned(struct mm_struct *mm, long npages)
{
	atomic64_add(npages, &mm->pinned_vm);
}

struct user_struct *kernel_ext_get_current_user(void)
{
	return get_uid(current_user());
}

void kernel_ext_get_user(struct user_struct *user)
{
	get_uid(user);
}

unsigned long kernel_ext_memlock_limit(struct task_struct *task)
{
	return task_rlimit(task, RLIMIT_MEMLOCK) >> PAGE_SHIFT;
}

bool kernel_ext_user_charge(struct user_struct *user, unsigned long npages,
			    unsigned long limit)
{
	unsigned long old = atomic_long_read(&user->locked_vm);

	do {
		if (npages > limit || old > limit - npages)
			return false;
	} while (!atomic_long_try_cmpxchg(&user->locked_vm, (long *)&old,
					  old + npages));
	return true;
}

void kernel_ext_user_uncharge(struct user_struct *user, unsigned long npages)
{
	atomic_long_sub(npages, &user->locked_vm);
}

unsigned long kernel_ext_user_locked(struct user_struct *user)
{
	return atomic_long_read(&user->locked_vm);
}

int kernel_ext_mm_account(struct mm_struct *mm, struct task_struct *task,
			  unsigned long npages, bool charge)
{
	int rc;

	mmap_write_lock(mm);
	rc = __account_locked_vm(mm, npages, charge, task, false);
	mmap_write_unlock(mm);
	return rc;
}

unsigned long kernel_ext_mm_locked(struct mm_struct *mm)
{
	return READ_ONCE(mm->locked_vm);
}

#define PAGES_TO_KIB(npages) ((npages) << (PAGE_SHIFT - 10))

void kernel_ext_report_user_limit(struct task_struct *task,
				  struct user_struct *user,
				  unsigned long wanted, unsigned long used,
				  unsigned long limit)
{
	pr_notice_ratelimited(
		"cannot pin %lu KiB for %s[%d]: user %u has locked %lu KiB, RLIMIT_MEMLOCK is %lu KiB\n",
		PAGES_TO_KIB(wanted), task->comm, task_tgid_nr(task),
		from_kuid(&init_user_ns, user->uid), PAGES_TO_KIB(used),
		PAGES_TO_KIB(limit));
}

void kernel_ext_report_mm_limit(struct task_struct *task, unsigned long wanted,
				unsigned long used, unsigned long limit)
{
	pr_notice_ratelimited(
		"cannot pin %lu KiB for %s[%d]: the process has locked %lu KiB, RLIMIT_MEMLOCK is %lu KiB\n",
		PAGES_TO_KIB(wanted), task->comm, task_tgid_nr(task),
		PAGES_TO_KIB(used), PAGES_TO_KIB(limit));
}
