import CommandSupport
import Foundation
import Testing

@testable import perfbench

@Suite struct ReportFormatsTests {
    private func block(
        _ runs: [String] = [
            SampleReport.blockRun("direct"), SampleReport.blockRun("bounce", occupancy: true),
        ], interrupted: Bool = false, failure: String? = nil
    ) throws -> Report<BlockRun> {
        try SampleReport.read(
            SampleReport.block(runs, interrupted: interrupted, failure: failure), as: BlockRun.self)
    }

    private func object(_ text: String) throws -> [String: Any] {
        try #require(
            try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test func `CSV has a line for each measure, with its interval`() throws {
        let lines = try block().text(as: .csv).split(separator: "\n").map { String($0) }
        #expect(
            lines[0]
                == "workload,via,path,rw,block_bytes,depth,measure,value,low,high,rounds,complete")
        #expect(lines[1] == "block,engine,direct,randread,4096,2,iops,1000.0,900.0,1100.0,6,true")
        let bounce = "block,engine,bounce,randread,4096,2"
        #expect(lines.contains("\(bounce),clat_ns_p99_9,8500.0,,,6,true"))
        #expect(lines.contains("\(bounce),iops_to_direct,0.9,0.8,1.25,6,true"))
        #expect(lines.contains("\(bounce),memcpy_ns,1000.0,900.0,1100.0,6,true"))
        // A floor and ratios are of what bounces.
        #expect(!lines.contains { $0.contains("direct,randread,4096,2,memcpy_ns") })
        #expect(
            Set(lines.map { $0.split(separator: ",", omittingEmptySubsequences: false).count }) == [
                12
            ])
    }

    @Test func `Markdown is the table of the terminal`() throws {
        let lines = try block().text(as: .markdown).split(separator: "\n").map { String($0) }
        #expect(lines[0] == "### perfbench block")
        // What looks like HTML would not be shown.
        #expect(lines[1].hasPrefix("Z80 &lt;4 MHz>, 2 processors"))
        #expect(lines.contains { $0.hasPrefix("| case | path | IOPS |") })
        #expect(lines.contains { $0.hasPrefix("| --- | --- | ---: |") })
        #expect(
            lines.contains {
                $0.hasPrefix("| randread 4k ×2 | direct | 1.0k | 4 | 2.00 | 8.00 | 10.00 |")
            }, "\(lines)")
        #expect(
            lines.contains { $0.hasPrefix("|  | bounce |") && $0.contains("0.90 [0.80, 1.25]") })
    }

    @Test func `Bencher's metrics have values and bounds`() throws {
        let benchmarks = try object(try block().text(as: .bencher))
        #expect(benchmarks.count == 2)
        let bounce = try #require(
            benchmarks["block/engine/bounce/randread/4096/2"] as? [String: [String: Double]])
        #expect(bounce["iops"] == ["value": 1000, "lower_value": 900, "upper_value": 1100])
        #expect(bounce["clat_ns_p50"] == ["value": 2000])
        #expect(bounce["incomplete"] == nil)
    }

    @Test func `fio's readers find what they look for`() throws {
        let output = try object(try block().text(as: .fio))
        for key in ["fio version", "timestamp", "time", "global options"] {
            #expect(output[key] != nil, "\(key)")
        }
        #expect(output["timestamp"] as? Int == 1_795_875_631)
        let jobs = try #require(output["jobs"] as? [[String: Any]])
        #expect(
            jobs.map { $0["jobname"] as? String } == [
                "engine-direct-randread-4096-2", "engine-bounce-randread-4096-2",
            ])
        for job in jobs {
            #expect(job["error"] as? Int == 0)
            for key in ["latency_ns", "latency_us", "latency_ms"] {
                #expect(job[key] is [String: Any])
            }
            // 2 and 8 µs of 1000 operations a second, in per cent of a processor.
            #expect(job["usr_cpu"] as? Double == 0.2)
            #expect(job["sys_cpu"] as? Double == 0.8)
            let options = try #require(job["job options"] as? [String: String])
            #expect(
                options == [
                    "rw": "randread", "bs": "4096", "iodepth": "2", "numjobs": "1",
                ])
            let read = try #require(job["read"] as? [String: Any])
            #expect(read["bw_bytes"] as? Int == 4_096_000)
            #expect(read["iops"] as? Double == 1000)
            #expect(read["total_ios"] as? Int == 600)
            #expect(read["runtime"] as? Int == 600)
            #expect(read["io_bytes"] as? Int == 600 * 4096)
            let latency = try #require(read["clat_ns"] as? [String: Any])
            #expect(latency["N"] as? Int == 600)
            #expect(latency["mean"] as? Double == 2000.5)
            #expect((latency["percentile"] as? [String: Int])?["99.000000"] == 8000)
            let write = try #require(job["write"] as? [String: Any])
            #expect(write["total_ios"] as? Int == 0)
            #expect((write["clat_ns"] as? [String: Any])?["N"] as? Int == 0)
        }
    }

    @Test func `a mixed pattern is fio's mixed direction`() throws {
        let report = try block([SampleReport.blockRun("direct", rw: "randrw")])
        let output = try object(try report.text(as: .fio))
        let job = try #require((output["jobs"] as? [[String: Any]])?.first)
        #expect((job["mixed"] as? [String: Any])?["total_ios"] as? Int == 600)
        #expect(job["read"] == nil && job["write"] == nil)
    }

    @Test(arguments: OutputFormat.allCases)
    func `every format says that results are not whole`(format: OutputFormat) throws {
        let interrupted = try block(interrupted: true).text(as: format)
        let failed = try block(failure: "the backend is gone").text(as: format)
        let whole = try block().text(as: format)
        let marks: (String, String) =
            switch format {
            case .table, .markdown: ("Interrupted:", "Ended early, the backend is gone")
            case .json: ("\"interrupted\" : true", "\"failure\" : \"the backend is gone\"")
            case .csv: (",6,false\n", ",6,false\n")
            case .fio: ("\"error\" : 4", "\"error\" : 5")
            case .bencher: ("\"incomplete\" : {", "\"incomplete\" : {")
            }
        #expect(interrupted.contains(marks.0))
        #expect(failed.contains(marks.1))
        #expect(!whole.contains(marks.0) && !whole.contains(marks.1))
    }

    @Test func `requests that failed are told by every format for a person, and by fio's`() throws {
        let report = try block([
            SampleReport.blockRun("direct"), SampleReport.blockRun("bounce", errors: 3),
        ])
        for format in [OutputFormat.table, .markdown] {
            let text = try report.text(as: format)
            #expect(text.contains("3 requests failed, bounce, randread 4k ×2"), "\(text)")
        }
        #expect(try !block().text(as: .table).contains("requests failed"))
        let jobs = try object(try report.text(as: .fio))["jobs"] as? [[String: Any]]
        #expect(jobs?.map { $0["error"] as? Int } == [0, 5])
        #expect(jobs?.map { $0["total_err"] as? Int } == [0, 3])
    }

    @Test func `what ended before a whole round says so where there is no run to say it of`() throws
    {
        let report = try block([], interrupted: true)
        #expect(
            try report.text(as: .csv)
                == "workload,measure,value,low,high,rounds,complete\nblock,incomplete,1,,,0,false\n"
        )
        let benchmarks = try object(try report.text(as: .bencher))
        #expect(benchmarks["block"] as? [String: [String: Double]] == ["incomplete": ["value": 1]])
    }

    @Test func `fio's format does not say what nobody knows of a backend's storage`() throws {
        let report = try block()
        func options(_ report: Report<BlockRun>) throws -> [String: String]? {
            try object(try report.text(as: .fio))["global options"] as? [String: String]
        }
        #expect(try options(report)?["direct"] == "1")
        let text = SampleReport.block().replacing(/"storage": \{[^}]*\},/, with: "")
        #expect(try options(SampleReport.read(text, as: BlockRun.self)) == ["ioengine": "io_uring"])
    }

    @Test func `formats of other workloads name what they are of`() throws {
        let net = try SampleReport.read(SampleReport.net, as: NetRun.self)
        #expect(
            try net.text(as: .csv).contains(
                "net,virtqueue,bounce,drop,tx,1514,32,added_cpu_per_floor_to_direct,0.5,0.4,0.6,"))
        #expect(try net.text(as: .csv).contains(",drops,3.0,"))
        #expect(try net.text(as: .bencher).contains("net/virtqueue/bounce/drop/tx/1514/32"))
        let pool = try SampleReport.read(SampleReport.pool, as: PoolRun.self)
        #expect(
            try pool.text(as: .csv).contains("pool,c-twin,churn,38912,2,0.95,map_latency_ns_p99,"))
        #expect(try pool.text(as: .markdown).contains("| map-unmap 4k at 50 % | pool ×1 |"))
        for (name, text) in [
            ("net", { try net.text(as: .fio) }), ("pool", { try pool.text(as: .fio) }),
        ] {
            let failure = #expect(throws: CommandFailure.self) { _ = try text() }
            #expect(failure?.status == .usage)
            #expect(failure?.message.contains(name) == true)
        }
    }
}
