// SPDX-License-Identifier: GPL-2.0
/*
 * The program that `make run` runs. It shows, step by step, how two PCI devices do DMA
 * through IO page tables that are managed by /dev/iommu. It runs as root in a VM that
 * has QEMU's devices edu and iommu-testdev, with the modules loaded.
 *
 * Exits with 0 if every step succeeds, else with 1.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "edu.h"
#include "iommufd.h"
#include "system.h"
#include "testdev.h"
#include "vfio_dev.h"

#define PAGE 4096UL

/* IOVAs of the memory. They are arbitrary; any others outside the MSI window work. */
#define IOVA_SOURCE 0x10000000UL
#define IOVA_RESULT 0x40001000UL
#define IOVA_SHARED 0x80000000UL

/*
 * Writes into this window are interrupts, not memory (Intel SDM vol. 3,
 * "Message Signalled Interrupts").
 */
#define MSI_FIRST 0xfee00000UL
#define MSI_LAST 0xfeefffffUL

#define MAX_RANGES 16
#define SWAP_TRANSFERS 8
#define SWAP_AT 4

struct demo {
	int64_t pins_before;
	int iommufd;
	struct vfio_dev edu;
	struct vfio_dev testdev;
	uint32_t ioas;
	uint32_t hwpt;
	unsigned char *source;	/* mapped at IOVA_SOURCE */
	unsigned char *result;	/* mapped at IOVA_RESULT */
	unsigned char *old;	/* at IOVA_SHARED in the first IOAS */
	unsigned char *new;	/* at IOVA_SHARED in the second IOAS */
};

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	va_list ap;

	fputs("   ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* Returns whether @rc is not an error; prints @what and the error if it is */
static bool ok(int rc, const char *what)
{
	if (rc >= 0)
		return true;
	say("FAILED: %s: %s", what, strerror(-rc));
	return false;
}

static bool check(bool cond, const char *otherwise)
{
	if (!cond)
		say("FAILED: %s", otherwise);
	return cond;
}

/* Fills a page with bytes that depend on @seed */
static void fill_pattern(unsigned char *page, unsigned int seed)
{
	for (size_t i = 0; i < PAGE; i++)
		page[i] = (i * 7 + (i >> 8) * 13 + seed * 101) ^ 0x5a;
}

static bool all_bytes(const unsigned char *page, unsigned char value)
{
	return page[0] == value && !memcmp(page, page + 1, PAGE - 1);
}

static bool alloc_pages(struct demo *d)
{
	unsigned char *p = alloc_small(4 * PAGE);

	if (!check(p, "no memory"))
		return false;
	memset(p, 0, 4 * PAGE);
	d->source = p;
	d->result = p + PAGE;
	d->old = p + 2 * PAGE;
	d->new = p + 3 * PAGE;
	return true;
}

static bool find(struct vfio_dev *dev, uint16_t vendor, uint16_t device,
		 const char *name)
{
	if (!ok(vfio_dev_find_single(dev, vendor, device), name) ||
	    !ok(vfio_dev_claim(dev), "vfio-pci does not drive the device"))
		return false;
	say("%s (%04x:%04x, %s)", dev->bdf, dev->vendor, dev->device, name);
	say("    is alone in IOMMU group %d and is driven through %s",
	    dev->group, dev->cdev);
	return true;
}

static bool step_find(struct demo *d)
{
	d->pins_before = pinned_pages();
	return alloc_pages(d) &&
	       find(&d->edu, EDU_VENDOR, EDU_DEVICE, "edu") &&
	       find(&d->testdev, TESTDEV_VENDOR, TESTDEV_DEVICE,
		    "iommu-testdev");
}

static bool bind(struct vfio_dev *dev, int iommufd)
{
	if (!ok(vfio_dev_open(dev), dev->cdev) ||
	    !ok(vfio_dev_bind(dev, iommufd), "bind"))
		return false;
	say("%s is bound: this process owns its IOMMU group, and its DMA is blocked;",
	    dev->bdf);
	say("    its object ID is %" PRIu32, dev->id);
	return ok(vfio_dev_enable(dev), "BAR 0 and bus mastering");
}

static bool step_bind(struct demo *d)
{
	/* QEMU's amd-iommu does not isolate interrupts */
	if (is_amd_iommu() &&
	    !ok(set_unsafe_interrupts(true), "allow_unsafe_interrupts"))
		return false;
	d->iommufd = iommufd_open();
	return ok(d->iommufd, "/dev/iommu") && bind(&d->edu, d->iommufd) &&
	       bind(&d->testdev, d->iommufd);
}

static bool msi_window_is_reserved(const struct iommu_iova_range *r, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (r[i].start <= MSI_LAST && r[i].last >= MSI_FIRST)
			return false;
	return true;
}

static bool step_attach(struct demo *d)
{
	struct iommu_iova_range ranges[MAX_RANGES];
	uint32_t n = MAX_RANGES, hwpt;
	uint64_t align;

	if (!ok(iommufd_ioas_alloc(d->iommufd, &d->ioas), "IOAS_ALLOC"))
		return false;
	say("IO address space (IOAS) %" PRIu32 " is allocated", d->ioas);
	d->hwpt = d->ioas;
	hwpt = d->ioas;
	if (!ok(vfio_dev_attach(&d->edu, &d->hwpt), "attach edu") ||
	    !ok(vfio_dev_attach(&d->testdev, &hwpt), "attach iommu-testdev"))
		return false;
	say("both devices are attached; they share page table (HWPT) %" PRIu32,
	    d->hwpt);
	if (!check(hwpt == d->hwpt, "the devices got different page tables") ||
	    !ok(iommufd_iova_ranges(d->iommufd, d->ioas, ranges, &n, &align),
		"IOVA_RANGES"))
		return false;
	for (uint32_t i = 0; i < n; i++)
		say("usable IOVAs: %#18llx - %#18llx", ranges[i].start,
		    ranges[i].last);
	if (!check(msi_window_is_reserved(ranges, n), "the MSI window is not reserved"))
		return false;
	say("the MSI window %#lx - %#lx is reserved; the alignment is %" PRIu64,
	    MSI_FIRST, MSI_LAST, align);
	return true;
}

static bool step_map(struct demo *d)
{
	if (!ok(iommufd_map_at(d->iommufd, d->ioas, d->source, PAGE,
			       IOVA_SOURCE), "map the source") ||
	    !ok(iommufd_map_at(d->iommufd, d->ioas, d->result, PAGE,
			       IOVA_RESULT), "map the result"))
		return false;
	say("source page at IOVA %#lx, physical %#" PRIx64, IOVA_SOURCE,
	    phys_of(d->source));
	say("result page at IOVA %#lx, physical %#" PRIx64, IOVA_RESULT,
	    phys_of(d->result));
	say("pages pinned for the devices: %" PRId64,
	    pinned_pages() - d->pins_before);
	return check(pinned_pages() - d->pins_before == 2,
		     "two pages should be pinned");
}

static bool step_round_trip(struct demo *d)
{
	fill_pattern(d->source, 1);
	memset(d->result, 0, PAGE);
	if (!ok(edu_read_ram(&d->edu, IOVA_SOURCE, PAGE), "edu read"))
		return false;
	say("edu has read 4096 bytes at IOVA %#lx", IOVA_SOURCE);
	if (!ok(edu_write_ram(&d->edu, IOVA_RESULT, PAGE), "edu write"))
		return false;
	say("edu has written them at IOVA %#lx", IOVA_RESULT);
	if (!check(!memcmp(d->source, d->result, PAGE),
		   "source and result differ"))
		return false;
	say("all 4096 bytes are the same");
	return true;
}

static bool step_testdev(struct demo *d)
{
	uint64_t phys = phys_of(d->result);
	uint32_t result, word;

	memset(d->result, 0, PAGE);
	result = testdev_write(&d->testdev, IOVA_RESULT, phys);
	memcpy(&word, d->result, sizeof(word));
	say("iommu-testdev wrote %#x to IOVA %#lx; the memory contains %#x;",
	    TESTDEV_WORD, IOVA_RESULT, word);
	say("    the device checked physical address %#" PRIx64 ": result %#" PRIx32,
	    phys, result);
	return check(result == TESTDEV_OK && word == TESTDEV_WORD,
		     "the word is not at the physical address");
}

static bool step_unmapped(struct demo *d)
{
	uint64_t phys = phys_of(d->result);
	uint32_t result;

	if (!ok(iommufd_unmap(d->iommufd, d->ioas, IOVA_RESULT, PAGE, NULL),
		"unmap"))
		return false;
	say("IOVA %#lx is unmapped", IOVA_RESULT);
	memset(d->result, 0xee, PAGE);
	if (!ok(edu_write_ram(&d->edu, IOVA_RESULT, PAGE), "edu write"))
		return false;
	if (!check(all_bytes(d->result, 0xee), "edu changed unmapped memory"))
		return false;
	say("edu tried to write there: no byte of the memory has changed");
	result = testdev_write(&d->testdev, IOVA_RESULT, phys);
	say("iommu-testdev tried as well: result %#" PRIx32 " (DMA fault is %#x)",
	    result, TESTDEV_DMA_FAULT);
	return check(result == TESTDEV_DMA_FAULT &&
		     all_bytes(d->result, 0xee), "the DMA was not refused");
}

/* Allocates a second IOAS, where IOVA_SHARED is mapped to another page */
static bool prepare_swap(struct demo *d, uint32_t *ioas2)
{
	if (!ok(iommufd_ioas_alloc(d->iommufd, ioas2), "IOAS_ALLOC") ||
	    !ok(iommufd_map_at(d->iommufd, d->ioas, d->old, PAGE, IOVA_SHARED),
		"map the old page") ||
	    !ok(iommufd_map_at(d->iommufd, *ioas2, d->new, PAGE, IOVA_SHARED),
		"map the new page") ||
	    !ok(edu_read_ram(&d->edu, IOVA_SOURCE, PAGE), "edu read"))
		return false;
	say("IOAS %" PRIu32 " is allocated; it maps IOVA %#lx to another page",
	    *ioas2, IOVA_SHARED);
	return true;
}

/*
 * Makes the device write one page to IOVA_SHARED. If @pt_id is not NULL, replaces the
 * IOAS during the transfer. Sets @in_new to whether the new page was written.
 */
static bool transfer(struct demo *d, uint32_t *pt_id, bool *in_new)
{
	bool in_old;

	memset(d->old, 0, PAGE);
	memset(d->new, 0, PAGE);
	if (!ok(edu_start_write_ram(&d->edu, IOVA_SHARED, PAGE), "edu write") ||
	    (pt_id && !ok(vfio_dev_attach(&d->edu, pt_id), "replace")) ||
	    !ok(edu_wait(&d->edu), "edu write"))
		return false;
	in_old = !memcmp(d->old, d->source, PAGE);
	*in_new = !memcmp(d->new, d->source, PAGE);
	return check(in_old != *in_new &&
		     all_bytes(in_old ? d->new : d->old, 0),
		     "not exactly one of the two pages was written");
}

static bool step_replace(struct demo *d)
{
	int count[2] = {};
	uint32_t pt_id;

	if (!prepare_swap(d, &pt_id))
		return false;
	for (int i = 0; i < SWAP_TRANSFERS; i++) {
		bool in_new;

		if (!transfer(d, i == SWAP_AT ? &pt_id : NULL, &in_new))
			return false;
		if (!check(i == SWAP_AT || in_new == (i > SWAP_AT),
			   "a transfer wrote the page of the other IOAS"))
			return false;
		count[in_new]++;
	}
	say("the device wrote %d pages; the IOAS was replaced during write %d:",
	    SWAP_TRANSFERS, SWAP_AT + 1);
	say("    first %d writes reached the old page, then %d the new one",
	    count[0], count[1]);
	return true;
}

static bool step_teardown(struct demo *d)
{
	int64_t left;

	vfio_dev_close(&d->edu);
	vfio_dev_close(&d->testdev);
	close(d->iommufd);
	d->iommufd = -1;
	left = pinned_pages() - d->pins_before;
	say("devices and /dev/iommu are closed; pages still pinned: %" PRId64, left);
	return check(!left, "pages are still pinned");
}

struct step {
	const char *title;	/* for the table, at most 58 characters */
	bool (*run)(struct demo *d);
};

static const struct step steps[] = {
	{ "Bind two devices to vfio-pci", step_find },
	{ "Bind both devices to /dev/iommu", step_bind },
	{ "Attach both devices to one IO address space", step_attach },
	{ "Map and pin memory", step_map },
	{ "Read a page by DMA and write it to another one", step_round_trip },
	{ "Check the physical address of a DMA write", step_testdev },
	{ "Unmap the memory and check that DMA is refused", step_unmapped },
	{ "Replace the address space during a DMA transfer", step_replace },
	{ "Close everything and check that no page is pinned", step_teardown },
};
#define NUM_STEPS (sizeof(steps) / sizeof(steps[0]))

static void print_table(size_t done, bool failed)
{
	printf("\n   %-58s %s\n", "step", "result");
	printf("   %.58s %.8s\n",
	       "-----------------------------------------------------------",
	       "--------");
	for (size_t i = 0; i < NUM_STEPS; i++)
		printf("%2zu %-58s %s\n", i + 1, steps[i].title,
		       i < done ? "ok" : i == done && failed ? "FAILED" : "not run");
}

int main(void)
{
	struct demo d = {
		.iommufd = -1,
		.edu = VFIO_DEV_CLOSED,
		.testdev = VFIO_DEV_CLOSED,
	};
	bool failed = false;
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < NUM_STEPS; i++) {
		printf("%s%zu. %s\n", i ? "\n" : "", i + 1, steps[i].title);
		failed = !steps[i].run(&d);
		if (failed)
			break;
	}
	print_table(i, failed);
	return failed;
}
