/// Whether this is an optimised build, the only kind in which allocations mean something.
#if DEBUG
public let isOptimizedBuild = false
#else
public let isOptimizedBuild = true
#endif
