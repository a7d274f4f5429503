// SPDX-License-Identifier: GPL-2.0
/*
 * The module iommu_pagetable: exports its Rust symbols to the modules that were
 * built with it.  No other module can use them.
 */
#include <linux/export.h>
#include <linux/module.h>

#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "exports_generated.h"

MODULE_DESCRIPTION("IO page tables");
MODULE_LICENSE("GPL");
