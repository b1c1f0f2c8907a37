// liburing as Swift sees it, and what Debian 12's version 2.3 does not name yet.
#pragma once

// Before liburing asks for more of glibc than Swift's own Glibc module was built with: structures
// that both see, such as fd_set, must be the same. The first inclusion decides.
#include <features.h>

// liburing brings its own copy of <linux/io_uring.h>, swift-system's C module the system's. Swift
// rejects a program in which two modules define one structure differently, so liburing's are
// renamed here. C has no name mangling: the library does not notice.
#define io_uring_sqe liburing_sqe
#define io_uring_cqe liburing_cqe
#define io_uring_params liburing_params
#define io_uring_op liburing_op
#include <liburing.h>

enum {
    curing_op_readv_fixed = 60,   // IORING_OP_READV_FIXED, Linux 6.15
    curing_op_writev_fixed = 61,  // IORING_OP_WRITEV_FIXED, Linux 6.15
    curing_sqe_fixed_file = 1,    // IOSQE_FIXED_FILE, a macro of an expression
    curing_rwf_nowait = 8,        // RWF_NOWAIT, which glibc has for _GNU_SOURCE only
};

/// A word that the kernel writes at any time.
static inline unsigned curing_load_relaxed(const unsigned *word) {
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}
