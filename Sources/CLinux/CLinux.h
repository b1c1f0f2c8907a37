// Linux interfaces that Swift's Glibc module does not import, because glibc declares them for
// _GNU_SOURCE only or the kernel's headers alone have them: memfd_create, fallocate, seals, statx.
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

// The logical sector size of a block device in bytes, or -1 with errno set (BLKSSZGET, a macro
// that Swift cannot import, behind a variadic function that it cannot call).
static inline int clinux_logical_sector_size(int fd) {
    int size = 0;
    return ioctl(fd, BLKSSZGET, &size) == 0 ? size : -1;
}
