// SPDX-License-Identifier: GPL-2.0
/*
 * An in-kernel user of IO address spaces, at the command of a program that
 * measures it: the kernel's iommufd and ours export the same functions. Never
 * part of a product.
 */
#include <linux/fs.h>
#include <linux/iommufd.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../iommufd_user.h"

struct client {
	struct iommufd_access *access;
	struct page **pages;
	void *buffer;
};

/* The program unpins before it unmaps, so there is never anything to give up */
static void client_unmap(void *data, unsigned long iova, unsigned long length)
{
	pr_warn("iommufd_user: unmapped while pinned\n");
}

static const struct iommufd_access_ops client_ops = {
	.needs_pin_pages = 1,
	.unmap = client_unmap,
};

static int client_open(struct inode *inode, struct file *file)
{
	struct client *client = kzalloc(sizeof(*client), GFP_KERNEL);

	if (!client)
		return -ENOMEM;
	client->pages = kvcalloc(USER_MAX_PINNED / PAGE_SIZE, sizeof(*client->pages), GFP_KERNEL);
	client->buffer = kvzalloc(USER_MAX_COPY, GFP_KERNEL);
	file->private_data = client;
	if (client->pages && client->buffer)
		return 0;
	kvfree(client->pages);
	kvfree(client->buffer);
	kfree(client);
	return -ENOMEM;
}

static int client_release(struct inode *inode, struct file *file)
{
	struct client *client = file->private_data;

	if (client->access)
		iommufd_access_destroy(client->access);
	kvfree(client->pages);
	kvfree(client->buffer);
	kfree(client);
	return 0;
}

static int client_attach(struct client *client, const struct user_attach *cmd)
{
	struct iommufd_access *access;
	struct iommufd_ctx *ictx;
	u32 id;
	int rc;

	if (client->access)
		return -EBUSY;
	ictx = iommufd_ctx_from_fd(cmd->iommufd);
	if (IS_ERR(ictx))
		return PTR_ERR(ictx);
	access = iommufd_access_create(ictx, &client_ops, client, &id);
	iommufd_ctx_put(ictx);
	if (IS_ERR(access))
		return PTR_ERR(access);
	rc = iommufd_access_attach(access, cmd->ioas);
	if (rc)
		iommufd_access_destroy(access);
	else
		client->access = access;
	return rc;
}

static int client_copy(struct client *client, const struct user_range *range, unsigned int flags)
{
	if (range->length > USER_MAX_COPY)
		return -EINVAL;
	return iommufd_access_rw(client->access, range->iova, client->buffer, range->length, flags);
}

static int client_range(struct client *client, unsigned int cmd, const struct user_range *range)
{
	switch (cmd) {
	case USER_PIN:
		if (range->length > USER_MAX_PINNED)
			return -EINVAL;
		return iommufd_access_pin_pages(client->access, range->iova, range->length,
						client->pages, IOMMUFD_ACCESS_RW_WRITE);
	case USER_UNPIN:
		iommufd_access_unpin_pages(client->access, range->iova, range->length);
		return 0;
	case USER_READ:
		return client_copy(client, range, IOMMUFD_ACCESS_RW_READ);
	case USER_WRITE:
		return client_copy(client, range, IOMMUFD_ACCESS_RW_WRITE);
	case USER_NOTHING:
		return 0;
	default:
		return -ENOTTY;
	}
}

static long client_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct client *client = file->private_data;
	struct user_attach attach;
	struct user_range range;

	if (cmd == USER_ATTACH) {
		if (copy_from_user(&attach, (void __user *)arg, sizeof(attach)))
			return -EFAULT;
		return client_attach(client, &attach);
	}
	if (!client->access)
		return -EINVAL;
	if (copy_from_user(&range, (void __user *)arg, sizeof(range)))
		return -EFAULT;
	return client_range(client, cmd, &range);
}

static const struct file_operations client_fops = {
	.owner = THIS_MODULE,
	.open = client_open,
	.release = client_release,
	.unlocked_ioctl = client_ioctl,
};

static struct miscdevice client_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = USER_NODE,
	.fops = &client_fops,
	.mode = 0600,
};

module_misc_device(client_device);

MODULE_IMPORT_NS("IOMMUFD");
MODULE_DESCRIPTION("An in-kernel user of IO address spaces, to be measured");
MODULE_LICENSE("GPL");
