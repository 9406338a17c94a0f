/*
 * CRC-64 as Redis uses it for RDB files and DUMP: polynomial 0xad93d23594c935a9 (Jones), reflected,
 * start 0, no final exclusive or. The check value of "123456789" is 0xe9c6d914c4b8d9ca.
 *
 * Any thread.
 */
#ifndef PROTO_CRC64_H
#define PROTO_CRC64_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc` (0 at the start). */
uint64_t crc64(uint64_t crc, const void *bytes, size_t len);

/* The sum of two pieces, one behind the other, from the sums of each. In the logarithm of `len`. */
uint64_t crc64_join(uint64_t first, uint64_t second, uint64_t second_len);

#endif
