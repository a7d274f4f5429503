/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the rest of the system says and needs: counters of pinned pages, the
 * physical address of memory, huge pages, kernel modules and their parameters, capabilities.
 */
#ifndef TESTING_LIB_SYSTEM_H
#define TESTING_LIB_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Pages that the whole system holds pinned, exact: acquired minus released */
int64_t pinned_pages(void);

/* KiB on the line "@field:" of /proc/self/status, such as VmPin; -1 if none */
int64_t status_kib(const char *field);

/* Physical address behind a touched page of ours, 0 if unknown; needs root */
uint64_t phys_of(const void *va);

/*
 * Anonymous memory aligned to @align (a power of two). Touch it to have it.
 * alloc_small() never gets transparent huge pages, alloc_thp() does if the
 * system can, alloc_hugetlb() takes 2 MiB pages out of a pool that it enlarges.
 * All return NULL if there is none.
 */
void *alloc_small(size_t length);
void *alloc_thp(size_t length);
void *alloc_hugetlb(size_t length);

/* Whether one transparent huge page at least lies under @va */
bool is_thp(const void *va);

/* Loads iommufd and vfio-pci if /dev/iommu is missing; 0 or -errno */
int load_modules(void);

#define UNSAFE_INTERRUPTS \
	"/sys/module/iommufd/parameters/allow_unsafe_interrupts"

/* The parameter above: 'Y', 'N', or a negative errno */
int get_unsafe_interrupts(void);
int set_unsafe_interrupts(bool allow);

/*
 * Whether this is an AMD machine: there iommufd refuses every device until
 * unsafe interrupts are allowed, since QEMU's amd-iommu isolates none.
 */
bool is_amd_iommu(void);

/* Takes a capability (CAP_...) out of the effective ones of this thread; 0 or -errno */
int drop_capability(unsigned int number);

#endif
