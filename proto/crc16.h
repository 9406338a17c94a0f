/*
 * Key to slot: CRC16 (XMODEM: polynomial 0x1021, start 0) of the key, or of what stands between the
 * first '{' and the next '}' when that is not empty. As in the Redis Cluster specification.
 */
#ifndef PROTO_CRC16_H
#define PROTO_CRC16_H

#include "proto/slice.h"

#include <stdint.h>

#define SLOT_COUNT 16384

/* Eight bytes a step: some 10 ns for a key of 15. */
uint16_t crc16(const char *bytes, size_t len);

/* 0 to SLOT_COUNT-1. */
uint16_t key_slot(const char *key, size_t len);

#endif
