// Linux interfaces that Swift's Glibc module does not import, because glibc declares them for
// _GNU_SOURCE only or the kernel's headers alone have them: memfd_create, fallocate, seals, statx,
// membarrier, eventfd, affinities; and pthread_kill with a signal handler, which is a function pointer.
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

// The logical sector size of a block device in bytes, or -1 with errno set (BLKSSZGET, a macro
// that Swift cannot import, behind a variadic function that it cannot call).
static inline int clinux_logical_sector_size(int fd) {
    int size = 0;
    return ioctl(fd, BLKSSZGET, &size) == 0 ? size : -1;
}

// The page size of a file of hugetlbfs(5) in bytes, or 0 where it is no such file.
static inline long clinux_huge_page_size(int fd) {
    struct statfs status;
    if (fstatfs(fd, &status) != 0 || (unsigned long)status.f_type != HUGETLBFS_MAGIC) return 0;
    return (long)status.f_bsize;
}

// Whether what a path leads to is in a file system that is memory: 1 or 0.
static inline int clinux_is_in_memory(const char *path) {
    struct statfs status;
    if (statfs(path, &status) != 0) return 0;
    return (unsigned long)status.f_type == TMPFS_MAGIC
        || (unsigned long)status.f_type == RAMFS_MAGIC;
}

// How many processors this thread may run on, or -1 with errno set.
static inline int clinux_processor_count(void) {
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : -1;
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

// Tells the processor that this is a loop that waits: it yields to the other thread of its core.
static inline void clinux_cpu_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

// Names the calling thread, for ps(1) and debuggers.
static inline void clinux_name_thread(const char *name) {
    prctl(PR_SET_NAME, name);
}

// Whether a descriptor is an eventfd: 1 or 0. The kernel names anonymous files by their kind.
static inline int clinux_is_eventfd(int fd) {
    static const char kind[] = "anon_inode:[eventfd]";
    char link[32], target[sizeof kind + 1];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t count = readlink(link, target, sizeof target);
    return count == sizeof kind - 1 && memcmp(target, kind, sizeof kind - 1) == 0;
}

static inline void clinux_do_nothing(int signal) {
    (void)signal;
}

// Has the calling thread take clinux_interrupt: threads of libdispatch block all signals, and those
// they make inherit that.
static inline void clinux_allow_interrupts(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

// Ends a system call that a thread waits in with EINTR; 0, or an error number. The signal is SIGURG,
// which nobody misses: it is ignored by default. Where the process handles it, its handler does as
// well, unless it has system calls restarted.
static inline int clinux_interrupt(pthread_t thread) {
    struct sigaction now;
    if (sigaction(SIGURG, NULL, &now) != 0) return errno;
    if (!(now.sa_flags & SA_SIGINFO)
        && (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN)) {
        struct sigaction idle = {.sa_handler = clinux_do_nothing};
        if (sigaction(SIGURG, &idle, NULL) != 0) return errno;
    }
    return pthread_kill(thread, SIGURG);
}
