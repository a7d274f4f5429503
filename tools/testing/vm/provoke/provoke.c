// SPDX-License-Identifier: GPL-2.0
/*
 * Makes one mistake when it is loaded (what=...), so that the tests can prove that
 * their check for leaks and complaints is able to fail. Unloading it undoes what can
 * be undone. No other use of it is meant.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *what = "";
module_param(what, charp, 0);
MODULE_PARM_DESC(what, "the mistake: leak, uaf, lock, pin, mlock, table or atomic");

/* The page that the mistake was made with */
static struct page *page;

/* Leaks memory: no pointer to it is left. */
static int leak(void)
{
	void *lost;
	int i;

	/* Several objects, as a stale pointer to one may survive on a stack. */
	for (i = 0; i < 16; i++) {
		lost = kzalloc(192, GFP_KERNEL);
		if (!lost)
			return -ENOMEM;
		OPTIMIZER_HIDE_VAR(lost);
	}
	return 0;
}

/* Reads memory that has been freed. */
static int use_after_free(void)
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

/* Takes two locks in either order, which may deadlock one day. */
static int lock_order(void)
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

/* Pins a page of the program that loads the module. */
static int pin(void)
{
	unsigned long addr = current->mm->arg_start & PAGE_MASK;
	int got = pin_user_pages_fast(addr, 1, FOLL_LONGTERM, &page);

	return got == 1 ? 0 : -EFAULT;
}

/* Counts a page as locked that is not. */
static int count_locked(void)
{
	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	mod_zone_page_state(page_zone(page), NR_MLOCK, 1);
	return 0;
}

/* Counts a page as one of an IOMMU table. */
static int count_table(void)
{
	page = alloc_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	mod_node_page_state(page_pgdat(page), NR_IOMMU_PAGES, 1);
	return 0;
}

static DEFINE_SPINLOCK(spin);

/* May sleep while it holds a spinlock. */
static int sleep_in_atomic(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);
	return 0;
}

static const struct mistake {
	const char *name;
	int (*make)(void);
} mistakes[] = {
	{ "leak", leak },
	{ "uaf", use_after_free },
	{ "lock", lock_order },
	{ "pin", pin },
	{ "mlock", count_locked },
	{ "table", count_table },
	{ "atomic", sleep_in_atomic },
};

static int __init provoke_init(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(mistakes); i++) {
		if (!strcmp(mistakes[i].name, what))
			return mistakes[i].make();
	}
	return -EINVAL;
}

static void __exit provoke_exit(void)
{
	if (!page)
		return;
	if (!strcmp(what, "pin")) {
		unpin_user_page(page);
		return;
	}
	if (!strcmp(what, "mlock"))
		mod_zone_page_state(page_zone(page), NR_MLOCK, -1);
	else
		mod_node_page_state(page_pgdat(page), NR_IOMMU_PAGES, -1);
	__free_page(page);
}

module_init(provoke_init);
module_exit(provoke_exit);
MODULE_DESCRIPTION("Mistakes for the leak check to notice");
MODULE_LICENSE("GPL");
