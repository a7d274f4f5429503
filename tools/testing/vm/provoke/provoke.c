// SPDX-License-Identifier: GPL-2.0
/*
 * Commits one sin on request (what=...), so that the tests can prove that their
 * check for leaks and complaints is able to fail. Unloading it makes good what
 * can be made good. Never part of a product.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *what = "";
module_param(what, charp, 0);
MODULE_PARM_DESC(what, "the sin: leak, uaf, lock, pin, mlock, table or atomic");

static struct page *sinned_on;

/* Memory that nothing points to any more */
static int sin_leak(void)
{
	void *lost;
	int i;

	/* Several, as a stale pointer to one may survive on a stack. */
	for (i = 0; i < 16; i++) {
		lost = kzalloc(192, GFP_KERNEL);
		if (!lost)
			return -ENOMEM;
		OPTIMIZER_HIDE_VAR(lost);
	}
	return 0;
}

static int sin_uaf(void)
{
	char *freed = kzalloc(64, GFP_KERNEL);

	if (!freed)
		return -ENOMEM;
	kfree(freed);
	OPTIMIZER_HIDE_VAR(freed);
	return READ_ONCE(*freed) ? 0 : 0;
}

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

/* Two locks taken in either order: the deadlock that has not happened yet */
static int sin_lock(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
	return 0;
}

/* A page of the program that loads us, pinned and not given back */
static int sin_pin(void)
{
	unsigned long addr = current->mm->arg_start & PAGE_MASK;
	int got = pin_user_pages_fast(addr, 1, FOLL_LONGTERM, &sinned_on);

	return got == 1 ? 0 : -EFAULT;
}

static int sin_mlock(void)
{
	sinned_on = alloc_page(GFP_KERNEL);
	if (!sinned_on)
		return -ENOMEM;
	mod_zone_page_state(page_zone(sinned_on), NR_MLOCK, 1);
	return 0;
}

static int sin_table(void)
{
	sinned_on = alloc_page(GFP_KERNEL);
	if (!sinned_on)
		return -ENOMEM;
	mod_node_page_state(page_pgdat(sinned_on), NR_IOMMU_PAGES, 1);
	return 0;
}

static DEFINE_SPINLOCK(spin);

static int sin_atomic(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);
	return 0;
}

static const struct sin {
	const char *name;
	int (*commit)(void);
} sins[] = {
	{ "leak", sin_leak },
	{ "uaf", sin_uaf },
	{ "lock", sin_lock },
	{ "pin", sin_pin },
	{ "mlock", sin_mlock },
	{ "table", sin_table },
	{ "atomic", sin_atomic },
};

static int __init provoke_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(sins); i++) {
		if (!strcmp(sins[i].name, what))
			return sins[i].commit();
	}
	return -EINVAL;
}

static void __exit provoke_exit(void)
{
	if (!sinned_on)
		return;
	if (!strcmp(what, "pin")) {
		unpin_user_page(sinned_on);
		return;
	}
	if (!strcmp(what, "mlock"))
		mod_zone_page_state(page_zone(sinned_on), NR_MLOCK, -1);
	else
		mod_node_page_state(page_pgdat(sinned_on), NR_IOMMU_PAGES, -1);
	__free_page(sinned_on);
}

module_init(provoke_init);
module_exit(provoke_exit);
MODULE_DESCRIPTION("Sins for the leak check to notice");
MODULE_LICENSE("GPL");
