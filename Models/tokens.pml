/*
 * tokens: mappings that are parked as tokens, redeemed, doubled, replayed, quarantined.
 *
 * One slot. The driver maps it and parks the mapping, again as soon as it is free. Two completion
 * threads take any token that was ever in the ring, as often as they like (a peer doubles and
 * replays completions), and redeem it, put it into quarantine, or release it from there. Who has
 * redeemed one frees the slot, parks the mapping once more, or quarantines it. Three mappings are
 * parked in all.
 *
 * Plain stores (the state when a mapping is begun, parked, quarantined or freed; the ring's entry)
 * go through the thread's store buffer (x86-TSO); RMWs empty it first.
 *
 * Held to be true:
 *   - a token is redeemed for the parking it was made by, once
 *   - a mapping has one holder; one in quarantine is nobody's until it is released from there
 *   - the slot is freed once, and not lost: when all is quiet it is free, or a token that works
 *     is in the ring
 *
 * Edges: T1 plain store of the state; T2 CAS of it (cache.pml).
 *
 * Mutants, which must fail:
 *   MUTANT_SAME_GENERATION   redeem leaves the generation as it is
 *   MUTANT_REDEEM_STORE      redeem loads the state and stores it
 *   MUTANT_QUARANTINE_STORE  quarantine of a token loads the state and stores it
 */

#define FREE        0
#define MAPPED      1
#define PARKED      2
#define QUARANTINED 3
#define STATE(phase, generation) ((phase) | ((generation) << 2))
#define PHASE(state)      ((state) & 3)
#define GENERATION(state) ((state) >> 2)

#define TOKENS 3
#define THREADS 3
#define NOBODY 9
#define RING   8                    /* held by whoever redeems the token */
#define DEVICE 7                    /* in quarantine */

byte state = 0;
bool in_bitmap = true;

byte generation_of[TOKENS];         /* of the n-th token */
bool in_ring[TOKENS];               /* it can be seen */

/* Store buffers: address 0 is the state, 1 + n the ring's n-th entry. */
chan buffer[THREADS] = [4] of { byte, byte };
byte pending[THREADS];              /* stores of the state in the buffer */
byte own_state[THREADS];            /* the last of them */

byte holder = NOBODY;               /* ghost */
byte parkings = 0;                  /* ghost: tokens made */
byte current = NOBODY;              /* ghost: the parking that is to be redeemed or released */

inline put(me, at, value) {
    buffer[me] ! at, value;
    if :: at == 0 -> pending[me]++; own_state[me] = value :: else fi
}

inline flush_one(me, at, value) {
    buffer[me] ? at, value;
    if
    :: at == 0 ->
       state = value;
       pending[me]--;
       if :: pending[me] == 0 -> own_state[me] = 0 :: else fi
    :: else -> in_ring[at - 1] = true
    fi;
    at = 0; value = 0
}

inline drain(me) {
    do
    :: len(buffer[me]) > 0 -> flush_one(me, a, v)
    :: else -> break
    od
}

#define SEEN(me) (pending[me] > 0 -> own_state[me] : state)

/* The n-th token's mapping goes from one holder to another: ghosts. */
inline hand_over(n, from, to) {
    assert(holder == from && current == n);
    holder = to;
    if :: to == DEVICE :: else -> current = NOBODY fi
}

inline exchange(old, new, me, ok, n, from, to) {
    atomic {
        drain(me);
        ok = (state == old);
        if :: ok -> state = new; hand_over(n, from, to) :: else fi                     /* T2 */
    }
}

/* Makes a token of the mapping that `me` holds: the state, then the ring. */
inline park(generation, me) {
    atomic {
        assert(holder == me);
        holder = RING;
        current = parkings; mine = parkings;
        generation_of[parkings] = generation;
        parkings++;
        put(me, 0, STATE(PARKED, generation))                                          /* T1 */
    };
    put(me, 1 + mine, 0);
    mine = 0
}

inline free(generation, me) {
    atomic { assert(holder == me); put(me, 0, STATE(FREE, generation)) };              /* T1 */
    atomic { drain(me); holder = NOBODY; assert(!in_bitmap); in_bitmap = true }
}

proctype Driver() {
    byte generation, mine, a, v;
end_idle:
    do
    :: parkings < TOKENS && in_bitmap ->
       atomic { drain(0); assert(in_bitmap && holder == NOBODY); in_bitmap = false; holder = 0 };
       generation = GENERATION(SEEN(0)) + 1;
       atomic { put(0, 0, STATE(MAPPED, generation)) };
       park(generation, 0);
       generation = 0
    :: parkings == TOKENS -> break
    od
}

/* What `redeem` and `quarantine` begin with: the state, if it is of the token's generation. */
#define IS(old, phase, n) ((old) == STATE(phase, generation_of[n]))

proctype Completer(byte self) {
    byte old, n, generation, mine, a, v, steps;
    bool ok;
    do
    :: steps < 4 ->
end_empty:
       if
       :: in_ring[0] -> n = 0
       :: in_ring[1] -> n = 1
       :: in_ring[2] -> n = 2
       fi;
       steps++;
       old = SEEN(self);
       if
       :: IS(old, PARKED, n) ->                                           /* redeem */
          generation = GENERATION(old);
#ifndef MUTANT_SAME_GENERATION
          generation++;
#endif
#ifdef MUTANT_REDEEM_STORE
          atomic { put(self, 0, STATE(MAPPED, generation)); hand_over(n, RING, self); ok = true };
#else
          exchange(old, STATE(MAPPED, generation), self, ok, n, RING, self);
#endif
          if
          :: ok ->
             ok = false;
             if
             :: free(generation, self)
             :: parkings < TOKENS -> park(generation, self)
             :: parkings < TOKENS ->                                      /* quarantine */
                atomic {
                    holder = DEVICE;
                    current = parkings; mine = parkings;
                    generation_of[parkings] = generation;
                    parkings++;
                    put(self, 0, STATE(QUARANTINED, generation))                         /* T1 */
                };
                put(self, 1 + mine, 0);
                mine = 0
             fi
          :: else
          fi
       :: IS(old, PARKED, n) ->                                           /* quarantine the token */
#ifdef MUTANT_QUARANTINE_STORE
          atomic {
              put(self, 0, STATE(QUARANTINED, GENERATION(old)));
              hand_over(n, RING, DEVICE)
          };
#else
          exchange(old, STATE(QUARANTINED, GENERATION(old)), self, ok, n, RING, DEVICE);
#endif
          ok = false
       :: IS(old, QUARANTINED, n) ->                                      /* release from there */
          generation = GENERATION(old) + 1;
          exchange(old, STATE(MAPPED, generation), self, ok, n, DEVICE, self);
          if :: ok -> ok = false; free(generation, self) :: else fi
       :: else                                                            /* stale: refused */
       fi;
       old = 0; n = 0; generation = 0
    :: break
    od
}

proctype StoreBuffers() {
    byte a, v;
end_idle:
    do
    :: atomic { len(buffer[0]) > 0 -> flush_one(0, a, v) }
    :: atomic { len(buffer[1]) > 0 -> flush_one(1, a, v) }
    :: atomic { len(buffer[2]) > 0 -> flush_one(2, a, v) }
    od
}

#define WORKS(n) (in_ring[n] && GENERATION(state) == generation_of[n])

init {
    atomic { run StoreBuffers(); run Driver(); run Completer(1); run Completer(2) };
    timeout ->
    assert(in_bitmap == (holder == NOBODY) && in_bitmap == (PHASE(state) == FREE));
    assert((holder == RING) == (PHASE(state) == PARKED));
    assert((holder == DEVICE) == (PHASE(state) == QUARANTINED));
    assert(in_bitmap || current < TOKENS && WORKS(current))
}
