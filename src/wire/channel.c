#include "wire/channel.h"

#include <stdlib.h>
#include <sodium.h>

#define MAGIC "HQP1"
#define NONCE_BYTES 32
#define MAC1_BYTES 16
#define MAC_BYTES 32
#define STREAM_HEADER_BYTES crypto_secretstream_xchacha20poly1305_HEADERBYTES
#define STREAM_EXTRA_BYTES crypto_secretstream_xchacha20poly1305_ABYTES
#define HELLO_BYTES (4 + 2 + 2 + 1 + 1 + NONCE_BYTES + 32 + MAC1_BYTES)
#define REPLY_BYTES (1 + 2 + 1 + NONCE_BYTES + 32 + STREAM_HEADER_BYTES + MAC_BYTES)
#define FINISH_BYTES (STREAM_HEADER_BYTES + MAC_BYTES)
#define MESSAGES_SLACK (16u * 1024 * 1024)
#define FLAG_SEALED 1           /* the sender holds a key */
#define FRAME_FINAL 0x80000000u /* open channels: marks the last frame */

enum phase { PHASE_HELLO, PHASE_REPLY, PHASE_FINISH, PHASE_OPEN, PHASE_FAILED };

struct channel {
    bool initiator;
    bool sealed; /* authenticated and encrypted */
    bool finished;
    enum channel_role role;
    enum phase phase; /* what is expected next */
    uint16_t version;
    uint8_t key[CHANNEL_KEY_BYTES];
    uint8_t nonce[NONCE_BYTES];
    uint8_t secret[32], public_key[32];
    uint8_t header[STREAM_HEADER_BYTES]; /* of this side's stream, when it is fixed */
    bool header_fixed;
    crypto_generichash_state transcript;
    uint8_t mac3_key[32];
    uint8_t tx_key[32];
    crypto_secretstream_xchacha20poly1305_state tx, rx;
    struct buf in; /* bytes of an incomplete frame */
    struct buf messages;
    size_t taken; /* bytes of `messages` handed out */
};

const char *channel_server_name(enum channel_role role)
{
    return role == ROLE_CLIENT ? "hq-server" : "server";
}

const char *channel_peer_name(enum channel_role role)
{
    return role == ROLE_CLIENT ? "hq-client" : "worker";
}

void channel_random(void *p, size_t n)
{
    HQ_ASSERT(sodium_init() >= 0);
    randombytes_buf(p, n);
}

void channel_key_print(const uint8_t key[CHANNEL_KEY_BYTES], struct buf *out)
{
    char hex[CHANNEL_KEY_BYTES * 2 + 1];
    buf_puts(out, sodium_bin2hex(hex, sizeof hex, key, CHANNEL_KEY_BYTES));
}

int channel_key_parse(const char *hex, uint8_t key[CHANNEL_KEY_BYTES],
                      struct error *err)
{
    uint8_t parsed[CHANNEL_KEY_BYTES];
    size_t n = 0;
    const char *end = NULL;
    if (sodium_hex2bin(parsed, sizeof parsed, hex, strlen(hex), NULL, &n, &end) != 0 ||
        *end || n != CHANNEL_KEY_BYTES)
        return error_set(
            err, ERR_PARSE,
            "Could not load secret key: it must have 64 hexadecimal digits");
    memcpy(key, parsed, sizeof parsed);
    sodium_memzero(parsed, sizeof parsed);
    return 0;
}

struct channel *channel_create(bool initiator, enum channel_role role,
                               const uint8_t *key)
{
    HQ_ASSERT(sodium_init() >= 0);
    struct channel *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->initiator = initiator;
    c->role = role;
    c->phase = initiator ? PHASE_REPLY : PHASE_HELLO;
    c->sealed = key != NULL;
    if (key)
        memcpy(c->key, key, sizeof c->key);
    randombytes_buf(c->nonce, sizeof c->nonce);
    randombytes_buf(c->secret, sizeof c->secret);
    crypto_generichash_init(&c->transcript, NULL, 0, 64);
    /* Grown only when the peer is known: see channel_input. */
    buf_init(&c->in, CHANNEL_HANDSHAKE_MAX + 4);
    /* The largest message, its head, and what one channel_input brings behind it. */
    buf_init(&c->messages, CHANNEL_MESSAGE_MAX + MESSAGES_SLACK);
    return c;
}

void channel_destroy(struct channel *c)
{
    if (!c)
        return;
    buf_release(&c->in);
    buf_release(&c->messages);
    sodium_memzero(c, sizeof *c);
    free(c);
}

void channel_fix_randomness(struct channel *c, const uint8_t seed[32])
{
    uint8_t bytes[NONCE_BYTES + 32];
    crypto_generichash(bytes, sizeof bytes, seed, 32, NULL, 0);
    memcpy(c->nonce, bytes, NONCE_BYTES);
    memcpy(c->secret, bytes + NONCE_BYTES, 32);
    crypto_generichash(c->header, sizeof c->header, seed, 32, (const uint8_t *)"header",
                       6);
    c->header_fixed = true;
}

bool channel_established(const struct channel *c)
{
    return c->phase == PHASE_OPEN;
}

bool channel_finished(const struct channel *c)
{
    return c->finished;
}

/* ---- handshake ------------------------------------------------------------------- */

static void start_stream(struct channel *c, uint8_t header[STREAM_HEADER_BYTES])
{
    if (c->header_fixed) {
        /* Both directions derive their state from key and header in the same way. */
        memcpy(header, c->header, STREAM_HEADER_BYTES);
        (void)crypto_secretstream_xchacha20poly1305_init_pull(&c->tx, header,
                                                              c->tx_key);
    } else {
        crypto_secretstream_xchacha20poly1305_init_push(&c->tx, header, c->tx_key);
    }
}

static void put_frame(struct buf *out, const void *p, size_t n)
{
    buf_u32(out, (uint32_t)n);
    buf_append(out, p, n);
}

static void mac1_of(const struct channel *c, const uint8_t *hello,
                    uint8_t mac[MAC1_BYTES])
{
    memset(mac, 0, MAC1_BYTES);
    if (!c->sealed)
        return;
    uint8_t key[32];
    crypto_generichash(key, sizeof key, (const uint8_t *)"hq mac1", 7, c->key,
                       sizeof c->key);
    crypto_generichash(mac, MAC1_BYTES, hello, HELLO_BYTES - MAC1_BYTES, key,
                       sizeof key);
    sodium_memzero(key, sizeof key);
}

void channel_start(struct channel *c, struct buf *out)
{
    uint8_t hello[HELLO_BYTES] = MAGIC;
    put_u16(hello + 4, CHANNEL_VERSION_MIN);
    put_u16(hello + 6, CHANNEL_VERSION_MAX);
    hello[8] = (uint8_t)c->role;
    hello[9] = c->sealed ? FLAG_SEALED : 0;
    memcpy(hello + 10, c->nonce, NONCE_BYTES);
    crypto_scalarmult_base(c->public_key, c->secret);
    memcpy(hello + 42, c->public_key, 32);
    mac1_of(c, hello, hello + HELLO_BYTES - MAC1_BYTES);
    crypto_generichash_update(&c->transcript, hello, sizeof hello);
    put_frame(out, hello, sizeof hello);
}

/* A refusal: status, then the text for the peer's user. */
static int refuse(struct channel *c, struct buf *out, struct error *err, int code,
                  const char *text)
{
    uint8_t frame[200];
    size_t n = MIN(strlen(text), sizeof frame - 1);
    frame[0] = (uint8_t)-code;
    memcpy(frame + 1, text, n);
    put_frame(out, frame, n + 1);
    c->phase = PHASE_FAILED;
    return error_set(err, code, "%s", text);
}

/*
 * Keys from the pre-shared key, the ephemeral secret and everything said so far: one
 * for each direction and each MAC.
 */
static int derive_keys(struct channel *c, const uint8_t peer_public[32],
                       uint8_t mac2_key[32], uint8_t rx_key[32], struct error *err)
{
    uint8_t shared[32], secret[64], hash[64];
    crypto_generichash_state so_far = c->transcript, st;
    if (crypto_scalarmult(shared, c->secret, peer_public) != 0)
        return error_set(err, ERR_AUTH, "the peer sent a weak ephemeral key");
    crypto_generichash_final(&so_far, hash, sizeof hash);
    crypto_generichash_init(&st, c->key, sizeof c->key, sizeof secret);
    crypto_generichash_update(&st, (const uint8_t *)"hq handshake 1", 14);
    crypto_generichash_update(&st, shared, sizeof shared);
    crypto_generichash_update(&st, hash, sizeof hash);
    crypto_generichash_final(&st, secret, sizeof secret);
    static const char *const labels[] = {"to responder", "to initiator", "mac2",
                                         "mac3"};
    uint8_t keys[4][32];
    for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
        crypto_generichash(keys[i], 32, (const uint8_t *)labels[i], strlen(labels[i]),
                           secret, sizeof secret);
    memcpy(c->tx_key, keys[c->initiator ? 0 : 1], 32);
    memcpy(rx_key, keys[c->initiator ? 1 : 0], 32);
    memcpy(mac2_key, keys[2], 32);
    memcpy(c->mac3_key, keys[3], 32);
    sodium_memzero(shared, sizeof shared);
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(keys, sizeof keys);
    return 0;
}

static void transcript_mac(const struct channel *c, const uint8_t key[32],
                           uint8_t mac[MAC_BYTES])
{
    crypto_generichash_state so_far = c->transcript;
    uint8_t hash[64];
    crypto_generichash_final(&so_far, hash, sizeof hash);
    crypto_generichash(mac, MAC_BYTES, hash, sizeof hash, key, 32);
}

/* From here on frames of full size may come. */
static void open_channel(struct channel *c)
{
    c->phase = PHASE_OPEN;
    c->in.max = CHANNEL_FRAME_MAX + STREAM_EXTRA_BYTES + 4;
    sodium_memzero(c->key, sizeof c->key);
    sodium_memzero(c->secret, sizeof c->secret);
    sodium_memzero(c->mac3_key, sizeof c->mac3_key);
    sodium_memzero(c->tx_key, sizeof c->tx_key);
}

static int check_hello(struct channel *c, const uint8_t *p, size_t n, struct buf *out,
                       struct error *err)
{
    char text[160];
    if (n < 10 || memcmp(p, MAGIC, 4) != 0) {
        c->phase = PHASE_FAILED;
        return error_set(err, ERR_CORRUPT, "the peer does not speak the hq protocol");
    }
    unsigned min = get_u16(p + 4), max = get_u16(p + 6);
    if (min > CHANNEL_VERSION_MAX || max < CHANNEL_VERSION_MIN) {
        snprintf(
            text, sizeof text,
            "protocol version mismatch: the peer speaks %u to %u, the server %d to %d",
            min, max, CHANNEL_VERSION_MIN, CHANNEL_VERSION_MAX);
        return refuse(c, out, err, ERR_VERSION, text);
    }
    if (n != HELLO_BYTES) {
        c->phase = PHASE_FAILED;
        return error_set(err, ERR_CORRUPT, "malformed hello");
    }
    if (p[8] != c->role) {
        /* Seen from the caller: it wanted another kind of server. */
        enum channel_role wanted = p[8] == ROLE_CLIENT ? ROLE_CLIENT : ROLE_WORKER;
        snprintf(text, sizeof text,
                 "Authentication failed: Expected peer role %s, got %s",
                 channel_server_name(wanted), channel_server_name(c->role));
        return refuse(c, out, err, ERR_AUTH, text);
    }
    bool sealed = p[9] & FLAG_SEALED;
    if (sealed != c->sealed)
        return refuse(
            c, out, err, ERR_AUTH,
            c->sealed ? "Authentication failed: Peer requests authentication"
                      : "Authentication failed: Peer does not support authentication");
    uint8_t mac[MAC1_BYTES];
    mac1_of(c, p, mac);
    if (sodium_memcmp(mac, p + HELLO_BYTES - MAC1_BYTES, MAC1_BYTES) != 0)
        return refuse(c, out, err, ERR_AUTH, "Cannot verify challenge");
    return 0;
}

static int take_hello(struct channel *c, const uint8_t *p, size_t n, struct buf *out,
                      struct error *err)
{
    int rc = check_hello(c, p, n, out, err);
    if (rc != 0)
        return rc;
    c->version = (uint16_t)MIN(get_u16(p + 6), CHANNEL_VERSION_MAX);
    crypto_generichash_update(&c->transcript, p, n);
    uint8_t reply[REPLY_BYTES] = {0};
    put_u16(reply + 1, c->version);
    reply[3] = (uint8_t)c->role;
    if (!c->sealed) {
        put_frame(out, reply, sizeof reply);
        open_channel(c);
        return 0;
    }
    memcpy(reply + 4, c->nonce, NONCE_BYTES);
    crypto_scalarmult_base(c->public_key, c->secret);
    memcpy(reply + 36, c->public_key, 32);
    crypto_generichash_update(&c->transcript, reply, 68);
    uint8_t mac2_key[32], rx_key[32];
    rc = derive_keys(c, p + 42, mac2_key, rx_key, err);
    if (rc != 0)
        return rc;
    start_stream(c, reply + 68);
    crypto_generichash_update(&c->transcript, reply + 68, STREAM_HEADER_BYTES);
    transcript_mac(c, mac2_key, reply + 68 + STREAM_HEADER_BYTES);
    crypto_generichash_update(&c->transcript, reply + 68 + STREAM_HEADER_BYTES,
                              MAC_BYTES);
    put_frame(out, reply, sizeof reply);
    /* The receiving key waits in `secret` until the initiator's stream header is there.
     */
    memcpy(c->secret, rx_key, 32);
    sodium_memzero(mac2_key, sizeof mac2_key);
    sodium_memzero(rx_key, sizeof rx_key);
    c->phase = PHASE_FINISH;
    return 0;
}

/* The text comes from somebody who has proved nothing: no control characters. */
static int take_refusal(const uint8_t *p, size_t n, struct error *err)
{
    char text[CHANNEL_HANDSHAKE_MAX];
    if (p[0] != -ERR_AUTH && p[0] != -ERR_VERSION)
        return error_set(err, ERR_CORRUPT, "malformed answer to the hello");
    if (n == 1)
        return error_set(err, -(int)p[0], "the server refused the connection");
    for (size_t i = 1; i < n; i++)
        text[i - 1] = (char)(p[i] >= 0x20 && p[i] < 0x7f ? p[i] : '?');
    return error_set(err, -(int)p[0], "%.*s", (int)(n - 1), text);
}

static int take_reply(struct channel *c, const uint8_t *p, size_t n, struct buf *out,
                      struct error *err)
{
    c->phase = PHASE_FAILED;
    if (n >= 1 && p[0] != 0)
        return take_refusal(p, n, err);
    if (n != REPLY_BYTES || p[3] != c->role)
        return error_set(err, ERR_CORRUPT, "malformed answer to the hello");
    c->version = get_u16(p + 1);
    if (c->version < CHANNEL_VERSION_MIN || c->version > CHANNEL_VERSION_MAX)
        return error_set(err, ERR_VERSION, "the server chose protocol version %u",
                         c->version);
    if (!c->sealed) {
        open_channel(c);
        return 0;
    }
    crypto_generichash_update(&c->transcript, p, 68);
    uint8_t mac2_key[32], rx_key[32], mac[MAC_BYTES];
    int rc = derive_keys(c, p + 36, mac2_key, rx_key, err);
    if (rc != 0)
        return rc;
    crypto_generichash_update(&c->transcript, p + 68, STREAM_HEADER_BYTES);
    transcript_mac(c, mac2_key, mac);
    if (sodium_memcmp(mac, p + 68 + STREAM_HEADER_BYTES, MAC_BYTES) != 0)
        return error_set(err, ERR_AUTH, "Cannot verify challenge");
    crypto_generichash_update(&c->transcript, p + 68 + STREAM_HEADER_BYTES, MAC_BYTES);
    int bad = crypto_secretstream_xchacha20poly1305_init_pull(&c->rx, p + 68, rx_key);
    sodium_memzero(mac2_key, sizeof mac2_key);
    sodium_memzero(rx_key, sizeof rx_key);
    if (bad)
        return error_set(err, ERR_CORRUPT, "malformed stream header");
    uint8_t finish[FINISH_BYTES];
    start_stream(c, finish);
    crypto_generichash_update(&c->transcript, finish, STREAM_HEADER_BYTES);
    transcript_mac(c, c->mac3_key, finish + STREAM_HEADER_BYTES);
    put_frame(out, finish, sizeof finish);
    open_channel(c);
    return 0;
}

static int take_finish(struct channel *c, const uint8_t *p, size_t n, struct error *err)
{
    c->phase = PHASE_FAILED;
    if (n != FINISH_BYTES)
        return error_set(err, ERR_CORRUPT, "malformed end of the handshake");
    crypto_generichash_update(&c->transcript, p, STREAM_HEADER_BYTES);
    uint8_t mac[MAC_BYTES];
    transcript_mac(c, c->mac3_key, mac);
    if (sodium_memcmp(mac, p + STREAM_HEADER_BYTES, MAC_BYTES) != 0)
        return error_set(err, ERR_AUTH, "Cannot verify challenge");
    if (crypto_secretstream_xchacha20poly1305_init_pull(&c->rx, p, c->secret) != 0)
        return error_set(err, ERR_CORRUPT, "malformed stream header");
    open_channel(c);
    return 0;
}

/* ---- frames ---------------------------------------------------------------------- */

static int take_sealed(struct channel *c, const uint8_t *p, size_t n, struct error *err)
{
    uint8_t tag;
    unsigned long long got;
    uint8_t *to =
        buf_reserve(&c->messages, n) ? c->messages.data + c->messages.len : NULL;
    if (!to)
        return error_set(err, ERR_TOO_BIG, "message above %zu bytes",
                         (size_t)CHANNEL_MESSAGE_MAX);
    if (crypto_secretstream_xchacha20poly1305_pull(&c->rx, to, &got, &tag, p, n, NULL,
                                                   0) != 0)
        return error_set(err, ERR_CORRUPT, "a frame was altered on its way");
    c->messages.len += got;
    c->finished = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
    return 0;
}

static int take_frame(struct channel *c, const uint8_t *p, size_t n, bool final,
                      struct buf *out, struct error *err)
{
    switch (c->phase) {
    case PHASE_HELLO:
        return take_hello(c, p, n, out, err);
    case PHASE_REPLY:
        return take_reply(c, p, n, out, err);
    case PHASE_FINISH:
        return take_finish(c, p, n, err);
    case PHASE_OPEN:
        if (c->finished)
            return error_set(err, ERR_CORRUPT, "a frame follows the final one");
        if (c->sealed)
            return take_sealed(c, p, n, err);
        c->finished = final;
        buf_append(&c->messages, p, n);
        return c->messages.failed
                   ? error_set(err, ERR_TOO_BIG, "message above %zu bytes",
                               (size_t)CHANNEL_MESSAGE_MAX)
                   : 0;
    case PHASE_FAILED:
        break;
    }
    return error_set(err, ERR_CLOSED, "the connection has failed before");
}

/* A connection does not go on after an error. */
static int take_or_fail(struct channel *c, const uint8_t *p, size_t n, bool final,
                        struct buf *out, struct error *err)
{
    int rc = take_frame(c, p, n, final, out, err);
    if (rc != 0)
        c->phase = PHASE_FAILED;
    return rc;
}

/* Length of the frame that starts at p; ERR_TOO_BIG names the limit of this phase. */
static int frame_length(struct channel *c, const uint8_t *p, size_t *n, bool *final,
                        struct error *err)
{
    uint32_t word = get_u32(p);
    *final = false;
    size_t max = CHANNEL_HANDSHAKE_MAX;
    if (c->phase == PHASE_OPEN) {
        max = CHANNEL_FRAME_MAX;
        if (c->sealed) {
            max += STREAM_EXTRA_BYTES;
        } else {
            *final = word & FRAME_FINAL;
            word &= ~FRAME_FINAL;
        }
    }
    *n = word;
    if (word <= max)
        return 0;
    c->phase = PHASE_FAILED;
    return error_set(err, ERR_TOO_BIG, "frame of %u bytes is above the limit of %zu",
                     word, max);
}

int channel_input(struct channel *c, const void *data, size_t n, struct buf *out,
                  struct error *err)
{
    const uint8_t *p = data;
    while (n > 0) {
        /* Whole frames are taken where they lie; only a cut one is kept. */
        if (c->in.len == 0 && n >= 4) {
            size_t len;
            bool final;
            int rc = frame_length(c, p, &len, &final, err);
            if (rc != 0)
                return rc;
            if (n - 4 >= len) {
                rc = take_or_fail(c, p + 4, len, final, out, err);
                if (rc != 0)
                    return rc;
                p += 4 + len;
                n -= 4 + len;
                continue;
            }
        }
        size_t want = 4, len = 0;
        bool final = false;
        if (c->in.len >= 4) {
            int rc = frame_length(c, c->in.data, &len, &final, err);
            if (rc != 0)
                return rc;
            want = 4 + len;
        }
        size_t part = MIN(want - c->in.len, n);
        buf_append(&c->in, p, part);
        if (c->in.failed)
            return error_nomem(err);
        p += part;
        n -= part;
        if (c->in.len >= 4) {
            int rc = frame_length(c, c->in.data, &len, &final, err);
            if (rc != 0)
                return rc;
            if (c->in.len == 4 + len) {
                rc = take_or_fail(c, c->in.data + 4, len, final, out, err);
                buf_clear(&c->in);
                if (rc != 0)
                    return rc;
            }
        }
    }
    return 0;
}

int channel_message(struct channel *c, uint8_t *type, struct span *body)
{
    size_t left = c->messages.len - c->taken;
    if (left < 2)
        return ERR_TIMEOUT;
    const uint8_t *p = c->messages.data + c->taken;
    uint64_t n = 0;
    size_t k = 1;
    for (unsigned shift = 0;; shift += 7) {
        if (k == left)
            return ERR_TIMEOUT;
        if (shift > 28)
            return ERR_CORRUPT;
        uint8_t byte = p[k++];
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            break;
    }
    if (n > CHANNEL_MESSAGE_MAX)
        return ERR_TOO_BIG;
    if (left - k < n)
        return ERR_TIMEOUT;
    *type = p[0];
    *body = (struct span){p + k, (size_t)n};
    c->taken += k + (size_t)n;
    return 0;
}

void channel_rewind(struct channel *c)
{
    buf_consume(&c->messages, c->taken);
    c->taken = 0;
    /* One huge message must not pin its memory for the life of the connection. */
    if (c->messages.len == 0 && c->messages.cap > 4u * 1024 * 1024) {
        size_t max = c->messages.max;
        buf_release(&c->messages);
        buf_init(&c->messages, max);
    }
}

static void seal_piece(struct channel *c, const uint8_t *p, size_t n, bool final,
                       struct buf *out)
{
    if (!c->sealed) {
        buf_u32(out, (uint32_t)n | (final ? FRAME_FINAL : 0));
        buf_append(out, p, n);
        return;
    }
    buf_u32(out, (uint32_t)(n + STREAM_EXTRA_BYTES));
    uint8_t *to = buf_extend(out, n + STREAM_EXTRA_BYTES);
    if (to)
        crypto_secretstream_xchacha20poly1305_push(
            &c->tx, to, NULL, p, n, NULL, 0,
            final ? crypto_secretstream_xchacha20poly1305_TAG_FINAL
                  : crypto_secretstream_xchacha20poly1305_TAG_MESSAGE);
}

void channel_seal(struct channel *c, const void *batch, size_t n, struct buf *out)
{
    HQ_ASSERT(c->phase == PHASE_OPEN);
    for (const uint8_t *p = batch; n > 0;) {
        size_t part = MIN(n, CHANNEL_FRAME_MAX);
        seal_piece(c, p, part, false, out);
        p += part;
        n -= part;
    }
}

void channel_finish(struct channel *c, struct buf *out)
{
    if (c->phase == PHASE_OPEN)
        seal_piece(c, NULL, 0, true, out);
}
