// What orders threads without ThreadSanitizer knowing; scripts/sanitize preloads it.
//
// **A contended lock of Swift's Mutex.** A Mutex is locked and unlocked by atomics that the compiler
// inlines, and ThreadSanitizer follows these. A contended one goes on in libswiftSynchronization.so,
// which is not instrumented, and in the kernel, so every datum behind such a lock would be reported
// as a race. This takes the place of that library's slow path (`_MutexHandle._lockSlow(_: UInt32)`
// of Swift 6): it tries until it succeeds. A thread never sleeps in the kernel then, so an unlock
// has no slow path to take.
//
// **The memory of a ring.** liburing maps and unmaps it by system calls of its own, so a ring that
// gets the addresses of one that is gone would be reported as a race with whoever used that.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

// Weak: the symbolizer is a child process that gets this library, too, and has no sanitizer.
__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

__attribute__((swiftcall)) void bounce_lock_slow(
    uint32_t self, __attribute__((swift_context)) _Atomic uint32_t *word)
    __asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");

__attribute__((swiftcall)) void bounce_lock_slow(
    uint32_t self, __attribute__((swift_context)) _Atomic uint32_t *word) {
    uint32_t expected = 0;
    while (!atomic_compare_exchange_weak_explicit(
        word, &expected, self, memory_order_acquire, memory_order_relaxed)) {
        expected = 0;
        sched_yield();
    }
    if (__tsan_acquire) __tsan_acquire((void *)word);
}

struct io_uring;

// Stands for the kernel's lock of the address space.
static char address_space;

int io_uring_queue_init(unsigned entry_count, struct io_uring *ring, unsigned flags) {
    int (*next)(unsigned, struct io_uring *, unsigned) = dlsym(RTLD_NEXT, "io_uring_queue_init");
    int result = next(entry_count, ring, flags);
    if (__tsan_acquire) __tsan_acquire(&address_space);
    return result;
}

void io_uring_queue_exit(struct io_uring *ring) {
    void (*next)(struct io_uring *) = dlsym(RTLD_NEXT, "io_uring_queue_exit");
    if (__tsan_release) __tsan_release(&address_space);
    next(ring);
}
