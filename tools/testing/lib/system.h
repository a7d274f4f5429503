/* SPDX-License-Identifier: GPL-2.0 */
/*
 * System state and settings for tests: counters of pinned pages, the physical address
 * of memory, huge pages, kernel modules and their parameters, capabilities.
 */
#ifndef TESTING_LIB_SYSTEM_H
#define TESTING_LIB_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exact number of pages that are pinned in the whole system */
int64_t pinned_pages(void);

/* KiB in the line @field of /proc/self/status, such as VmPin; -1 if there is none */
int64_t status_kib(const char *field);

/* Physical address of a page that is present, 0 if unknown; requires root */
uint64_t phys_of(const void *va);

/*
 * Allocate anonymous memory, aligned to 2 MiB, whose pages are not present until the
 * caller accesses them. alloc_small() never uses transparent huge pages, alloc_thp()
 * uses them if available, alloc_hugetlb() uses 2 MiB pages of the hugetlb pool, which
 * it enlarges. All return NULL on failure.
 */
void *alloc_small(size_t length);
void *alloc_thp(size_t length);
void *alloc_hugetlb(size_t length);

/* Whether the VMA of @va has at least one transparent huge page */
bool is_thp(const void *va);

/* Loads iommufd and vfio-pci if /dev/iommu is missing; 0 or -errno */
int load_modules(void);

#define UNSAFE_INTERRUPTS \
	"/sys/module/iommufd/parameters/allow_unsafe_interrupts"

/* Reads the parameter: 'Y', 'N', or a negative errno */
int get_unsafe_interrupts(void);
int set_unsafe_interrupts(bool allow);

/*
 * Whether the machine has an AMD IOMMU. iommufd then refuses every device until
 * unsafe interrupts are allowed, since QEMU's amd-iommu does not isolate interrupts.
 */
bool is_amd_iommu(void);

/* Clears a capability (CAP_...) in the effective set of this thread; 0 or -errno */
int drop_capability(unsigned int number);

#endif
