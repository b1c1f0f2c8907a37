// Reads and writes a disk directly, in memory of the NUMA node that it shares with its backend, of
// the other one, and of both.
//
//     node-io DISK SHARED-NODE
//
// Prints for each kind `@ <kind> <requests that succeeded> <requests that failed with EIO>`. A
// request of kind number k and round r goes to byte (k * 64 + r) * 8 KiB of the disk. Writes are of
// the byte 0xee. The driver of the tests knows all that.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { rounds = 64, page = 4096 };

static void fail(const char *what) {
    fprintf(stderr, "node-io: %s: %s\n", what, strerror(errno));
    exit(1);
}

// A page of a node, and of no other.
static void *page_of(int node) {
    unsigned long nodes = 1ul << node;
    void *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    if (syscall(SYS_mbind, memory, page, MPOL_BIND, &nodes, 8 * sizeof nodes, 0)) fail("mbind");
    memset(memory, 0xee, page);
    return memory;
}

int main(int count, char **arguments) {
    if (count != 3) return 64;
    int disk = open(arguments[1], O_RDWR | O_DIRECT);
    if (disk < 0) fail("open");
    int node = atoi(arguments[2]);
    struct iovec inside[] = {{page_of(node), page}, {page_of(node), page}};
    struct iovec outside[] = {{page_of(1 - node), page}, {page_of(1 - node), page}};
    struct iovec across[] = {inside[0], outside[0]};
    // Others, as what is written must stay.
    struct iovec read_inside[] = {{page_of(node), page}, {page_of(node), page}};
    struct iovec read_outside[] = {{page_of(1 - node), page}, {page_of(1 - node), page}};
    struct iovec read_across[] = {read_inside[0], read_outside[0]};
    const struct {
        const char *name;
        const struct iovec *buffers;
        ssize_t (*run)(int, const struct iovec *, int, off_t);
    } kinds[] = {
        {"write-inside", inside, pwritev}, {"read-inside", read_inside, preadv},
        {"write-outside", outside, pwritev}, {"read-outside", read_outside, preadv},
        {"write-across", across, pwritev}, {"read-across", read_across, preadv},
    };
    int succeeded[6] = {0}, refused[6] = {0};
    // One of each in turn, so that what is refused is seen to do no harm to what follows.
    for (int round = 0; round < rounds; round++)
        for (int kind = 0; kind < 6; kind++) {
            off_t offset = (off_t)(kind * rounds + round) * 2 * page;
            if (kinds[kind].run(disk, kinds[kind].buffers, 2, offset) == 2 * page)
                succeeded[kind]++;
            else if (errno == EIO)
                refused[kind]++;
            else
                fail(kinds[kind].name);
        }
    for (int kind = 0; kind < 6; kind++)
        printf("@ %s %d %d\n", kinds[kind].name, succeeded[kind], refused[kind]);
    return 0;
}
