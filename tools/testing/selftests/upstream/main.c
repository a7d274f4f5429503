// SPDX-License-Identifier: GPL-2.0
/*
 * The main() of the kernel's own selftests, as `make test` runs them: gives a
 * device to vfio-pci, then lets the unmodified test work on it. Its own main()
 * is compiled under another name. UPSTREAM_ARGS chooses among its variants.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "setup.h"
#include "system.h"

/* The kernel's number for a test that could not run */
#define EXIT_SKIP 4
#define HUGE_POOL (8UL << 20)

int upstream_main(int argc, char *argv[]);

static int skip(const char *why, int rc)
{
	printf("1..0 # SKIP %s: %s\n", why, strerror(-rc));
	return EXIT_SKIP;
}

/* The tests take 2 MiB pages without asking for any: leave some in the pool. */
static void fill_huge_pool(void)
{
	void *pages = alloc_hugetlb(HUGE_POOL);

	if (pages)
		munmap(pages, HUGE_POOL);
}

int main(void)
{
	char *args[] = { UPSTREAM_NAME, UPSTREAM_ARGS NULL };
	struct vfio_dev edu = VFIO_DEV_CLOSED;
	int rc = setup_system();

	if (rc)
		return skip("modules", rc);
	rc = vfio_dev_find_single(&edu, EDU_VENDOR, EDU_DEVICE);
	if (!rc)
		rc = vfio_dev_claim(&edu);
	if (rc)
		return skip("no edu for vfio-pci", rc);

	fill_huge_pool();
	setenv("VFIO_SELFTESTS_BDF", edu.bdf, 1);
	return upstream_main(sizeof(args) / sizeof(args[0]) - 1, args);
}
