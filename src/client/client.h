/*
 * A blocking connection of a client to the server. One thread; requests and answers in
 * order (wire/messages.def).
 */
#ifndef HQ_CLIENT_CLIENT_H
#define HQ_CLIENT_CLIENT_H

#include "base/error.h"
#include "wire/channel.h"
#include "wire/lists.h"
#include "wire/messages.h"
#include "wire/views.h"

struct client;

/*
 * Connects and authenticates. `key` NULL: open channel. When the host cannot be reached
 * and is this machine's own name, localhost is tried. timeout_ms bounds each step, 0:
 * 15 s. Error codes: ERR_AUTH, ERR_VERSION, ERR_SYSTEM (errno in err->sys),
 * ERR_TIMEOUT.
 */
int client_connect(const char *host, uint16_t port, const uint8_t *key,
                   uint32_t timeout_ms, struct client **out,
                   struct error *err) MUST_CHECK;
void client_close(struct client *c); /* NULL is fine */
/* How long the server may be silent from now on while it is sent to or waited for, then
 * ERR_TIMEOUT; 0: for ever, as after connecting. */
void client_set_timeout(struct client *c, uint32_t timeout_ms);

/* Messages to be sent; msg_put_* into it, then client_send. */
struct buf *client_batch(struct client *c);
int client_send(struct client *c, struct error *err) MUST_CHECK;
/*
 * The next message; the body is valid until the next call. ERR_CLOSED
 * with a text that contains "Connection closed" when the server goes away.
 */
int client_receive(struct client *c, uint8_t *type, struct span *body,
                   struct error *err) MUST_CHECK;
/* As client_receive, but does not wait: 1 when no whole message is there. */
int client_receive_ready(struct client *c, uint8_t *type, struct span *body,
                         struct error *err) MUST_CHECK;
/*
 * Sends the batch and receives one answer of the wanted type. An RSP_ERROR becomes the
 * error it carries, anything else ERR_CORRUPT.
 */
int client_call(struct client *c, uint8_t wanted, struct span *body,
                struct error *err) MUST_CHECK;
/* The next message: 0 and its body when it is `wanted`, 1 when it is RSP_OK (the end of
 * a list), negative on an error. */
int client_next(struct client *c, uint8_t wanted, struct span *body,
                struct error *err) MUST_CHECK;
/* The error that a message other than the wanted one means; never 0. */
int client_unwanted(uint8_t type, struct span body, struct error *err) MUST_CHECK;
/* As client_receive, but returns 1 when, before a message is there, nobody reads any
 * more what is written to `watched` (a pipe or socket; other files are read for ever).
 */
int client_receive_watching(struct client *c, int watched, uint8_t *type,
                            struct span *body, struct error *err) MUST_CHECK;
/* For poll(2) by callers that also wait for something else. */
int client_fd(const struct client *c);

#endif
