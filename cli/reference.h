/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reference values from files that others made: any bytes, of any length. What a program's digest in a
 * record will be is worked out from the file alone.
 */
#ifndef CLI_REFERENCE_H
#define CLI_REFERENCE_H

#include <stddef.h>
#include <stdint.h>

#include "attest/reference.h"

enum { REFERENCE_ERROR_MAX = 256 };

/*
 * What becomes of a file.
 *
 * put   a value; its texts are only valid during the call, its source is left to the callee.
 * lack  a program for which there is none, and why: a clause. name is len bytes as the file has it.
 */
struct reference_sink {
	void (*put)(struct reference_sink *sink, const struct reference *reference);
	void (*lack)(struct reference_sink *sink, const char *name, size_t len, const char *why);
};

/*
 * A BPF object (ELF, 64 bit, little-endian): a program's sha256 where its instructions go to the kernel as
 * they are in the file. Those with a map, a variable, a function of another section, a kernel's symbol or a
 * CO-RE relocation do not: a loader writes file descriptors, offsets and ids into them.
 *
 * Returns 0; -EBADMSG and ret_error (one clause) for anything that is no such object, -EIO when OpenSSL
 * refuses.
 */
[[nodiscard]] int reference_from_object(const void *bytes, size_t len, struct reference_sink *sink,
	char ret_error[static REFERENCE_ERROR_MAX]);

/*
 * A light skeleton: the header that `bpftool gen skeleton -L` writes. Its loader's chain_digest: unsigned, or
 * where the header has a signature one for each of the two ways in which kernels check it (over the
 * instructions; and over the map too, from 7.3 on). Errors as above.
 */
[[nodiscard]] int reference_from_skeleton(const void *bytes, size_t len,
	struct reference_sink *sink, char ret_error[static REFERENCE_ERROR_MAX]);

#endif
