// Slowdowns of a known size, for scripts/check-the-gate: whether perfbench finds them. No build has them but
// those made with BOUNCE_SLOWDOWN set; see Package.swift.
#pragma once

#include <stdint.h>

static inline uint64_t slowdown_ticks(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
#error "no counter is known here"
#endif
}

// What reading the counter twice takes, and looking at it again, in its own unit. A copy of fewer than
// ten times as many is slowed down by that, which is more than a tenth.
#if defined(__x86_64__)
#define SLOWDOWN_READING 70
#else
#define SLOWDOWN_READING 0
#endif

// A tenth of some hundred microseconds: longer than any copy of a mapping takes.
#define SLOWDOWN_MAX 50000

// Does nothing for a tenth of the time that has passed since, its own reading of the counter included; nor
// that where so much has passed that another program had the processor, which the counter goes on in.
static inline void slowdown_spin(uint64_t begin) {
    uint64_t end = slowdown_ticks();
    uint64_t tenth = (end - begin) / 10;
    if (tenth <= SLOWDOWN_READING || tenth > SLOWDOWN_MAX) return;
    uint64_t deadline = end + tenth - SLOWDOWN_READING;
    while (slowdown_ticks() < deadline) {
    }
}

// Seven instructions: 3 % of what mapping and unmapping takes, nothing copied (perfbench probe map-unmap).
static inline void slowdown_instructions(void) {
    __asm__ volatile("nop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop");
}
