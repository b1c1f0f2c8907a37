extension Report where Run == PoolRun {
    /// Puts results together.
    init(
        _ results: [PoolMeasurement.CaseResult], host: HostFacts, interrupted: Bool,
        failure: String?
    ) {
        self.host = host
        self.interrupted = interrupted
        self.failure = failure
        runs = []
        ratios = []
        floors = []
        for result in results where result.roundCount > 0 {
            for variant in result.variants {
                guard let samples = result.samples[variant] else { continue }
                runs.append(PoolRun(result, variant: variant, samples: samples))
            }
            ratios += Self.comparisons(in: result) + Self.scalings(in: result)
        }
    }

    /// The pool to each other path, and the C twin to the model of Linux's search, with as many
    /// threads.
    ///
    /// `ns_per_op` is a quotient of CPU times, `throughput` one of operations a second.
    private static func comparisons(in result: PoolMeasurement.CaseResult) -> [Ratio] {
        result.variants.flatMap { base -> [Ratio] in
            var paths: [PoolPath] = []
            switch base.path {
            case .pool, .loop: break
            case .cTwin, .memcpy, .poolPrefill, .poolScrubOnFree, .poolScrubOnOwnerChange,
                .poolQuota:
                paths = [.pool]
            case .linuxModel: paths = [.pool, .cTwin]
            }
            return paths.flatMap { path -> [Ratio] in
                let variant = PoolVariant(path: path, threadCount: base.threadCount)
                return ratios(in: result, of: variant, to: base, "ns_per_op") {
                    $0.cpuNanosecondsPerOperation / $1.cpuNanosecondsPerOperation
                }
                    + ratios(in: result, of: variant, to: base, "throughput") {
                        $0.operationsPerSecond / $1.operationsPerSecond
                    }
            }
        }
    }

    /// Each path with several threads to the same with one: operations a second, of all threads.
    ///
    /// `scaling` is by the clock on the wall, and suffers where other programs take a processor;
    /// `scaling_cpu` is by CPU time, as if each thread had a processor for itself.
    private static func scalings(in result: PoolMeasurement.CaseResult) -> [Ratio] {
        result.variants.filter { $0.threadCount > 1 }.flatMap { variant -> [Ratio] in
            let base = PoolVariant(path: variant.path, threadCount: 1)
            return ratios(in: result, of: variant, to: base, "scaling") {
                $0.operationsPerSecond / $1.operationsPerSecond
            }
                + ratios(in: result, of: variant, to: base, "scaling_cpu") {
                    $0.operationsPerCPUSecond(threadCount: variant.threadCount)
                        / $1.operationsPerCPUSecond(threadCount: 1)
                }
        }
    }

    /// One ratio, where both variants were measured.
    private static func ratios(
        in result: PoolMeasurement.CaseResult, of variant: PoolVariant, to base: PoolVariant,
        _ metric: String, _ quotient: (PoolSample, PoolSample) -> Double
    ) -> [Ratio] {
        guard let samples = result.samples[variant], let bases = result.samples[base] else {
            return []
        }
        let values = zip(samples, bases).map(quotient)
        let estimate = Estimate(values)
        return [
            Ratio(
                workload: "pool", metric: metric, of: variant.path.rawValue,
                to: base.path.rawValue, op: result.plan.operation,
                blockBytes: result.plan.byteCount, threads: variant.threadCount,
                occupancy: Double(result.plan.occupancyPercent) / 100, median: estimate.median,
                low: estimate.low, high: estimate.high, ofRounds: values,
                detectable: estimate.detectable(roundCount: values.count))
        ]
    }
}
