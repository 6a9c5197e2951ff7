/* A fleet of BMCs in one process: one UDP socket answers IPMI over LAN for every address of 127.0.0.0/8.
 *
 * fleet PORT [NAME=NUMBER ...]   a port of 0 is a free one; prints it, for every byte of its stdin the number of requests
 *                                so far, and ends with its stdin
 *   silent=N    every N-th address never answers (the last 24 bits of the address are its number)
 *   delay=US jitter=US   an answer comes so much later, plus a random part: so they overtake each other
 *   loss=PERMILLE        requests that get no answer
 *   twice= stranger= broken=PERMILLE   beside the answer (a silent BMC's too) the same again, the same from another
 *                                      address, or one that is cut or has a bit flipped
 *   seed=N      of all dice; what a BMC does to its n-th request depends on nothing else
 */
#define _GNU_SOURCE
#include "bmc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 64, WAITING = 1 << 18 };
static uint64_t silent, delay, jitter, loss, twice, stranger, broken, seed = 1;
static unsigned long received;

/* Answers wait in a heap, the next to leave first. */
struct datagram {
    uint64_t due;
    struct sockaddr_in to;
    struct in_addr from;
    int length;
    uint8_t bytes[LARGEST];
};
static struct datagram *heap[WAITING], *spare;
static int waiting;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

static void later(const struct datagram *what) {
    if (waiting == WAITING) return; /* lost, as on a real network */
    struct datagram *copy = malloc(sizeof *copy);
    *copy = *what;
    int at = waiting++;
    for (; at && heap[(at - 1) / 2]->due > copy->due; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = copy;
}

static struct datagram *soonest(void) {
    struct datagram *first = heap[0], *last = heap[--waiting];
    int at = 0, child;
    while ((child = 2 * at + 1) < waiting) {
        if (child + 1 < waiting && heap[child + 1]->due < heap[child]->due) child++;
        if (last->due <= heap[child]->due) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

static uint64_t mixed(uint64_t x) { /* splitmix64 */
    x += 0x9e3779b97f4a7c15;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

/* What happens to one request: nothing, its answer, and what else the dice say. */
static void respond(const uint8_t *in, int length, struct sockaddr_in to, struct in_addr bmc) {
    static uint8_t requests[1 << 24]; /* to each address so far */
    uint32_t number = ntohl(bmc.s_addr) & 0xffffff;
    uint64_t dice = mixed(seed << 40 ^ (uint64_t)requests[number]++ << 32 ^ number);
#define ROLL(limit) ((dice = mixed(dice)) % 1000 < (limit))
    struct datagram out = {.to = to, .from = bmc};
    int dead = (silent && number % silent == 0) || ROLL(loss);
    out.length = bmc_answer(in, length, out.bytes);
    if (!out.length) return;
    for (int copy = 0; copy < 4; copy++) { /* the answer, it again, from elsewhere, damaged */
        struct datagram told = out;
        if (copy == 0 ? dead : copy == 1 ? dead || !ROLL(twice) : !ROLL(copy == 2 ? stranger : broken)) continue;
        if (copy == 2) told.from.s_addr = htonl(0x7f000001 | (uint32_t)(mixed(dice) & 0xfffffe));
        if (copy == 3 && dice & 1024) told.length = 1 + mixed(dice) % (out.length - 1);
        else if (copy == 3) told.bytes[14 + mixed(dice) % (out.length - 14)] ^= 1 << (dice >> 20) % 8;
        told.due = delay || jitter ? now() + delay + (jitter ? (dice = mixed(dice)) % jitter : 0) : 0;
        later(&told);
    }
}

static void flush(int sock) {
    union { struct cmsghdr head; char room[CMSG_SPACE(sizeof(struct in_pktinfo))]; } from = {
        .head = {CMSG_LEN(sizeof(struct in_pktinfo)), IPPROTO_IP, IP_PKTINFO}};
    for (uint64_t t = now(); waiting && heap[0]->due <= t; free(spare)) {
        spare = soonest();
        *(struct in_pktinfo *)CMSG_DATA(&from.head) = (struct in_pktinfo){.ipi_spec_dst = spare->from};
        struct iovec part = {spare->bytes, spare->length};
        sendmsg(sock, &(struct msghdr){&spare->to, sizeof spare->to, &part, 1, &from, sizeof from, 0}, 0);
    }
}

static void receive(int sock) {
    static uint8_t in[BATCH][LARGEST], about[BATCH][64];
    static struct sockaddr_in who[BATCH];
    struct mmsghdr got[BATCH];
    struct iovec parts[BATCH];
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){in[i], LARGEST};
        got[i].msg_hdr = (struct msghdr){&who[i], sizeof who[i], &parts[i], 1, about[i], sizeof about[i], 0};
    }
    int count = recvmmsg(sock, got, BATCH, MSG_DONTWAIT, NULL);
    if (count > 0) received += count;
    for (int i = 0; i < count; i++) {
        struct cmsghdr *head = CMSG_FIRSTHDR(&got[i].msg_hdr); /* the one that was asked for: IP_PKTINFO */
        if (head) respond(in[i], got[i].msg_len, who[i], ((struct in_pktinfo *)CMSG_DATA(head))->ipi_addr);
    }
}

int main(int count, char **words) {
    struct { const char *name; uint64_t *value; } options[] = {
        {"silent", &silent}, {"delay", &delay}, {"jitter", &jitter}, {"loss", &loss},
        {"twice", &twice}, {"stranger", &stranger}, {"broken", &broken}, {"seed", &seed}};
    for (int word = 2; word < count; word++)
        for (unsigned i = 0; i < sizeof options / sizeof *options; i++) {
            size_t length = strlen(options[i].name);
            if (!strncmp(words[word], options[i].name, length) && words[word][length] == '=')
                *options[i].value = strtoull(words[word] + length + 1, NULL, 10);
        }
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(count > 1 ? atoi(words[1]) : 0)};
    int sock = socket(AF_INET, SOCK_DGRAM, 0), yes = 1, room = 32 << 20;
    setsockopt(sock, IPPROTO_IP, IP_PKTINFO, &yes, sizeof yes);
    if (setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
        setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    if (bind(sock, (void *)&here, sizeof here)) return perror("bind"), 1;
    getsockname(sock, (void *)&here, &(socklen_t){sizeof here});
    printf("%d\n", ntohs(here.sin_port));
    fflush(stdout);
    struct pollfd watched[] = {{sock, POLLIN, 0}, {0, POLLIN, 0}};
    for (char byte;;) {
        int64_t wait = waiting ? (int64_t)(heap[0]->due - now()) : 1000000;
        struct timespec limit = {wait > 0 ? wait / 1000000 : 0, wait > 0 ? wait % 1000000 * 1000 : 0};
        ppoll(watched, 2, &limit, NULL);
        receive(sock);
        flush(sock);
        if (!watched[1].revents) continue;
        if (read(0, &byte, 1) != 1) break;
        printf("%lu\n", received);
        fflush(stdout);
    }
    return 0;
}
