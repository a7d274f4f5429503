// SPDX-License-Identifier: GPL-2.0
/*
 * kernel_ext.ko as a module. Exports its Rust symbols to the modules that were
 * built together with it; other modules cannot use them.
 */
#include <linux/export.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "exports_generated.h"

#ifdef CONFIG_IOMMUFD_RUST_TEST
void kernel_ext_fault_init(void);
void kernel_ext_fault_exit(void);
#else
static inline void kernel_ext_fault_init(void)
{
}
static inline void kernel_ext_fault_exit(void)
{
}
#endif

static int __init kernel_ext_init(void)
{
	kernel_ext_fault_init();
	return 0;
}
module_init(kernel_ext_init);

/* Waits until code of this module has freed the tables that were reclaimed last. */
static void __exit kernel_ext_exit(void)
{
	kernel_ext_fault_exit();
	rcu_barrier();
}
module_exit(kernel_ext_exit);

MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("IOMMUFD");
MODULE_IMPORT_NS("IOMMUFD_INTERNAL");
MODULE_DESCRIPTION("Safe Rust abstractions for IOMMU users and drivers");
MODULE_LICENSE("GPL");
