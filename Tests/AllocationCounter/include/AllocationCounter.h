#pragma once

#include <stdbool.h>
#include <stdint.h>

// How often this thread has called malloc, calloc, realloc, aligned_alloc or posix_memalign so far.
uint64_t allocation_counter_read(void);

// Whether the counter sees allocations at all: false under a sanitizer, which brings its own malloc.
bool allocation_counter_works(void);
