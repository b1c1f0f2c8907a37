// Linux interfaces that Swift's Glibc module does not import, because glibc declares them for
// _GNU_SOURCE only or the kernel's headers alone have them: memfd_create, fallocate, seals, statx,
// membarrier.
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/membarrier.h>
#include <linux/memfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// The logical sector size of a block device in bytes, or -1 with errno set (BLKSSZGET, a macro
// that Swift cannot import, behind a variadic function that it cannot call).
static inline int clinux_logical_sector_size(int fd) {
    int size = 0;
    return ioctl(fd, BLKSSZGET, &size) == 0 ? size : -1;
}

// Announces that this process uses membarrier(2); 0, or -1 with errno set. glibc has no function for
// either call.
static inline int clinux_membarrier_register(void) {
    return (int)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

// Makes every running thread of this process pass a full memory barrier.
static inline int clinux_membarrier(void) {
    return (int)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}
