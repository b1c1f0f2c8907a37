// TAP devices and the state of links: ioctl(2) takes its arguments by a variadic function, and requests are
// macros of expressions, neither of which Swift can import.
//
// A module of its own, without _GNU_SOURCE: <net/if.h> brings <sys/socket.h> along; see CSocket.h. Not
// <linux/if.h>: its `struct ifreq` is not the one of Swift's Glibc module, and Swift rejects two in one program.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

// Since Linux 6.2 (TUN_F_USO4, TUN_F_USO6), which older headers do not have.
enum { ctap_offload_uso = 0x20 | 0x40 };

enum {
    ctap_offload_checksum = TUN_F_CSUM,
    ctap_offload_tso4 = TUN_F_TSO4,
    ctap_offload_tso6 = TUN_F_TSO6,
};

// How long the name of an interface can be, in bytes.
enum { ctap_name_max = IFNAMSIZ - 1 };

// Opens what TAP devices are made with; a descriptor, or -1 with errno set.
static inline int ctap_open(void) {
    return open("/dev/net/tun", O_RDWR | O_CLOEXEC);
}

static inline void ctap_request(struct ifreq *request, const char *name) {
    memset(request, 0, sizeof *request);
    strncpy(request->ifr_name, name, IFNAMSIZ - 1);
}

// Makes a descriptor that of a queue of a TAP device whose frames have headers; makes the device where there
// is none of the name. 0, or -1 with errno set.
static inline int ctap_attach(int fd, const char *name, int is_multi_queue) {
    struct ifreq request;
    ctap_request(&request, name);
    request.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
                                | (is_multi_queue ? IFF_MULTI_QUEUE : 0));
    return ioctl(fd, TUNSETIFF, &request);
}

// How long headers are, in bytes; they are little-endian. 0, or -1 with errno set.
static inline int ctap_set_header(int fd, int byte_count) {
    int little = 1;
    if (ioctl(fd, TUNSETVNETHDRSZ, &byte_count) != 0) return -1;
    return ioctl(fd, TUNSETVNETLE, &little);
}

// What the reader of a TAP device takes unfinished. 0, or -1 with errno set.
static inline int ctap_set_offload(int fd, unsigned int offload) {
    return ioctl(fd, TUNSETOFFLOAD, (unsigned long)offload);
}

// Whether a queue takes part: frames are spread over those that do. 0, or -1 with errno set.
static inline int ctap_set_queue(int fd, int is_attached) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    request.ifr_flags = (short)(is_attached ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE);
    return ioctl(fd, TUNSETQUEUE, &request);
}

// Whether an interface is up and runs: 1 or 0; -1 with errno set where there is none.
static inline int ctap_is_up(const char *name) {
    struct ifreq request;
    ctap_request(&request, name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    int result = ioctl(fd, SIOCGIFFLAGS, &request);
    int error = errno;
    close(fd);
    errno = error;
    if (result != 0) return -1;
    return (request.ifr_flags & IFF_UP) != 0;
}

// Brings an interface up or down. 0, or -1 with errno set.
static inline int ctap_set_up(const char *name, int is_up) {
    struct ifreq request;
    ctap_request(&request, name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    int result = ioctl(fd, SIOCGIFFLAGS, &request);
    if (result == 0) {
        request.ifr_flags = (short)(is_up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
        result = ioctl(fd, SIOCSIFFLAGS, &request);
    }
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

// A socket that gives a message whenever an interface changes (rtnetlink(7)); -1 with errno set.
static inline int ctap_watch_links(void) {
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) return -1;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}
