// SPDX-License-Identifier: GPL-2.0
/*
 * The main() of the kernel's own iommufd selftests, as `make test` runs them on
 * modules with the mock IOMMU: loads iommufd, has 2 MiB pages ready, then lets the
 * unmodified test run. Its own main() is compiled under another name.
 * UPSTREAM_ARGS chooses among its fixtures.
 *
 * The tests look at the system before main() is called, so this process begins
 * again once everything is there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "system.h"

/* The kernel's number for a test that could not run */
#define EXIT_SKIP 4
/* What the tests of huge pages take at the same time: the most those of dirty tracking. */
#define HUGE_POOL (128UL << 20)
#define READY "IOMMUFD_MOCK_READY"

int upstream_main(int argc, char *argv[]);

static int skip(const char *why, int rc)
{
	printf("1..0 # SKIP %s: %s\n", why, strerror(-rc));
	return EXIT_SKIP;
}

static void fill_huge_pool(void)
{
	void *pages = alloc_hugetlb(HUGE_POOL);

	if (pages)
		munmap(pages, HUGE_POOL);
}

int main(int argc, char *argv[])
{
	char *args[] = { UPSTREAM_NAME, UPSTREAM_ARGS NULL };
	int rc;

	if (getenv(READY))
		return argc > 1 ? upstream_main(argc, argv) :
				  upstream_main(sizeof(args) / sizeof(args[0]) - 1, args);
	rc = load_modules();
	if (rc)
		return skip("modules", rc);
	fill_huge_pool();
	setenv(READY, "1", 1);
	execv("/proc/self/exe", argv);
	perror("/proc/self/exe");
	return 1;
}
