// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which functions a kernel's BTF has, without libbpf. Types are walked once, in the order of the file.
 *
 * Linux, Documentation/bpf/btf.rst, "BTF Type and String Encoding"; include/uapi/linux/btf.h.
 */
#include <errno.h>
#include <linux/btf.h>
#include <string.h>

#include "cli/doctor_foreign.h"

struct btf {
	const uint8_t *types, *types_end;
	const char *strings;
	size_t strings_len; /* the last of them is a NUL byte */
};

/* Of the machine's own byte order: another is none that the daemon could read here. */
static int btf_open(const uint8_t *bytes, size_t len, struct btf *ret)
{
	struct btf_header header;

	if (len < sizeof(header))
		return -EINVAL;
	memcpy(&header, bytes, sizeof(header));
	if (header.magic != BTF_MAGIC || header.version != BTF_VERSION ||
		header.hdr_len < sizeof(header) || header.hdr_len > len)
		return -EINVAL;
	len -= header.hdr_len;
	if (header.type_off > len || header.type_len > len - header.type_off ||
		header.str_off > len || header.str_len > len - header.str_off ||
		header.str_len == 0)
		return -EINVAL;
	bytes += header.hdr_len;
	ret->types = bytes + header.type_off;
	ret->types_end = ret->types + header.type_len;
	ret->strings = (const char *)bytes + header.str_off;
	ret->strings_len = header.str_len;
	return ret->strings[ret->strings_len - 1] == '\0' ? 0 : -EINVAL;
}

static const char *btf_name(const struct btf *btf, uint32_t offset)
{
	return offset < btf->strings_len ? btf->strings + offset : "";
}

/* Bytes behind struct btf_type; negative for a kind that is not known. */
static ssize_t btf_tail(const struct btf_type *type)
{
	ssize_t count = BTF_INFO_VLEN(type->info);

	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 0;
	case BTF_KIND_INT:
		return sizeof(uint32_t);
	case BTF_KIND_VAR:
		return sizeof(struct btf_var);
	case BTF_KIND_DECL_TAG:
		return sizeof(struct btf_decl_tag);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return count * (ssize_t)sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return count * (ssize_t)sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return count * (ssize_t)sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return count * (ssize_t)sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return count * (ssize_t)sizeof(struct btf_var_secinfo);
	default:
		return -1;
	}
}

/* Of what BPF_PROG_LOAD takes, a struct without a name in union bpf_attr. */
static bool takes_signature(const struct btf *btf, const struct btf_type *type, const uint8_t *tail)
{
	bool insns = false, signature = false;

	if (BTF_INFO_KIND(type->info) != BTF_KIND_STRUCT || type->name_off != 0)
		return false;
	for (uint32_t i = 0; i < BTF_INFO_VLEN(type->info); i++) {
		struct btf_member member;

		memcpy(&member, tail + i * sizeof(member), sizeof(member));
		insns = insns || strcmp(btf_name(btf, member.name_off), "insns") == 0;
		signature = signature || strcmp(btf_name(btf, member.name_off), "signature") == 0;
	}
	return insns && signature;
}

int btf_look(const uint8_t *bytes, size_t len, const char *const *functions, uint64_t *ret_found,
	bool *ret_signatures)
{
	uint64_t found = 0;
	bool signatures = false;
	struct btf btf;

	int r = btf_open(bytes, len, &btf);
	if (r < 0)
		return r;
	for (const uint8_t *at = btf.types; at < btf.types_end;) {
		struct btf_type type;

		if ((size_t)(btf.types_end - at) < sizeof(type))
			return -EINVAL;
		memcpy(&type, at, sizeof(type));
		at += sizeof(type);
		ssize_t tail = btf_tail(&type);
		if (tail < 0 || tail > btf.types_end - at)
			return -EINVAL;
		signatures = signatures || takes_signature(&btf, &type, at);
		at += tail;
		if (BTF_INFO_KIND(type.info) != BTF_KIND_FUNC)
			continue;
		for (unsigned i = 0; functions[i]; i++)
			if (strcmp(functions[i], btf_name(&btf, type.name_off)) == 0)
				found |= 1ULL << i;
	}
	*ret_found = found;
	*ret_signatures = signatures;
	return 0;
}
