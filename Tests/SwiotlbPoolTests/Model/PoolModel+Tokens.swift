import SharedMemory
import TestSupport

@testable import SwiotlbPool

/// Tokens and quarantine (17), (20), (21).
extension PoolModel {
    /// A holding of which a token is out, from a place on.
    private func token(
        _ number: Int, quarantined: Bool
    ) -> (holding: ModelHolding, index: Int, token: MappingToken)? {
        let index = choose(number, among: 24) { kind in
            switch kind {
            case .parked: !quarantined
            case .quarantined: quarantined
            default: false
            }
        }
        guard let index else { return nil }
        switch holdings[index].kind {
        case .parked(let token), .quarantined(let token): return (holdings[index], index, token)
        default: return nil
        }
    }

    private func remember(_ token: MappingToken) {
        if staleTokens.count < 40 {
            staleTokens.append(token)
        } else {
            staleTokens[stepCount % 40] = token
        }
    }

    func park(_ operation: ModelOperation, _ by: ModelMapper) {
        guard let (index, box) = mapped(operation.a) else { return }
        let token = by.mapper.park(box.take())
        // (20): not one that was out before, of this mapping or another of the same slots.
        require(!staleTokens.contains(token), "a token comes a second time: \(token)")
        holdings[index].kind = .parked(token)
    }

    func redeem(_ operation: ModelOperation, _ by: ModelMapper) {
        guard let (holding, _, token) = token(operation.a, quarantined: false) else { return }
        do throws(TokenFault) {
            let box = MappingBox(try by.mapper.redeem(token))
            require(
                box.slots.first..<box.slots.end == holding.slots
                    && box.direction == holding.direction
                    && box.device.byteCount == holding.byteCount
                    && Int(box.device.address.rawValue - pool.windowAddress.rawValue)
                        == holding.deviceOffset
                    && box.buffer.address == buffer(holding.buffers[0]).address,
                "a token is redeemed for another mapping")
            holding.kind = .mapped(box)
        } catch {
            fail("a parked token is refused: \(error)")
        }
        remember(token)
    }

    /// A token that is not valid, by any of the ways that a peer may use it, is refused without
    /// effect.
    func redeemStale(_ operation: ModelOperation, _ by: ModelMapper) {
        let random = UInt64(operation.b) << 32 | UInt64(operation.c)
        var candidate = MappingToken(rawValue: random)
        switch operation.a % 4 {
        case 0: break
        case 1:
            // Nearly right.
            guard let (_, _, live) = token(operation.b, quarantined: operation.c % 3 == 0) else {
                return
            }
            candidate.rawValue = live.rawValue ^ 1 << (random % 64)
        case 2:
            // Right, but of a mapping that is not parked.
            guard let (_, box) = mapped(operation.b) else { return }
            let state = pool.table.state(box.slots.first)
            candidate = MappingToken(
                slot: box.slots.first, generation: state.generation, pool: state.pool)
        default:
            guard !staleTokens.isEmpty else { return }
            candidate = staleTokens[operation.b % staleTokens.count]
        }
        for holding in holdings {
            switch holding.kind {
            case .parked(let token), .quarantined(let token):
                if token == candidate { return }
            default: continue
            }
        }
        for way in 0..<3 {
            do throws(TokenFault) {
                switch way {
                case 0:
                    let box = MappingBox(try by.mapper.redeem(candidate))
                    box.take().end()
                case 1: try by.mapper.quarantine(candidate)
                default: try by.mapper.release(quarantined: candidate)
                }
                return fail("an invalid token was taken, way \(way): \(candidate)")
            } catch {
                continue
            }
        }
    }

    func quarantine(_ operation: ModelOperation, _ by: ModelMapper) {
        guard let (index, box) = mapped(operation.a) else { return }
        let token = by.mapper.quarantine(box.take())
        didQuarantine(holdings[index], token)
    }

    private func didQuarantine(_ holding: ModelHolding, _ token: MappingToken) {
        require(!staleTokens.contains(token), "a token comes a second time: \(token)")
        holding.kind = .quarantined(token)
        expected.quarantinedSlotCount += holding.slots.count
    }

    func quarantineToken(_ operation: ModelOperation, _ by: ModelMapper) {
        guard let (holding, _, token) = token(operation.a, quarantined: false) else { return }
        do throws(TokenFault) {
            try by.mapper.quarantine(token)
        } catch {
            fail("a parked token is refused: \(error)")
        }
        didQuarantine(holding, token)
    }

    func release(_ operation: ModelOperation, _ by: ModelMapper) {
        guard let (holding, index, token) = token(operation.a, quarantined: true) else { return }
        holdings.remove(at: index)
        do throws(TokenFault) {
            MappingBox(try by.mapper.redeem(token)).take().end()
            fail("a quarantined token was redeemed")
        } catch {
            require(error == .quarantined, "a quarantined token is refused as \(error)")
        }
        do throws(TokenFault) {
            try by.mapper.release(quarantined: token)
        } catch {
            fail("a quarantined token is refused: \(error)")
        }
        expected.quarantinedSlotCount -= holding.slots.count
        // Nothing is copied back.
        didEndMapping(holding, by, copiedOut: 0)
        remember(token)
        check(holding)
    }

    func quarantineParked(_ operation: ModelOperation) {
        let owner = operation.a % owners.count
        var count = 0
        for holding in holdings where holding.maker?.owner == owner {
            guard case .parked(let token) = holding.kind else { continue }
            didQuarantine(holding, token)
            count += 1
        }
        let told = pool.quarantineParked(of: owners[owner])
        require(told == count, "\(told) of \(count) are quarantined")
    }

    func releaseQuarantine(_ operation: ModelOperation) {
        let owner = operation.a % owners.count
        var ended: [ModelHolding] = []
        for index in holdings.indices.reversed() where holdings[index].maker?.owner == owner {
            guard case .quarantined(let token) = holdings[index].kind else { continue }
            ended.append(holdings.remove(at: index))
            remember(token)
        }
        let told = pool.releaseQuarantine(of: owners[owner])
        require(told == ended.count, "\(told) of \(ended.count) are released")
        for holding in ended {
            expected.quarantinedSlotCount -= holding.slots.count
            if setting.scrub == .onFree { clear(holding.slots) }
            expected.unmapCount += 1
            didFree(holding)
            check(holding)
        }
    }

    /// Clears slots in the model, as nobody's doing.
    func clear(_ slots: Range<Int>) {
        window.store(
            [UInt8](repeating: 0, count: slots.count * slotByteCount),
            at: slots.lowerBound * slotByteCount)
    }
}
