/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel verified of a load, and how far it reached.
 *
 * `verified` needs all of this, and each for its reason:
 *
 *  - the load asked for it: BPF_PROG_LOAD's attr.signature was set, so the kernel itself would have
 *    refused the load had its own verification failed;
 *  - exactly one verification was seen before the load event, and it returned 0: the verification
 *    is also a kfunc, and another BPF program may call it in the loader's name;
 *  - the bytes that were verified are the instructions that we captured ourselves, alone or
 *    followed by the contents of the maps;
 *  - the kernel's own note, where it keeps one (aux->sig), says the same, of the same kind of
 *    keyring;
 *  - every event of the load arrived: one that is missing may be another verification.
 *
 * A load without attr.signature is `unsigned`. Everything else is `unknown`, a load whose end did not
 * come too.
 */
#ifndef AGENT_SIGNATURE_H
#define AGENT_SIGNATURE_H

struct cms_trust;
struct collected_load;
struct described;

/*
 * Fill in ret->load.signature; ret->load.program and .maps are there already.
 *
 * Returns 0; -EIO when OpenSSL cannot hash; -ENOMEM.
 */
[[nodiscard]] int signature_describe(
	const struct collected_load *load, const struct cms_trust *trust, struct described *ret);

#endif
