/*
 * What runs in the lab's guest: tells who it is, dirties memory, keeps markers on disks, echoes.
 *
 * One request and one answer a datagram, on the UDP ports 7000 and 7001:
 *   probe [TOKEN]       -> BOOT_ID COUNTER UPTIME_MS [TOKEN]    (COUNTER: probes answered since the boot)
 *   dirty MIB_S MIB     -> ok                            (rewrite MIB of memory at MIB_S a second; 0 0 stops)
 *   write DEVICE TEXT   -> ok                            (DEVICE: vda, vdb ...; synchronous, past the page cache)
 *   read DEVICE         -> TEXT
 *   pattern DEVICE KIB_S -> ok                           (write it KIB_S a second, the same into both halves; 0 stops)
 *   compare DEVICE      -> equal PAIRS                   (so many blocks of each half hold the pattern, the same ones)
 *   show PATH           -> TEXT                          (what a small file has; what cannot be printed is a dot)
 *   variable TEXT       -> ok                            (keep it in a variable of the firmware: LIMOSA_VARIABLE)
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

#define LIMOSA_VARIABLE "/sys/firmware/efi/efivars/Limosa-5a8d6e0c-2c5e-4c0f-9d3b-6c696d6f7361"

enum {
    FIRST_PORT = 7000,
    PORTS = 2,
    MAX_DATAGRAM = 512,
    TCP_BACKLOG = 16,
    BLOCK = 4096, /* what O_DIRECT wants, and a page */
    MARKER_FROM_END = BLOCK, /* the last block of a disk is nobody's: see lab/guest/image.py */
    DIRTY_TICK_MS = 10,
    COMPARED_AT_ONCE = 64 * 1024,
    WINDOW = 256, /* blocks among which the pattern jumps about; then it moves on, so that a sparse disk stays one */
    WINDOW_STRIDE = 181,
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

/* ---- a disk that is written all the time, and shows whether a write was lost
 *
 * Block N of the first half always has the content of block N of the second: a number of its own, its place, and words
 * that follow from both. The last block of each half is left out, for the marker is in one of them.
 */

static uint64_t word_of(uint64_t number, uint64_t place, size_t at)
{
    uint64_t word = (number * 0x9e3779b97f4a7c15u) ^ (place * 0xc2b2ae3d27d4eb4fu) ^ at;
    return word ^ (word >> 29);
}

static void fill_block(uint64_t *block, uint64_t number, uint64_t place)
{
    block[0] = number;
    block[1] = place;
    for (size_t at = 2; at < BLOCK / sizeof *block; at++)
        block[at] = word_of(number, place, at);
}

static int holds_pattern(const uint64_t *block, uint64_t place)
{
    if (block[1] != place)
        return 0;
    for (size_t at = 2; at < BLOCK / sizeof *block; at++)
        if (block[at] != word_of(block[0], place, at))
            return 0;
    return 1;
}

/* Write pairs of blocks, in an order that jumps about, until told to stop; runs in a child of its own. */
static void write_pattern(int disk, long rate_kib_s, volatile int *stops)
{
    static _Alignas(BLOCK) uint64_t block[BLOCK / sizeof(uint64_t)];
    off_t half = lseek(disk, 0, SEEK_END) / 2 / BLOCK * BLOCK;
    uint64_t places = (uint64_t)half / BLOCK - 1;
    long pause_ns = 2L * BLOCK * 1000000000L / 1024 / rate_kib_s;
    struct timespec pause = {.tv_sec = pause_ns / 1000000000L, .tv_nsec = pause_ns % 1000000000L};
    for (uint64_t number = 1; !*stops; number++) {
        uint64_t place = ((number & ~(uint64_t)(WINDOW - 1)) + number * WINDOW_STRIDE % WINDOW) % places;
        fill_block(block, number, place);
        for (int in_second = 0; in_second < 2; in_second++)
            if (pwrite(disk, block, BLOCK, in_second * half + (off_t)place * BLOCK) != BLOCK)
                _exit(1);
        nanosleep(&pause, NULL);
    }
    _exit(0);
}

static const char *set_writer(const char *device, long rate_kib_s)
{
    static pid_t writer;
    static volatile int *stops;
    char path[64];
    int status = 0;
    if (stops == NULL)
        stops = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (writer > 0) {
        *stops = 1; /* not killed: a pair that was begun is ended */
        waitpid(writer, &status, 0);
        writer = 0;
    }
    if (status != 0)
        return "error: it could not be written";
    if (rate_kib_s <= 0)
        return "ok";
    snprintf(path, sizeof path, "/dev/%s", device);
    int disk = open(path, O_WRONLY | O_DSYNC | O_DIRECT);
    if (disk < 0)
        return "error: no such disk";
    *stops = 0;
    writer = fork();
    if (writer == 0)
        write_pattern(disk, rate_kib_s, stops);
    close(disk);
    return writer > 0 ? "ok" : "error: fork";
}

static const char *compare_halves(const char *device, char *text)
{
    static _Alignas(BLOCK) char halves[2][COMPARED_AT_ONCE];
    char path[64];
    snprintf(path, sizeof path, "/dev/%s", device);
    int disk = open(path, O_RDONLY | O_DIRECT);
    if (disk < 0)
        return "error: no such disk";
    off_t half = lseek(disk, 0, SEEK_END) / 2 / BLOCK * BLOCK;
    unsigned long pairs = 0;
    const char *result = text;
    for (off_t at = 0; at < half - BLOCK && result == text; at += COMPARED_AT_ONCE) {
        size_t size = half - BLOCK - at < COMPARED_AT_ONCE ? (size_t)(half - BLOCK - at) : COMPARED_AT_ONCE;
        if (pread(disk, halves[0], size, at) != (ssize_t)size || pread(disk, halves[1], size, half + at) != (ssize_t)size)
            result = "error: input/output";
        for (size_t in = 0; in < size && result == text; in += BLOCK) {
            const uint64_t *block = (const uint64_t *)(halves[0] + in);
            if (memcmp(halves[0] + in, halves[1] + in, BLOCK))
                result = "error: the halves differ";
            else if (block[0] != 0 && !holds_pattern(block, (uint64_t)(at + (off_t)in) / BLOCK))
                result = "error: another content";
            else
                pairs += block[0] != 0;
        }
    }
    close(disk);
    if (result == text)
        snprintf(text, MAX_DATAGRAM, "equal %lu", pairs);
    return result;
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

static const char *show(const char *path, char *text)
{
    int file = open(path, O_RDONLY);
    if (file < 0)
        return "error: no such file";
    ssize_t size = read(file, text, MAX_DATAGRAM - 1);
    close(file);
    if (size < 0)
        return "error: input/output";
    for (ssize_t at = 0; at < size; at++)
        if (text[at] < ' ' || text[at] > '~')
            text[at] = '.';
    text[size] = 0;
    return text;
}

/* In one write, as efivarfs wants it: the attributes (non-volatile, boot service, runtime), and then what is kept. */
static const char *set_variable(const char *text)
{
    char data[MAX_DATAGRAM] = {7, 0, 0, 0};
    size_t size = 4 + strlen(text);
    memcpy(data + 4, text, size - 4);
    int file = open(LIMOSA_VARIABLE, O_WRONLY | O_CREAT, 0644);
    if (file < 0)
        return "error: no firmware with variables";
    ssize_t done = write(file, data, size);
    close(file);
    return done == (ssize_t)size ? "ok" : "error: input/output";
}

static void answer(char *request, char *reply, const char *boot_id)
{
    static unsigned long counter;
    char device[16], path[128], text[MAX_DATAGRAM] = "";
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
    else if (sscanf(request, "pattern %15s %ld", device, &rate) == 2)
        result = set_writer(device, rate);
    else if (sscanf(request, "compare %15s", device) == 1)
        result = compare_halves(device, text);
    else if (sscanf(request, "show %127s", path) == 1)
        result = show(path, text);
    else if (sscanf(request, "variable %400[^\n]", text) == 1)
        result = set_variable(text);
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
