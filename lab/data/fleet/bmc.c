/* One BMC of the fleet: bytes of a request in, bytes of the answer out.
 *
 * Sessionless: Get Channel Authentication Capabilities, Cipher Suites, System GUID. RMCP+ sessions with cipher suites 3
 * and 17, any user, the password "secret": Get Device ID, System GUID, Chassis Status, Set Privilege Level, Close.
 * Everything else is refused with 0xC1. Layouts: IPMI 2.0, chapter 13. */
#include "bmc.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { SESSIONS = 1 << 18 };
static const char PASSWORD[] = "secret";
static const uint8_t GUID[16] = {0xfe, 0xed, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};

struct session {
    uint32_t console, sequence; /* the console's session id; ours is the index */
    uint8_t console_random[16], bmc_random[16], role, name[17]; /* name: its length, then itself */
    uint8_t k1[32], k2[32];
    int sha256, open;
};
static struct session sessions[SESSIONS];
static uint32_t newest;

static uint8_t checksum(const uint8_t *part, int length) {
    uint8_t sum = 0;
    while (length--) sum -= *part++;
    return sum;
}

static void put32(uint8_t *at, uint32_t value) { memcpy(at, &value, 4); } /* both ends are little-endian here */
static uint32_t get32(const uint8_t *at) { uint32_t value; memcpy(&value, at, 4); return value; }

static int put(uint8_t *at, const void *part, int length) { memcpy(at, part, length); return length; }

/* The answer to an IPMI message; `from` is the session it came in, or NULL. Returns its length, 0 for none. */
static int answer(const uint8_t *in, int length, uint8_t *out, struct session *from) {
    static const uint8_t suites[] = {14, 0xc0, 3, 0x01, 0x41, 0x81, 0xc0, 17, 0x03, 0x44, 0x81};
    static const uint8_t device[] = {0x20, 1, 2, 0x15, 2, 0xbf, 0xa2, 2, 0, 1, 0};
    if (length < 7) return 0;
    uint8_t code = 0, *data = out + 7;
    int more = 0, wants = length > 7 ? in[6] : 0;
    switch ((in[1] >> 2) << 8 | in[5]) {
    case 0x0638: { /* bit 7 asks for the data of IPMI 2.0; 0x15: none, MD5, password; 3: 1.5 and 2.0 */
        uint8_t told[8] = {1, wants & 0x80 ? 0x95 : 0x15, 4, wants & 0x80 ? 3 : 0};
        more = put(data, told, 8);
        break;
    }
    case 0x0654: /* a list index beyond the first 16 bytes gets an empty list */
        more = put(data, suites, length > 9 && in[8] & 0x3f ? 1 : (int)sizeof suites);
        break;
    case 0x0637: more = put(data, GUID, 16); break;
    case 0x0601: if (from) more = put(data, device, sizeof device); else code = 0xd4; break;
    case 0x063b: data[0] = wants ? wants : 4; more = 1; break;
    case 0x063c: if (from) from->open = 0; break;
    case 0x0001: if (from) more = put(data, "\x21\0\x40", 3); else code = 0xd4; break;
    default: code = 0xc1;
    }
    out[0] = in[3];
    out[1] = (in[1] | 4) & 0xfc;
    out[2] = checksum(out, 2);
    out[3] = in[0];
    out[4] = in[4];
    out[5] = in[5];
    out[6] = code;
    out[7 + more] = checksum(out + 3, 4 + more);
    return 8 + more;
}

/* ---- RMCP+ sessions ---- */
static int digest_length(const struct session *s) { return s->sha256 ? 32 : 20; }
static int code_length(const struct session *s) { return s->sha256 ? 16 : 12; }

static void sign(const struct session *s, const void *key, int size, const uint8_t *text, int length, uint8_t *out) {
    unsigned ignored;
    HMAC(s->sha256 ? EVP_sha256() : EVP_sha1(), key, size, text, length, out, &ignored);
}

static int cipher(int encrypt, const struct session *s, const uint8_t *iv, const uint8_t *in, int length, uint8_t *out) {
    static EVP_CIPHER_CTX *context;
    int done = 0;
    if (!context) context = EVP_CIPHER_CTX_new();
    EVP_CipherInit_ex(context, EVP_aes_128_cbc(), NULL, s->k2, iv, encrypt);
    EVP_CIPHER_CTX_set_padding(context, 0);
    return EVP_CipherUpdate(context, out, &done, in, length) ? done : 0;
}

static int open_session(const uint8_t *in, uint8_t *out) { /* in[12], [20], [28]: the algorithms that are asked for */
    int suite3 = in[12] == 1 && in[20] == 1, suite17 = in[12] == 3 && in[20] == 4;
    out[0] = in[0];
    out[1] = suite3 || suite17 ? 0 : 0x11;
    out[2] = 4;
    out[3] = 0;
    put32(out + 4, get32(in + 4));
    if (out[1]) return 8;
    newest = newest % (SESSIONS - 1) + 1;
    struct session *s = &sessions[newest];
    *s = (struct session){.console = get32(in + 4), .sha256 = suite17};
    put32(out + 8, newest);
    put(out + 12, in + 8, 24);
    return 36;
}

static int rakp1(const uint8_t *in, int length, struct session *s, uint32_t id, uint8_t *out) {
    uint8_t text[128];
    int at = 0, name = in[27] <= 16 && 28 + in[27] <= length ? in[27] : 0;
    memcpy(s->console_random, in + 8, 16);
    s->role = in[24];
    s->name[0] = name;
    memcpy(s->name + 1, in + 28, name);
    if (getrandom(s->bmc_random, 16, 0) != 16) abort();
    put32(text, s->console);
    put32(text + 4, id);
    at = 8;
    at += put(text + at, s->console_random, 16);
    at += put(text + at, s->bmc_random, 16);
    at += put(text + at, GUID, 16);
    text[at++] = s->role;
    at += put(text + at, s->name, 1 + name);
    put32(out, in[0]); /* tag, status 0 */
    put32(out + 4, s->console);
    put(out + 8, s->bmc_random, 16);
    put(out + 24, GUID, 16);
    sign(s, PASSWORD, sizeof PASSWORD - 1, text, at, out + 40);
    return 40 + digest_length(s);
}

static int rakp3(const uint8_t *in, int length, struct session *s, uint32_t id, uint8_t *out) {
    uint8_t text[64], proof[32], sik[32];
    int at = 0, whole = digest_length(s);
    put32(out, in[0]);
    put32(out + 4, s->console);
    at += put(text, s->bmc_random, 16);
    put32(text + at, s->console);
    at += 4;
    text[at++] = s->role;
    at += put(text + at, s->name, 1 + s->name[0]);
    sign(s, PASSWORD, sizeof PASSWORD - 1, text, at, proof);
    if (length < 8 + whole || memcmp(proof, in + 8, whole)) {
        out[1] = 0x0f; /* invalid integrity check value: a wrong password */
        return 8;
    }
    at = put(text, s->console_random, 16);
    at += put(text + at, s->bmc_random, 16);
    text[at++] = s->role;
    at += put(text + at, s->name, 1 + s->name[0]);
    sign(s, PASSWORD, sizeof PASSWORD - 1, text, at, sik);
    sign(s, sik, whole, memset(text, 1, 20), 20, s->k1);
    sign(s, sik, whole, memset(text, 2, 20), 20, s->k2);
    at = put(text, s->console_random, 16);
    put32(text + at, id);
    put(text + at + 4, GUID, 16);
    sign(s, sik, whole, text, at + 20, proof);
    s->open = 1;
    return 8 + put(out + 8, proof, code_length(s));
}

/* A command in a session. `out` is the whole packet, its header of 16 bytes is there but for the length. */
static int in_session(const uint8_t *packet, int length, int payload, struct session *s, uint8_t *out) {
    uint8_t code[32], clear[LARGEST], reply[LARGEST], *at = out + 16;
    int tail = code_length(s);
    if (payload < 32 || payload % 16 || length < 16 + payload + 2 + tail) return 0;
    sign(s, s->k1, digest_length(s), packet + 4, length - 4 - tail, code);
    if (memcmp(code, packet + length - tail, tail)) return 0;
    int size = cipher(0, s, packet + 16, packet + 32, payload - 16, clear);
    size = answer(clear, size - clear[size - 1] - 1, reply, s);
    if (!size) return 0;
    int pad = (16 - (size + 1) % 16) % 16;
    for (int i = 1; i <= pad; i++) reply[size++] = i;
    reply[size++] = pad;
    if (getrandom(at, 16, 0) != 16) abort();
    size = 16 + cipher(1, s, at, reply, size, at + 16);
    out[5] = 0xc0; /* encrypted, authenticated, IPMI message */
    put32(out + 6, s->console);
    put32(out + 10, ++s->sequence);
    out[14] = size;
    at += size;
    for (pad = 0; (at - out - 4 + 2) % 4; pad++) *at++ = 0xff;
    *at++ = pad;
    *at++ = 7;
    sign(s, s->k1, digest_length(s), out + 4, at - out - 4, code);
    return at - out + put(at, code, tail);
}

int bmc_answer(const uint8_t *in, int length, uint8_t *out) {
    if (length < 16 || memcmp(in, "\6\0\xff\7", 4)) return 0;
    memset(out, 0, 16);
    memcpy(out, in, 4);
    if (in[4] == 0) { /* IPMI 1.5 without authentication */
        int size = 14 + in[13] <= length ? answer(in + 14, in[13], out + 14, NULL) : 0;
        out[13] = size;
        return size ? 14 + size : 0;
    }
    int payload = in[14] | in[15] << 8, kind = in[5] & 0x3f, size = 0;
    if (in[4] != 6 || 16 + payload > length) return 0;
    uint32_t id = kind == 0 ? get32(in + 6) : payload >= 28 ? get32(in + 20) : 0;
    struct session *s = id < SESSIONS ? &sessions[id] : NULL;
    out[4] = 6;
    if (kind == 0x10 && payload >= 32) size = open_session(in + 16, out + 16);
    else if (kind == 0x12 && id && s && payload >= 28) size = rakp1(in + 16, payload, s, id, out + 16);
    else if (kind == 0x14 && id && s && payload >= 28) size = rakp3(in + 16, payload, s, id, out + 16);
    else if (kind == 0 && id == 0) size = answer(in + 16, payload, out + 16, NULL);
    else if (kind == 0 && s && s->open && (in[5] & 0xc0) == 0xc0) return in_session(in, length, payload, s, out);
    if (!size) return 0;
    out[5] = kind ? kind + 1 : 0;
    out[14] = size;
    return 16 + size;
}
