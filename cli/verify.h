/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CLI_VERIFY_H
#define CLI_VERIFY_H

/*
 * The verb `verify`: say whether evidence in a file can be trusted.
 *
 *	bpfmeasure verify FILE --ak FILE [--nonce HEX] [--pcr N] [--after FILE]... [--json]
 *
 * argv[0] is the verb. FILE may be "-", the standard input. --after names earlier evidence, which
 * must be proven itself, each on top of the one named before it.
 *
 * Returns the exit code: 0 trusted, 1 untrusted, 2 usage, 3 could not find out. The verdict goes to
 * the standard output, what kept us from one in one line to the standard error.
 */
int verify_main(int argc, char **argv);

#endif
