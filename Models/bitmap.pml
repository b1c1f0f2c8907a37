/*
 * bitmap: claims and releases of runs of slots, within a word and across words.
 *
 * Three words of two slots. Thread 0 claims slots 1...4, which touch all three words, in ascending
 * order with roll-back; thread 1 claims slot 1 or 4, thread 2 claims two adjacent slots, within
 * word 1 or across words 0 and 1 or 1 and 2. Each uses its slots by a plain store, which its store
 * buffer delays (x86-TSO), and gives them back; twice.
 *
 * Held to be true:
 *   - no slot has two holders
 *   - what a holder stored in a slot is not overwritten by the one before (B1, B2)
 *   - when all is quiet, every slot is free again
 *
 * Edges (SlotBitmap.swift):
 *   B1  release: RMW sets the bits, after all stores  -> B2  claim: CAS clears them
 *
 * Mutants, which must fail:
 *   MUTANT_CLAIM_STORE       a claim is a load and a store
 *   MUTANT_RELEASE_STORE     a release is a load and a store
 *   MUTANT_ROLLBACK_FORGETS  a roll-back gives the last word back that it claimed, no other
 */

#define WORDS  3
#define SLOTS  6
#define NOBODY 9

#define MASK(first, count) (((1 << (count)) - 1) << (first))    /* of slots, in all words */
#define WORD(w) (3 << (2 * (w)))                                /* the slots of a word */

byte bitmap = 63;                   /* the words side by side: 1 = free; a step is on one word */
byte holder[SLOTS] = NOBODY;        /* ghost */
byte payload[SLOTS] = NOBODY;       /* the slots' memory */
byte buffered[3] = 0;               /* store buffer: slot + 1 of a payload not visible yet */

inline drain(me) {
    if
    :: buffered[me] != 0 -> payload[buffered[me] - 1] = me; buffered[me] = 0
    :: else
    fi
}

inline take(mask, me) {
    s = 0;
    do
    :: s < SLOTS ->
       if :: mask & (1 << s) -> assert(holder[s] == NOBODY); holder[s] = me :: else fi;
       s++
    :: else -> s = 0; break
    od
}

inline give(mask, me) {
    s = 0;
    do
    :: s < SLOTS ->
       if :: mask & (1 << s) -> assert(holder[s] == me); holder[s] = NOBODY :: else fi;
       s++
    :: else -> s = 0; break
    od
}

/* Clears bits of one word that must all be set: load, CAS; another look where that fails. */
inline clear(mask, w, me, ok) {
    do
    :: old = bitmap & WORD(w);
       if
       :: (old & (mask)) != (mask) -> ok = false; break
       :: else
       fi;
#ifdef MUTANT_CLAIM_STORE
       atomic {
           take(mask, me);
           bitmap = (bitmap & (63 - WORD(w))) | (old & (63 - (mask)));
           ok = true
       };
       break
#else
       atomic {
           drain(me);
           ok = ((bitmap & WORD(w)) == old);
           if :: ok -> bitmap = bitmap & (63 - (mask)); take(mask, me) :: else fi      /* B2 */
       };
       if :: ok -> break :: else fi
#endif
    od;
    old = 0
}

/* Sets bits of one word. */
inline set(mask, w, me) {
#ifdef MUTANT_RELEASE_STORE
    atomic { give(mask, me); old = bitmap & WORD(w) };
    atomic { bitmap = (bitmap & (63 - WORD(w))) | old | (mask); old = 0 }
#else
    atomic {
        drain(me);
        give(mask, me);
        assert((bitmap & (mask)) == 0);                       /* freed once */
        bitmap = bitmap | (mask)                                                       /* B1 */
    }
#endif
}

/* The words that a run has a part in, in ascending order. */
inline release(slots, me) {
    r = 0;
    do
    :: r < WORDS ->
       if :: (slots) & WORD(r) -> set((slots) & WORD(r), r, me) :: else fi;
       r++
    :: else -> r = 0; break
    od
}

inline claim(slots, me, ok) {
    c = 0;
    do
    :: c < WORDS ->
       if
       :: (slots) & WORD(c) ->
          clear((slots) & WORD(c), c, me, ok);
          if
          :: !ok ->
#ifdef MUTANT_ROLLBACK_FORGETS
             if :: c > 0 -> release((slots) & WORD(c - 1), me) :: else fi;
#else
             release((slots) & ((1 << (2 * c)) - 1), me);
#endif
             break
          :: else
          fi
       :: else
       fi;
       c++
    :: else -> break
    od;
    c = 0
}

/* A payload by a plain store into one of the slots; then nobody else may have stored there. */
inline use(slot, me) {
    atomic { assert(buffered[me] == 0); buffered[me] = (slot) + 1 };
    atomic { assert(buffered[me] != 0 || payload[slot] == me) }
}

proctype Long() {
    byte s, r, c, old, rounds;
    bool ok;
    do
    :: rounds < 2 ->
       claim(MASK(1, 4), 0, ok);
       if :: ok -> use(1, 0); release(MASK(1, 4), 0) :: else fi;
       rounds++
    :: else -> break
    od
}

proctype Single() {
    byte s, r, c, old, rounds, at;
    bool ok;
    do
    :: rounds < 2 ->
       if :: at = 1 :: at = 4 fi;
       claim(MASK(at, 1), 1, ok);
       if :: ok -> use(at, 1); release(MASK(at, 1), 1) :: else fi;
       at = 0;
       rounds++
    :: else -> break
    od
}

proctype Pair() {
    byte s, r, c, old, rounds, at;
    bool ok;
    do
    :: rounds < 2 ->
       if :: at = 1 :: at = 2 :: at = 3 fi;
       claim(MASK(at, 2), 2, ok);
       if :: ok -> use(at, 2); release(MASK(at, 2), 2) :: else fi;
       at = 0;
       rounds++
    :: else -> break
    od
}

proctype StoreBuffers() {
end_idle:
    do
    :: atomic { buffered[0] != 0 -> drain(0) }
    :: atomic { buffered[1] != 0 -> drain(1) }
    :: atomic { buffered[2] != 0 -> drain(2) }
    od
}

init {
    atomic { run StoreBuffers(); run Long(); run Single(); run Pair() };
    timeout ->
    assert(bitmap == 63)                                      /* none is lost */
}
