/*
 * The channel: mutual authentication, then an encrypted stream of messages. Bytes in,
 * bytes out; no socket, no clock. Specified in docs/protocol.md.
 *
 *   initiator (client, worker)                     responder (server)
 *   hello: versions, role, nonce, ephemeral key, mac1  ->
 *          <- reply: version, nonce, ephemeral key, stream header, mac2
 *   finish: stream header, mac3                        ->
 *   then frames both ways: u32 length, secretstream ciphertext of a piece of the
 *   message stream (wire/messages.h)
 *
 * Before mac3 is checked a peer costs the responder one struct channel, no allocation
 * beyond CHANNEL_HANDSHAKE_MAX bytes, and one X25519 only when mac1 shows that it holds
 * the key. Without a key (NULL) there is neither authentication nor encryption; both
 * sides must agree on that.
 */
#ifndef HQ_WIRE_CHANNEL_H
#define HQ_WIRE_CHANNEL_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"

#define CHANNEL_VERSION_MIN 1
#define CHANNEL_VERSION_MAX 1
#define CHANNEL_KEY_BYTES 32
#define CHANNEL_HANDSHAKE_MAX 512             /* one handshake frame */
#define CHANNEL_FRAME_MAX (256u * 1024u)      /* plaintext bytes of one frame */
#define CHANNEL_MESSAGE_MAX ((size_t)1 << 30) /* one message, after authentication */

enum channel_role { ROLE_CLIENT = 1, ROLE_WORKER = 2 };
/* Names that messages use: what sits behind the port, and who calls there. */
const char *channel_server_name(enum channel_role role); /* "hq-server", "server" */
const char *channel_peer_name(enum channel_role role);   /* "hq-client", "worker" */

struct channel; /* opaque */

/* `key`: CHANNEL_KEY_BYTES, copied; NULL for an open channel. NULL: out of memory. */
struct channel *channel_create(bool initiator, enum channel_role role,
                               const uint8_t *key);
/* Wipes the keys. */
void channel_destroy(struct channel *c);

/* Initiator: appends the hello to out. */
void channel_start(struct channel *c, struct buf *out);
/*
 * Takes bytes from the peer; answers of the handshake go to out, decrypted messages
 * into the channel's receive buffer. On an error the connection must be dropped after
 * `out` was sent (it may hold a refusal that tells the peer why). Codes: ERR_AUTH,
 * ERR_VERSION, ERR_CORRUPT, ERR_TOO_BIG, ERR_NOMEM.
 */
int channel_input(struct channel *c, const void *data, size_t n, struct buf *out,
                  struct error *err) MUST_CHECK;
/* The handshake is complete: the peer holds the key. */
bool channel_established(const struct channel *c);
/* The peer said goodbye (final frame); an end of file without it is a cut connection.
 */
bool channel_finished(const struct channel *c);

/*
 * Next whole message in the receive buffer: 0, or ERR_TIMEOUT when more bytes are
 * needed, or ERR_CORRUPT / ERR_TOO_BIG. The body borrows from the buffer until
 * channel_rewind.
 */
int channel_message(struct channel *c, uint8_t *type, struct span *body) MUST_CHECK;
/* Drops the messages that were taken. Call once after a round of channel_message. */
void channel_rewind(struct channel *c);

/* Seals a batch of messages as one or more frames. Only when established. */
void channel_seal(struct channel *c, const void *batch, size_t n, struct buf *out);
/* Appends the final frame. */
void channel_finish(struct channel *c, struct buf *out);

/* 32 random bytes; hex of keys as in access.json (64 digits). */
void channel_random(void *p, size_t n);
void channel_key_print(const uint8_t key[CHANNEL_KEY_BYTES], struct buf *out);
int channel_key_parse(const char *hex, uint8_t key[CHANNEL_KEY_BYTES],
                      struct error *err) MUST_CHECK;

/* For test vectors: fixes nonce (32), ephemeral secret (32) and the seed of the stream
 * header (24) of this side. */
void channel_fix_randomness(struct channel *c, const uint8_t seed[32]);

#endif
