/*
 * The access record: how clients and workers reach a server (access.json). Reading and
 * looking for the file is the client's (client/access.h), which has the JSON reader.
 */
#ifndef HQ_WIRE_ACCESS_H
#define HQ_WIRE_ACCESS_H

#include "wire/channel.h"

#define ACCESS_HOST_MAX 256

struct access_part {
    char host[ACCESS_HOST_MAX];
    uint16_t port;
    bool has_key; /* false: neither authentication nor encryption */
    uint8_t key[CHANNEL_KEY_BYTES];
};

#endif
