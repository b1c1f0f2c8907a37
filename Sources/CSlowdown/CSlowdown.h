// Slowdowns of a known size, for scripts/check-the-gate: whether perfbench finds them. No build has them but
// those made with BOUNCE_SLOWDOWN set; see Package.swift.
#pragma once

#include <stdint.h>

// The counter, once everything before it is done.
static inline uint64_t slowdown_ticks(void) {
#if defined(__x86_64__)
    __builtin_ia32_lfence();
    uint64_t ticks = __builtin_ia32_rdtsc();
    __builtin_ia32_lfence();
    return ticks;
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(ticks));
    return ticks;
#else
#error "no counter is known here"
#endif
}

// Takes a time that grows with `count`, and lets nothing behind it begin before.
static inline void slowdown_spin(uint32_t count) {
    uint64_t value = count;
    for (; count != 0; count--) {
        value = value * 0x9e3779b97f4a7c15 + 1;
        __asm__ volatile("" : "+r"(value));
    }
#if defined(__x86_64__)
    __builtin_ia32_lfence();
#endif
}

// What a copy of about as many bytes, in one direction, takes, as far as it has been seen: reading the counter takes as long
// as a tenth of a short copy, so one copy of many is measured.
struct slowdown_copies {
    uint32_t until_measured;
    // How long to spin.
    uint32_t spins;
    double ticks;
};

enum {
    slowdown_measured_every = 64,
    // What the fence behind the spin costs, in ticks: the next mapping does not begin before it. Seen, with
    // spins of no turns.
    slowdown_fence = 30
};

// How much of the time measured makes a tenth of the time that a mapping takes with its copy, in and out:
// between fences a copy takes longer than where it ends while the next mapping begins. As perfbench pool
// has it, to the C twin.
static const double slowdown_share[2] = {0.1, 0.085};

static inline struct slowdown_copies *slowdown_copies(long byte_count, int is_out) {
    static __thread struct slowdown_copies all[64][2];
    return &all[byte_count > 0 ? 63 - __builtin_clzl((unsigned long)byte_count) : 0][is_out];
}

// What each turn of the spin takes, and what none takes, in ticks.
struct slowdown_spins {
    double turn, none;
};

static inline double slowdown_fastest(uint32_t count) {
    uint64_t fastest = UINT64_MAX;
    for (int i = 0; i < 1000; i++) {
        uint64_t begin = slowdown_ticks();
        slowdown_spin(count);
        uint64_t taken = slowdown_ticks() - begin;
        if (taken < fastest) fastest = taken;
    }
    return (double)fastest;
}

static inline struct slowdown_spins slowdown_spins(void) {
    static __thread struct slowdown_spins spins;
    if (spins.turn == 0) {
        spins.none = slowdown_fastest(0);
        spins.turn = (slowdown_fastest(200) - spins.none) / 200;
    }
    return spins;
}

// Before a copy. Returns what slowdown_end is to be told.
static inline uint64_t slowdown_begin(long byte_count, int is_out) {
    struct slowdown_copies *copies = slowdown_copies(byte_count, is_out);
    if (copies->until_measured-- != 0) return 0;
    copies->until_measured = slowdown_measured_every - 1;
    return slowdown_ticks();
}

// After it: does nothing for so long that mapping with such a copy takes a tenth longer.
static inline void slowdown_end(long byte_count, int is_out, uint64_t begin) {
    struct slowdown_copies *copies = slowdown_copies(byte_count, is_out);
    if (begin != 0) {
        uint64_t end = slowdown_ticks();
        struct slowdown_spins spins = slowdown_spins();
        double taken = (double)(end - begin) - spins.none;
        // One that another program came in between counts for little, and the first ones, in memory that
        // is new, for nothing once there is another.
        if (copies->ticks != 0 && taken > 1.25 * copies->ticks) taken = 1.25 * copies->ticks;
        copies->ticks = 2 * taken < copies->ticks || copies->ticks == 0
                            ? taken
                            : copies->ticks + (taken - copies->ticks) / 8;
        double spin = (copies->ticks * slowdown_share[is_out] - slowdown_fence) / spins.turn;
        copies->spins = spin > 0 ? (uint32_t)spin : 0;
    }
    slowdown_spin(copies->spins);
}

// Seven instructions: 3 % of what mapping and unmapping takes, nothing copied (perfbench probe map-unmap).
static inline void slowdown_instructions(void) {
    __asm__ volatile("nop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop\n\tnop");
}
