// SPDX-License-Identifier: GPL-2.0
/*
 * The parameters of iommufd.ko. Parameters that module! declares do not appear in
 * sysfs, and these can be changed there while the module runs.
 */
#include <linux/compiler.h>
#include <linux/moduleparam.h>

#include "helpers.h"

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Bind devices although the platform lets them raise any interrupt. A security weakness.");

bool iommufd_core_allow_unsafe_interrupts(void)
{
	return READ_ONCE(allow_unsafe_interrupts);
}
