// SPDX-License-Identifier: GPL-2.0
/* System state and settings for tests */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "system.h"

#define MIB2 (2UL << 20)

/* The number after @key at the start of a line of @path, or -1 */
static int64_t read_number(const char *path, const char *key)
{
	size_t len = strlen(key);
	int64_t val = -1;
	char line[256];
	FILE *f;

	f = fopen(path, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, len))
			continue;
		val = strtoll(line + len, NULL, 10);
		break;
	}
	fclose(f);
	return val;
}

/* Adds the per-CPU counters to the global ones, which happens only now and then */
static void refresh_vmstat(void)
{
	FILE *f = fopen("/proc/sys/vm/stat_refresh", "r");

	if (!f)
		return;
	fgetc(f);
	fclose(f);
}

int64_t pinned_pages(void)
{
	refresh_vmstat();
	return read_number("/proc/vmstat", "nr_foll_pin_acquired ") -
	       read_number("/proc/vmstat", "nr_foll_pin_released ");
}

int64_t status_kib(const char *field)
{
	char key[32];

	snprintf(key, sizeof(key), "%s:", field);
	return read_number("/proc/self/status", key);
}

uint64_t phys_of(const void *va)
{
	long page = sysconf(_SC_PAGESIZE);
	uint64_t entry = 0;
	int fd;

	fd = open("/proc/self/pagemap", O_RDONLY);
	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry),
		  (uintptr_t)va / page * sizeof(entry)) != sizeof(entry))
		entry = 0;
	close(fd);
	/* Documentation/admin-guide/mm/pagemap.rst: bit 63 present, 0-54 PFN */
	if (!(entry >> 63))
		return 0;
	return (entry & ((1ULL << 55) - 1)) * page + (uintptr_t)va % page;
}

/* Allocates anonymous memory that is aligned to 2 MiB */
static void *alloc_aligned(size_t length, int advice)
{
	char *p = mmap(NULL, length + MIB2, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *aligned;

	if (p == MAP_FAILED)
		return NULL;
	aligned = (char *)(((uintptr_t)p + MIB2 - 1) & ~(MIB2 - 1));
	if (madvise(aligned, length, advice)) {
		munmap(p, length + MIB2);
		return NULL;
	}
	return aligned;
}

void *alloc_small(size_t length)
{
	return alloc_aligned(length, MADV_NOHUGEPAGE);
}

void *alloc_thp(size_t length)
{
	return alloc_aligned(length, MADV_HUGEPAGE);
}

void *alloc_hugetlb(size_t length)
{
	FILE *f = fopen("/proc/sys/vm/nr_hugepages", "r+");
	unsigned long have = 0;
	void *p;

	if (!f)
		return NULL;
	if (fscanf(f, "%lu", &have) == 1 && have < length / MIB2) {
		rewind(f);
		fprintf(f, "%lu\n", length / MIB2);
	}
	fclose(f);
	p = mmap(NULL, length, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

bool is_thp(const void *va)
{
	bool mine = false;
	char line[256];
	long kib = 0;
	FILE *f;

	f = fopen("/proc/self/smaps", "r");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		uintptr_t start, end;

		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &start, &end) == 2)
			mine = (uintptr_t)va >= start && (uintptr_t)va < end;
		else if (mine && sscanf(line, "AnonHugePages: %ld", &kib) == 1)
			break;
	}
	fclose(f);
	return kib > 0;
}

int load_modules(void)
{
	if (access("/dev/iommu", F_OK) && system("modprobe iommufd"))
		return -ENODEV;
	if (access("/sys/bus/pci/drivers/vfio-pci", F_OK) &&
	    system("modprobe vfio-pci"))
		return -ENODEV;
	return access("/dev/iommu", F_OK) ? -errno : 0;
}

int get_unsafe_interrupts(void)
{
	FILE *f = fopen(UNSAFE_INTERRUPTS, "r");
	int c;

	if (!f)
		return -errno;
	c = fgetc(f);
	fclose(f);
	return c == EOF ? -EIO : c;
}

int set_unsafe_interrupts(bool allow)
{
	int fd = open(UNSAFE_INTERRUPTS, O_WRONLY);
	int rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, allow ? "Y" : "N", 1) != 1)
		rc = -errno;
	close(fd);
	return rc;
}

bool is_amd_iommu(void)
{
	DIR *dir = opendir("/sys/class/iommu");
	struct dirent *ent;
	bool amd = false;

	if (!dir)
		return false;
	while ((ent = readdir(dir)))
		if (!strncmp(ent->d_name, "ivhd", 4))
			amd = true;
	closedir(dir);
	return amd;
}

int drop_capability(unsigned int number)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return -errno;
	data[number / 32].effective &= ~(1U << number % 32);
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}
