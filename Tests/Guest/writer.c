// Writes blocks of a disk, several at once, and tells the host what was acknowledged.
//
//     writer DISK ACKNOWLEDGEMENTS SEED
//
// Each block carries its number, the sequence number of the write, and a checksum of both and the
// rest. A block's next write is issued when its last one was acknowledged, so that a disk holds for
// each block the last acknowledged write, or the one behind it. Every acknowledged write is one
// record on ACKNOWLEDGEMENTS; the driver of the tests knows its form, and a block's.
//
// A block is read before it is written again, and all of them after SIGTERM. Nobody else writes a
// block that a thread reads, so it must hold what was acknowledged last. Exits with 0 if all did;
// otherwise prints `@ result` and what did not first, as an exit may wait for other threads'
// requests for ever.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { thread_count = 16, blocks_per_thread = 4, block_byte_count = 8192 };
enum { word_count = block_byte_count / 4 };

struct record {
    uint32_t block;
    uint32_t sequence;
};

struct block {
    uint32_t checksum;  // CRC-32, as zlib's, of what follows
    uint32_t number;
    uint32_t sequence;
    uint32_t filler[word_count - 3];
};

static int disk, acknowledgements;
static uint32_t seed;
static uint32_t acknowledged[thread_count * blocks_per_thread];  // by the block's thread only
static pthread_mutex_t acknowledging = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool stopping;
static uint32_t crc_table[256];

static void fail(const char *what, uint32_t block) {
    printf("@ result %s, block %u: %s\n", what, block, strerror(errno));
    fflush(stdout);
    exit(1);
}

static void make_crc_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320 : 0);
        crc_table[byte] = crc;
    }
}

static uint32_t checksum(const struct block *block) {
    const uint8_t *bytes = (const uint8_t *)block;
    uint32_t crc = 0xffffffff;
    for (size_t index = sizeof block->checksum; index < sizeof *block; index++)
        crc = (crc >> 8) ^ crc_table[(crc ^ bytes[index]) & 0xff];
    return ~crc;
}

static uint32_t next_random(uint32_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static void write_next(struct block *buffer, uint32_t number, uint32_t *random) {
    buffer->number = number;
    buffer->sequence = acknowledged[number] + 1;
    for (int word = 0; word < word_count - 3; word++) buffer->filler[word] = next_random(random);
    buffer->checksum = checksum(buffer);
    errno = 0;
    if (pwrite(disk, buffer, sizeof *buffer, (off_t)number * sizeof *buffer) != sizeof *buffer)
        fail("a write failed", number);
    acknowledged[number] = buffer->sequence;

    struct record record = {number, buffer->sequence};
    pthread_mutex_lock(&acknowledging);
    if (write(acknowledgements, &record, sizeof record) != sizeof record)
        fail("an acknowledgement could not be sent", number);
    pthread_mutex_unlock(&acknowledging);
}

static void check(struct block *buffer, uint32_t number) {
    if (acknowledged[number] == 0) return;
    errno = 0;
    if (pread(disk, buffer, sizeof *buffer, (off_t)number * sizeof *buffer) != sizeof *buffer)
        fail("a read failed", number);
    if (buffer->checksum != checksum(buffer) || buffer->number != number)
        fail("what was read is not what was written", number);
    if (buffer->sequence != acknowledged[number]) {
        printf("@ result block %u holds write %u, but write %u was acknowledged\n", number,
               buffer->sequence, acknowledged[number]);
        fflush(stdout);
        exit(1);
    }
}

static struct block *make_buffer(void) {
    struct block *buffer = aligned_alloc(4096, sizeof *buffer);
    if (!buffer) fail("no memory for a buffer", 0);
    return buffer;
}

static void *run(void *argument) {
    uint32_t first = (uint32_t)(uintptr_t)argument * blocks_per_thread;
    uint32_t random = (seed + first) * 2654435761u | 1;
    struct block *buffer = make_buffer();
    while (!stopping) {
        uint32_t number = first + next_random(&random) % blocks_per_thread;
        check(buffer, number);
        write_next(buffer, number, &random);
    }
    return NULL;
}

static void stop(int signal) {
    (void)signal;
    stopping = 1;
}

int main(int count, char **arguments) {
    if (count != 4) return 64;
    disk = open(arguments[1], O_RDWR | O_DIRECT);
    acknowledgements = open(arguments[2], O_WRONLY);
    if (disk < 0 || acknowledgements < 0) fail("a device cannot be opened", 0);
    seed = strtoul(arguments[3], NULL, 10);
    make_crc_table();
    signal(SIGTERM, stop);

    pthread_t threads[thread_count];
    for (uintptr_t index = 0; index < thread_count; index++)
        if ((errno = pthread_create(&threads[index], NULL, run, (void *)index)))
            fail("a thread cannot be started", index);
    for (int index = 0; index < thread_count; index++) pthread_join(threads[index], NULL);

    struct block *buffer = make_buffer();
    for (uint32_t number = 0; number < thread_count * blocks_per_thread; number++)
        check(buffer, number);
    return 0;
}
