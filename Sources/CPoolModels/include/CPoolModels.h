// What perfbench compares the pool with: two allocators of bounce slots in C, over private metadata.
#pragma once

#include "c_twin.h"
#include "linux_model.h"
