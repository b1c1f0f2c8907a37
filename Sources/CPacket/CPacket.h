// Sockets that send and receive whole frames by an interface (packet(7)): their address is a structure that
// Swift's Glibc module does not have, and sendmmsg(2) is there for _GNU_SOURCE only.
//
// A module of its own, without _GNU_SOURCE: see CSocket.h.
#pragma once

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    // How long the header before each frame is: a `struct virtio_net_hdr` (linux/virtio_net.h).
    cpacket_header_byte_count = 10,
    // How many frames one call sends at most.
    cpacket_burst_max = 64,
    cpacket_ignore_outgoing = 23,  // PACKET_IGNORE_OUTGOING, Linux 4.20
};

// A socket bound to the interface of an index, each of whose frames has a header (PACKET_VNET_HDR). -1 with
// errno set.
//
// To receive, it takes what comes in by the interface and keeps up to `receive_byte_count` of it; with 0 it
// only sends, past the queueing discipline (PACKET_QDISC_BYPASS).
static inline int cpacket_open(int interface, int receive_byte_count) {
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    int yes = 1;
    int result = setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof yes);
    if (result == 0 && receive_byte_count > 0) {
        result = setsockopt(fd, SOL_PACKET, cpacket_ignore_outgoing, &yes, sizeof yes);
        // More than any user may have, or as much as this one may.
        if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_byte_count, sizeof(int)) != 0)
            setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_byte_count, sizeof(int));
    } else if (result == 0) {
        result = setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes);
    }
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = receive_byte_count > 0 ? __builtin_bswap16(ETH_P_ALL) : 0,
        .sll_ifindex = interface,
    };
    if (result == 0) result = bind(fd, (struct sockaddr *)&address, sizeof address);
    if (result != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

// Sends `count` frames of `byte_count` bytes each, their headers among them, which begin `spacing` bytes
// apart. How many were taken; -1 with errno set where none was: ENOBUFS where the interface had no room for
// the first, which is dropped then.
static inline int cpacket_send(int fd, const void *frames, size_t byte_count, size_t spacing, int count) {
    struct {
        struct msghdr header;
        unsigned int byte_count;
    } messages[cpacket_burst_max];  // struct mmsghdr
    struct iovec parts[cpacket_burst_max];
    if (count > cpacket_burst_max) count = cpacket_burst_max;
    memset(messages, 0, (size_t)count * sizeof messages[0]);
    for (int i = 0; i < count; i++) {
        parts[i].iov_base = (char *)frames + (size_t)i * spacing;
        parts[i].iov_len = byte_count;
        messages[i].header.msg_iov = &parts[i];
        messages[i].header.msg_iovlen = 1;
    }
    return (int)syscall(SYS_sendmmsg, fd, messages, count, MSG_DONTWAIT);
}

// The next frame that came in, its header before it, if there is one: how long it is. -1 with errno set.
static inline ssize_t cpacket_receive(int fd, void *bytes, size_t room) {
    return recv(fd, bytes, room, MSG_DONTWAIT);
}
