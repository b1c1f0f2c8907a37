// Unix sockets: what Swift cannot import, because it is a macro (those by which descriptors travel
// along) or takes a union of pointers.
//
// A module of its own, without _GNU_SOURCE: with it, fd_set, which comes along, is not what liburing
// sees (CUring.h), and Swift rejects that in one program.
#pragma once

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

// The most descriptors that one message takes along.
enum { csocket_descriptors_max = 8 };
enum { csocket_so_passrights = 83 };

// recvmsg(2) without waiting, on a stream socket. The descriptors that came along, closed on exec,
// are stored to `descriptors`, which has room for `*count` of them, and `*count` says how many there
// are. `*is_truncated` is set where more came than there was room for; the kernel has closed those.
static inline ssize_t csocket_receive(int socket, void *bytes, size_t byte_count, int *descriptors,
                                     int *count, int *is_truncated) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(csocket_descriptors_max * sizeof(int))];
    } control;
    struct iovec vector = {.iov_base = bytes, .iov_len = byte_count};
    int room = *count < csocket_descriptors_max ? *count : csocket_descriptors_max;
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (room > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_LEN((size_t)room * sizeof(int));
    }
    *count = 0;
    *is_truncated = 0;
    ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (received < 0) return received;
    *is_truncated = (message.msg_flags & MSG_CTRUNC) != 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        int in_part = (int)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (int i = 0; i < in_part; i++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(part) + (size_t)i * sizeof(int), sizeof descriptor);
            if (*count < room) {
                descriptors[(*count)++] = descriptor;
            } else {
                close(descriptor);
                *is_truncated = 1;
            }
        }
    }
    return received;
}

// sendmsg(2) without waiting and without SIGPIPE; `count` descriptors, at most
// csocket_descriptors_max, go along with the first byte.
static inline ssize_t csocket_send(int socket, const void *bytes, size_t byte_count,
                                  const int *descriptors, int count) {
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(csocket_descriptors_max * sizeof(int))];
    } control;
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = byte_count};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (count < 0 || count > csocket_descriptors_max) {
        errno = EINVAL;
        return -1;
    }
    if (count > 0) {
        size_t length = (size_t)count * sizeof(int);
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(length);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(length);
        memcpy(CMSG_DATA(&control.header), descriptors, length);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// The address of a Unix socket with a path; 0, or -1 with errno set where the path is too long.
static inline int csocket_unix_address(const char *path, struct sockaddr_un *address) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof address->sun_path) {
        errno = length == 0 ? EINVAL : ENAMETOOLONG;
        return -1;
    }
    memcpy(address->sun_path, path, length);
    return 0;
}

// bind(2) to a path.
static inline int csocket_bind(int socket, const char *path) {
    struct sockaddr_un address;
    if (csocket_unix_address(path, &address) != 0) return -1;
    return bind(socket, (const struct sockaddr *)&address, sizeof address);
}

// connect(2) to a path.
static inline int csocket_connect(int socket, const char *path) {
    struct sockaddr_un address;
    if (csocket_unix_address(path, &address) != 0) return -1;
    return connect(socket, (const struct sockaddr *)&address, sizeof address);
}

// Whether a socket takes descriptors; one that listens says so for the connections that wait there
// (SO_PASSRIGHTS, Linux 6.16). -1 where the kernel does not know of it: then all do.
static inline int csocket_pass_rights(int socket, int yes) {
    return setsockopt(socket, SOL_SOCKET, csocket_so_passrights, &yes, sizeof yes);
}

// accept4(2) of a connection that does not block. glibc declares it for _GNU_SOURCE only.
static inline int csocket_accept(int socket) {
    int fd = (int)syscall(SYS_accept4, socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) csocket_pass_rights(fd, 1);
    return fd;
}

// The process at the other end of a connection, or -1 with errno set.
static inline int csocket_peer(int fd) {
    // As `struct ucred`, which glibc declares for _GNU_SOURCE only.
    struct { int process; unsigned int user, group; } credentials;
    socklen_t length = sizeof credentials;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0 ? credentials.process : -1;
}

// Whether `fd` is connected to the name of `socket`: to the path at which that was accepted. Where it has
// none (socketpair(2)) it gets one that is nobody else's (unix(7), autobind).
static inline int csocket_leads_to(int fd, int socket) {
    struct sockaddr_un ours, peers;
    socklen_t our_length = sizeof ours, peer_length = sizeof peers;
    memset(&ours, 0, sizeof ours);
    memset(&peers, 0, sizeof peers);
    ours.sun_family = AF_UNIX;
    // Changes nothing where there is a name.
    (void)bind(socket, (const struct sockaddr *)&ours, sizeof(sa_family_t));
    return getsockname(socket, (struct sockaddr *)&ours, &our_length) == 0 &&
           getpeername(fd, (struct sockaddr *)&peers, &peer_length) == 0 &&
           our_length > sizeof(sa_family_t) && our_length == peer_length &&
           memcmp(&ours, &peers, sizeof ours) == 0;
}
