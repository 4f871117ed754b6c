/*
 * What runs in the lab's guest: tells who it is, dirties memory, keeps markers on disks, echoes.
 *
 * One request and one answer a datagram, on the UDP ports 7000 and 7001:
 *   probe [TOKEN]       -> BOOT_ID COUNTER UPTIME_MS [TOKEN]    (COUNTER: probes answered since the boot)
 *   dirty MIB_S MIB     -> ok                            (rewrite MIB of memory at MIB_S a second; 0 0 stops)
 *   write DEVICE TEXT   -> ok                            (DEVICE: vda, vdb ...; synchronous, past the page cache)
 *   read DEVICE         -> TEXT
 *   poweroff            -> ok                            (and off it goes)
 * Anything that fails is answered with "error: ...".
 *
 * On the TCP ports 7000 and 7001 whatever comes is sent back. Two ports: a firewall may let one through and not the other.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    FIRST_PORT = 7000,
    PORTS = 2,
    MAX_DATAGRAM = 512,
    TCP_BACKLOG = 16,
    BLOCK = 4096, /* what O_DIRECT wants, and a page */
    MARKER_FROM_END = BLOCK, /* the last block of a disk is nobody's: see lab/guest/image.py */
    DIRTY_TICK_MS = 10,
    MIB = 1024 * 1024,
};

static int64_t uptime_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Rewrite `size_mib` of memory at `rate_mib_s`, for ever; runs in a child of its own. */
static void dirty_memory(long rate_mib_s, long size_mib)
{
    size_t pages = (size_t)size_mib * MIB / BLOCK;
    volatile uint64_t *memory =
        mmap(NULL, (size_t)size_mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(1);
    int64_t start_ms = uptime_ms();
    uint64_t written = 0;
    for (;;) {
        /* Catch up with the clock, but never by more than one round: a paused guest has nothing to make up for. */
        uint64_t due = (uint64_t)(uptime_ms() - start_ms) * (uint64_t)rate_mib_s * (MIB / BLOCK) / 1000;
        if (due > written + pages) {
            start_ms = uptime_ms();
            written = due = 0;
        }
        for (; written < due; written++)
            memory[(written % pages) * (BLOCK / sizeof *memory)]++;
        struct timespec tick = {.tv_nsec = DIRTY_TICK_MS * 1000000L};
        nanosleep(&tick, NULL);
    }
}

static const char *set_dirtier(long rate_mib_s, long size_mib)
{
    static pid_t dirtier;
    if (dirtier > 0) {
        kill(dirtier, SIGKILL);
        waitpid(dirtier, NULL, 0);
        dirtier = 0;
    }
    if (rate_mib_s <= 0 || size_mib <= 0)
        return "ok";
    dirtier = fork();
    if (dirtier == 0)
        dirty_memory(rate_mib_s, size_mib);
    return dirtier > 0 ? "ok" : "error: fork";
}

/* Read or write the marker block of a disk; `text` is MAX_DATAGRAM long. */
static const char *marker(const char *device, char *text, int writing)
{
    static _Alignas(BLOCK) char block[BLOCK];
    char path[64];
    snprintf(path, sizeof path, "/dev/%s", device);
    int disk = open(path, (writing ? O_WRONLY | O_DSYNC : O_RDONLY) | O_DIRECT);
    if (disk < 0)
        return "error: no such disk";
    off_t offset = lseek(disk, 0, SEEK_END) - MARKER_FROM_END;
    ssize_t done;
    if (writing) {
        memset(block, 0, sizeof block);
        strncpy(block, text, MAX_DATAGRAM - 1);
        done = pwrite(disk, block, BLOCK, offset);
    } else {
        done = pread(disk, block, BLOCK, offset);
        memcpy(text, block, MAX_DATAGRAM - 1);
        text[MAX_DATAGRAM - 1] = 0;
    }
    close(disk);
    if (done != BLOCK)
        return "error: input/output";
    return writing ? "ok" : text;
}

static void answer(char *request, char *reply, const char *boot_id)
{
    static unsigned long counter;
    char device[16], text[MAX_DATAGRAM] = "";
    long rate, size;
    const char *result = "error: unknown request";
    if (!strncmp(request, "probe", 5)) {
        snprintf(reply, MAX_DATAGRAM, "%s %lu %lld%.100s", boot_id, ++counter, (long long)uptime_ms(), request + 5);
        return;
    }
    if (sscanf(request, "dirty %ld %ld", &rate, &size) == 2)
        result = set_dirtier(rate, size);
    else if (sscanf(request, "write %15s %511[^\n]", device, text) == 2)
        result = marker(device, text, 1);
    else if (sscanf(request, "read %15s", device) == 1)
        result = marker(device, text, 0);
    else if (!strcmp(request, "poweroff"))
        result = "ok";
    snprintf(reply, MAX_DATAGRAM, "%s", result);
}

/* A socket of this kind that is bound to the port; the guest is of no use without it. */
static int bound_socket(int kind, int port)
{
    int server = socket(AF_INET, kind, 0);
    int yes = 1;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(server, (struct sockaddr *)&here, sizeof here) < 0)
        _exit(1);
    return server;
}

/* Send back what comes, until its sender has enough of it. */
static void echo(int connection)
{
    char data[BLOCK];
    ssize_t size;
    while ((size = read(connection, data, sizeof data)) > 0)
        if (write(connection, data, (size_t)size) != size)
            break;
    _exit(0);
}

/* Take connections for ever, each in a child of its own. */
static void serve_tcp(int port)
{
    int server = bound_socket(SOCK_STREAM, port);
    listen(server, TCP_BACKLOG);
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int connection = accept(server, NULL, NULL);
        if (connection >= 0 && fork() == 0)
            echo(connection);
        close(connection);
    }
}

static void answer_datagram(int server, const char *boot_id)
{
    char request[MAX_DATAGRAM], reply[MAX_DATAGRAM];
    struct sockaddr_in peer;
    socklen_t peer_size = sizeof peer;
    ssize_t size = recvfrom(server, request, sizeof request - 1, 0, (struct sockaddr *)&peer, &peer_size);
    if (size < 0)
        return;
    request[size] = 0;
    answer(request, reply, boot_id);
    sendto(server, reply, strlen(reply), 0, (struct sockaddr *)&peer, peer_size);
    if (!strcmp(request, "poweroff"))
        reboot(RB_POWER_OFF);
}

int main(void)
{
    uint64_t random[2];
    char boot_id[33];
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return 1;
    snprintf(boot_id, sizeof boot_id, "%016llx%016llx", (unsigned long long)random[0], (unsigned long long)random[1]);

    struct pollfd servers[PORTS];
    for (int i = 0; i < PORTS; i++) {
        if (fork() == 0)
            serve_tcp(FIRST_PORT + i);
        servers[i] = (struct pollfd){.fd = bound_socket(SOCK_DGRAM, FIRST_PORT + i), .events = POLLIN};
    }
    printf("boot id %s\n", boot_id);
    fflush(stdout);
    for (;;) {
        poll(servers, PORTS, -1);
        for (int i = 0; i < PORTS; i++)
            if (servers[i].revents & POLLIN)
                answer_datagram(servers[i].fd, boot_id);
    }
}
