import CLinux
public import SharedMemory
import Uring
public import Virtqueue

// Each method returns false where as many requests are under way as the engine has room for, and
// true for every other request, however wrong: it is then `nextCompletion` that tells how it ended.
extension BlockEngine {
    /// Enqueues a request without a payload: flush, discard, write zeroes.
    ///
    /// - Parameters:
    ///   - sector: where in the storage, in sectors of 512 bytes.
    ///   - tag: comes back with the completion.
    public mutating func enqueue(
        _ operation: BlockOperation, sector: UInt64 = 0, tag: UInt64
    ) -> Bool {
        guard let row = begin(operation, sector: sector, tag: tag) else { return false }
        admit(row, operation)
        return true
    }

    /// Enqueues a request whose payload is one range of the memory map.
    ///
    /// - Parameter payload: a multiple of 512 bytes.
    public mutating func enqueue(
        _ operation: BlockOperation, sector: UInt64, payload: GuestRange, tag: UInt64
    ) -> Bool {
        guard let row = begin(operation, sector: sector, tag: tag) else { return false }
        append(payload, to: row)
        admit(row, operation)
        return true
    }

    /// Enqueues a request whose payload is a list of ranges of the memory map, in order.
    ///
    /// - Parameter payload: a multiple of 512 bytes in all. A list longer than the configuration
    ///   allows is refused with a status.
    public mutating func enqueue(
        _ operation: BlockOperation, sector: UInt64, payload: Span<GuestRange>, tag: UInt64
    ) -> Bool {
        guard let row = begin(operation, sector: sector, tag: tag) else { return false }
        for index in payload.indices { append(payload[index], to: row) }
        admit(row, operation)
        return true
    }
}

extension BlockEngine {
    private mutating func begin(
        _ operation: BlockOperation, sector: UInt64, tag: UInt64
    ) -> Int? {
        guard !table.isFull else { return nil }
        let row = table.takeRow()
        let step: Transfer.Step =
            switch operation {
            case .read: .read
            case .write: .write
            case .flush: .sync
            case .discard: .discard
            case .writeZeroes(_, let mayUnmap): .allocateZeroes(mayUnmap: mayUnmap)
            }
        table[row] = Transfer(tag: tag, step: step, fileOffset: 0, byteCount: 0)
        // A position that bytes cannot express is beyond the end of any storage.
        let (offset, overflow) = sector.multipliedReportingOverflow(by: UInt64(sectorByteCount))
        table[row].fileOffset = overflow ? .max : offset
        return row
    }

    /// Adds a range to a payload, in as many runs as it has in the memory map.
    private mutating func append(_ range: GuestRange, to row: Int) {
        var rest = range
        while rest.byteCount > 0, table[row].settledStatus == nil {
            guard let run = memoryMap.translatePrefix(of: rest),
                append(run.hostRange, in: registration.buffer(of: run), to: row)
            else {
                table[row].settledStatus = .ioError
                return
            }
            let count = run.hostRange.byteCount
            rest = rest.slice(offset: count, byteCount: rest.byteCount - count)
        }
    }

    /// Adds a translated run to a payload: ranges that touch become one, others a list.
    ///
    /// - Returns: false where the payload has too many ranges.
    private mutating func append(
        _ range: HostRange, in buffer: FixedBuffer?, to row: Int
    ) -> Bool {
        if let alignment = storage.alignment, !alignment.admits(range) {
            table[row].isMisaligned = true
        }
        if table[row].byteCount == 0 {
            table[row].buffer = buffer
        } else if table[row].buffer != buffer {
            table[row].buffer = nil
        }
        table[row].byteCount += range.byteCount
        if var list = table[row].list {
            let hasRoom = vectors.append(range, to: &list)
            table[row].list = list
            return hasRoom
        }
        guard let former = table[row].range else {
            table[row].range = range
            return true
        }
        if former.isFollowed(by: range) {
            table[row].range = former.joined(with: range)
            return true
        }
        var list = vectors.emptyList(inRow: row)
        let hasRoom = vectors.append(former, to: &list) && vectors.append(range, to: &list)
        table[row].range = nil
        table[row].list = list
        return hasRoom
    }

    /// Checks a request whose payload is complete, and lets it go to the kernel, to the gate, or
    /// straight to its end.
    private mutating func admit(_ row: Int, _ operation: BlockOperation) {
        if table[row].settledStatus == nil {
            table[row].settledStatus = verdict(on: row, operation)
        }
        guard table[row].settledStatus == nil else {
            settled.append(row, of: &table)
            return
        }
        if table[row].step == .discard {
            shrinkDiscard(row)
            if table[row].byteCount == 0 {
                table[row].settledStatus = .ok
                settled.append(row, of: &table)
                return
            }
        }
        if let alignment = storage.alignment {
            if !alignment.admits(fileOffset: table[row].fileOffset, byteCount: table[row].byteCount)
            {
                table[row].isMisaligned = true
            }
            table[row].granule = table[row].isMisaligned ? 1 : alignment.offset
        }
        if table[row].list != nil, !supportsVectoredFixedBuffers { table[row].buffer = nil }
        if table[row].passesGate, !gate.enter(row, of: &table) { return }
        prepare(row)
    }

    /// Takes from a discard what the storage cannot discard, the parts of blocks at its ends: a discard
    /// is a hint.
    private mutating func shrinkDiscard(_ row: Int) {
        let mask = UInt64(storage.discardGranule - 1)
        let begin = (table[row].fileOffset + mask) & ~mask
        let end = (table[row].fileOffset + UInt64(table[row].byteCount)) & ~mask
        table[row].fileOffset = begin
        table[row].byteCount = end > begin ? Int(end - begin) : 0
    }

    /// The status of a request that is not to reach the kernel, or `nil` for one that is.
    private mutating func verdict(on row: Int, _ operation: BlockOperation) -> BlockStatus? {
        switch operation {
        case .read, .write:
            if table[row].byteCount == 0 { return .ok }
        case .flush:
            table[row].dropPayload()
            table[row].fileOffset = 0
            return nil
        case .discard(let sectorCount), .writeZeroes(let sectorCount, _):
            table[row].dropPayload()
            guard sectorCount <= storage.byteCount / UInt64(sectorByteCount) else {
                return .ioError
            }
            if sectorCount == 0 { return .ok }
            table[row].byteCount = Int(sectorCount) * sectorByteCount
        }
        if table[row].changesStorage, storage.isReadOnly { return .ioError }
        let byteCount = UInt64(table[row].byteCount)
        // By subtraction: an addition could overflow.
        guard byteCount % UInt64(sectorByteCount) == 0, byteCount <= storage.byteCount,
            table[row].fileOffset <= storage.byteCount - byteCount
        else { return .ioError }
        return nil
    }
}

extension BlockEngine {
    /// Prepares the next operation of a request.
    ///
    /// The ring has more entries than there are requests, and a request is one operation at a time,
    /// so there is always room.
    mutating func prepare(_ row: Int) {
        if transfersAtOnce, transferAtOnce(row) { return }
        let transfer = table[row]
        let file = transfer.isMisaligned ? Self.bufferedFile : Self.primaryFile
        let offset = transfer.fileOffset + UInt64(transfer.doneByteCount)
        let left = transfer.byteCount - transfer.doneByteCount
        let tag = RingTag(.request, index: row).rawValue
        let isPrepared =
            switch transfer.step {
            case .read, .write:
                if let list = transfer.list {
                    ring.prepareVectored(
                        transfer.step == .read ? .read : .write, list, of: vectors, file: file,
                        fileOffset: offset, buffer: transfer.buffer, tag: tag)
                } else if let range = transfer.range {
                    ring.prepare(
                        transfer.step == .read ? .read : .write, range, file: file,
                        fileOffset: offset, buffer: transfer.buffer, tag: tag)
                } else {
                    false
                }
            case .writeZeroes:
                ring.prepare(
                    .write, zeroes.hostRange.prefix(left), file: file, fileOffset: offset,
                    buffer: nil, tag: tag)
            case .sync:
                ring.prepareSync(file: file, dataOnly: true, tag: tag)
            case .discard:
                ring.prepareAllocate(
                    file: file, mode: FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    fileOffset: offset, byteCount: UInt64(left), tag: tag)
            case .allocateZeroes(let mayUnmap):
                ring.prepareAllocate(
                    file: file,
                    mode: (mayUnmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE)
                        | FALLOC_FL_KEEP_SIZE,
                    fileOffset: offset, byteCount: UInt64(left), tag: tag)
            }
        precondition(isPrepared, "the ring has room for every request")
    }

    /// Transfers a request's payload, all of it, if there is something to transfer: what is to be
    /// allocated, or written without a payload, takes its time in memory too.
    private mutating func transferAtOnce(_ row: Int) -> Bool {
        let file =
            (table[row].isMisaligned ? storage.bufferedDescriptor : nil) ?? storage.descriptor
        while true {
            let transfer = table[row]
            let offset = transfer.fileOffset + UInt64(transfer.doneByteCount)
            let result: Int32
            switch transfer.step {
            case .read, .write:
                let direction: TransferDirection = transfer.step == .read ? .read : .write
                if let range = transfer.range {
                    result = ImmediateTransfer.perform(
                        direction, range, file: file, fileOffset: offset)
                } else if let list = transfer.list {
                    result = ImmediateTransfer.perform(
                        direction, list, of: vectors, file: file, fileOffset: offset)
                } else {
                    preconditionFailure("a transfer has a payload")
                }
            case .sync: result = ImmediateTransfer.sync(file: file)
            case .discard, .allocateZeroes, .writeZeroes: return false
            }
            switch table[row].advance(result, vectors: vectors) {
            case .goOn: continue
            case .done(let status, let errno):
                table[row].settledStatus = status
                table[row].settledErrno = errno
                settled.append(row, of: &table)
                return true
            }
        }
    }
}
