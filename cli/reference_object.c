/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/reference.h"

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Each is looked for among all relocations. The largest objects known have some hundreds. */
enum { PROGRAMS_MAX = 4096 };

/* A part of the file. */
struct span {
	const uint8_t *at;
	size_t len;
};

struct object {
	struct span file;
	struct span sections; /* of Elf64_Shdr */
	size_t section_count;
	struct span section_names;
	size_t symtab; /* number of that section; 0: none */
	struct span symbols; /* of Elf64_Sym */
	struct span symbol_names;
	struct span btf_strings;
	struct span core; /* of .BTF.ext: the CO-RE relocations */
	size_t program_count;
	char *error;
};

[[gnu::format(printf, 2, 3)]] static int fail(struct object *object, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(object->error, REFERENCE_ERROR_MAX, fmt, args);
	va_end(args);
	return -EBADMSG;
}

/* ---- bounded reading ---- */

static bool span_cut(struct span from, uint64_t offset, uint64_t len, struct span *ret)
{
	if (offset > from.len || len > from.len - offset)
		return false;
	*ret = (struct span){ from.at + offset, len };
	return true;
}

/* The n-th structure of an array of them. */
static bool span_read(struct span from, uint64_t n, void *ret, size_t size)
{
	struct span part;

	if (n > from.len / size || !span_cut(from, n * size, size, &part))
		return false;
	memcpy(ret, part.at, size);
	return true;
}

static bool span_u32(struct span from, uint64_t offset, uint32_t *ret)
{
	struct span part;

	if (!span_cut(from, offset, sizeof(*ret), &part))
		return false;
	memcpy(ret, part.at, sizeof(*ret));
	return true;
}

/* A string of a table: what is not in it is empty. */
static const char *string_at(struct span table, uint64_t offset)
{
	if (offset >= table.len || !memchr(table.at + offset, 0, table.len - offset))
		return "";
	return (const char *)table.at + offset;
}

static bool section_read(
	const struct object *object, size_t n, Elf64_Shdr *ret, struct span *ret_data)
{
	if (n >= object->section_count || !span_read(object->sections, n, ret, sizeof(*ret)))
		return false;
	*ret_data = (struct span){ 0 };
	return ret->sh_type == SHT_NOBITS ||
		span_cut(object->file, ret->sh_offset, ret->sh_size, ret_data);
}

/* ---- the file ---- */

static int header_read(struct object *object)
{
	Elf64_Ehdr header;
	Elf64_Shdr section;

	if (!span_read(object->file, 0, &header, sizeof(header)) ||
		memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
		header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
		header.e_type != ET_REL || header.e_machine != EM_BPF ||
		header.e_shentsize != sizeof(Elf64_Shdr))
		return fail(object, "no BPF object (ELF, 64 bit, little-endian)");
	object->section_count = header.e_shnum;
	if (!span_cut(object->file, header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr),
		    &object->sections) ||
		!section_read(object, header.e_shstrndx, &section, &object->section_names))
		return fail(object, "its sections are not in the file");
	return 0;
}

/* struct btf_header, struct btf_ext_header: linux/btf.h, libbpf's btf.h. */
static void btf_read(struct object *object, struct span btf)
{
	uint32_t header_len, offset, len;

	if (span_u32(btf, 4, &header_len) && span_u32(btf, 16, &offset) && span_u32(btf, 20, &len))
		(void)!span_cut(btf, (uint64_t)header_len + offset, len, &object->btf_strings);
}

static int btf_ext_read(struct object *object, struct span ext)
{
	uint32_t header_len, offset, len;

	if (!span_u32(ext, 4, &header_len))
		return fail(object, "its .BTF.ext is cut");
	if (header_len < 32) /* before there was CO-RE */
		return 0;
	if (!span_u32(ext, 24, &offset) || !span_u32(ext, 28, &len) ||
		!span_cut(ext, (uint64_t)header_len + offset, len, &object->core))
		return fail(object, "its .BTF.ext is cut");
	return 0;
}

static int sections_read(struct object *object)
{
	Elf64_Shdr section, strings;
	struct span data;

	for (size_t i = 1; i < object->section_count; i++) {
		if (!section_read(object, i, &section, &data))
			return fail(object, "section %zu is not in the file", i);
		const char *name = string_at(object->section_names, section.sh_name);

		if (section.sh_type == SHT_SYMTAB && !object->symtab) {
			object->symtab = i;
			object->symbols = data;
			if (!section_read(object, section.sh_link, &strings, &object->symbol_names))
				return fail(object, "its symbols have no names");
		}
		if (strcmp(name, ".BTF") == 0)
			btf_read(object, data);
		if (strcmp(name, ".BTF.ext") == 0 && btf_ext_read(object, data))
			return -EBADMSG;
	}
	return object->symtab ? 0 : fail(object, "it has no symbols");
}

/* ---- one program ---- */

struct program {
	size_t section;
	const char *section_name;
	const char *name;
	struct span insns;
	uint64_t begin, end; /* offsets in the section */
};

static bool is_within(const struct program *program, uint64_t offset)
{
	return offset >= program->begin && offset < program->end;
}

/* What a loader puts where this relocation is. */
static const char *explain_relocation(const struct object *object, const Elf64_Rel *rel)
{
	Elf64_Sym symbol;
	Elf64_Shdr section;
	struct span data;

	if (!span_read(object->symbols, ELF64_R_SYM(rel->r_info), &symbol, sizeof(symbol)))
		return "a relocation against no symbol";
	if (symbol.st_shndx == SHN_UNDEF)
		return "what the running kernel has under a name";
	if (section_read(object, symbol.st_shndx, &section, &data) &&
		section.sh_flags & SHF_EXECINSTR)
		return "a function that its loader appends";
	return "the file descriptor of a map";
}

static const char *find_relocation(const struct object *object, const struct program *program)
{
	Elf64_Shdr section;
	struct span data;
	Elf64_Rel rel;

	for (size_t i = 1; i < object->section_count; i++) {
		if (!section_read(object, i, &section, &data) ||
			(section.sh_type != SHT_REL && section.sh_type != SHT_RELA) ||
			section.sh_info != program->section)
			continue;
		if (section.sh_type == SHT_RELA)
			return "relocations of a kind that BPF objects do not have";
		for (size_t n = 0; span_read(data, n, &rel, sizeof(rel)); n++)
			if (is_within(program, rel.r_offset))
				return explain_relocation(object, &rel);
	}
	return NULL;
}

/* libbpf's struct btf_ext_info_sec: name of the section, number of records, records that begin with the
 * offset of their instruction. */
static const char *find_core(const struct object *object, const struct program *program)
{
	static const char cut[] = "CO-RE relocations that cannot be read";
	struct span core = object->core;
	uint32_t size, name, count, offset;
	uint64_t at = 4;

	if (!core.len)
		return NULL;
	if (!span_u32(core, 0, &size) || size < 4)
		return cut;
	while (at < core.len) {
		if (!span_u32(core, at, &name) || !span_u32(core, at + 4, &count))
			return cut;
		at += 8;
		bool is_ours = strcmp(string_at(object->btf_strings, name),
				       program->section_name) == 0;
		for (uint32_t i = 0; i < count; i++, at += size) {
			if (!span_u32(core, at, &offset))
				return cut;
			if (is_ours && is_within(program, offset))
				return "offsets of the running kernel's structures (CO-RE)";
		}
	}
	return NULL;
}

/* A call within the section is relative to where libbpf puts the function. */
static const char *find_call(const struct program *program)
{
	enum { CALL = 0x85, PSEUDO_CALL = 1 };

	for (size_t at = 0; at + 8 <= program->insns.len; at += 8)
		if (program->insns.at[at] == CALL && program->insns.at[at + 1] >> 4 == PSEUDO_CALL)
			return "a function that its loader appends";
	return NULL;
}

static int put(
	const struct object *object, const struct program *program, struct reference_sink *sink)
{
	struct reference reference = {
		.kind = REFERENCE_PROGRAM,
		.name = { program->name, strlen(program->name) },
		.sha256.known = true,
	};
	const char *why = find_relocation(object, program);

	if (!why)
		why = find_core(object, program);
	if (!why)
		why = find_call(program);
	if (why) {
		sink->lack(sink, program->name, strlen(program->name), why);
		return 0;
	}
	int err = sha256(program->insns.at, program->insns.len, reference.sha256.sha256);
	if (!err)
		sink->put(sink, &reference);
	return err;
}

/* Functions of every section with instructions but .text, where libbpf looks for subprograms. */
static int symbol_put(struct object *object, const Elf64_Sym *symbol, struct reference_sink *sink)
{
	struct program program = {
		.section = symbol->st_shndx,
		.name = string_at(object->symbol_names, symbol->st_name),
		.begin = symbol->st_value,
	};
	Elf64_Shdr section;
	struct span data;

	if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF ||
		!section_read(object, symbol->st_shndx, &section, &data))
		return 0;
	program.section_name = string_at(object->section_names, section.sh_name);
	if (!(section.sh_flags & SHF_EXECINSTR) || strcmp(program.section_name, ".text") == 0)
		return 0;
	if (!symbol->st_size || symbol->st_size % 8 ||
		!span_cut(data, symbol->st_value, symbol->st_size, &program.insns))
		return fail(object, "the function %.64s is not in its section", program.name);
	program.end = symbol->st_value + symbol->st_size;
	if (++object->program_count > PROGRAMS_MAX)
		return fail(object, "more than %d programs", PROGRAMS_MAX);
	return put(object, &program, sink);
}

int reference_from_object(const void *bytes, size_t len, struct reference_sink *sink,
	char ret_error[static REFERENCE_ERROR_MAX])
{
	struct object object = { .file = { bytes, len }, .error = ret_error };
	Elf64_Sym symbol;

	int err = header_read(&object);
	if (!err)
		err = sections_read(&object);
	for (size_t i = 0; !err && span_read(object.symbols, i, &symbol, sizeof(symbol)); i++)
		err = symbol_put(&object, &symbol, sink);
	return err;
}
