/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * load-objects PINS OBJECT [REPLACING]: load a BPF object with libbpf, as a program with a skeleton does,
 * and pin its programs below PINS. Then the object REPLACING, whose programs replace functions of
 * OBJECT's first program.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <err.h>
#include <stdio.h>

/* libbpf says why itself. */
static struct bpf_object *open_object(const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);

	if (!object)
		err(1, "%s", path);
	return object;
}

static void load(struct bpf_object *object, const char *path, const char *pins)
{
	if (bpf_object__load(object))
		err(1, "%s", path);
	if (bpf_object__pin_programs(object, pins))
		err(1, "%s", pins);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		errx(2, "usage: load-objects PINS OBJECT [REPLACING]");

	struct bpf_object *object = open_object(argv[2]);
	load(object, argv[2], argv[1]);
	if (argc == 3)
		return 0;

	struct bpf_program *target = bpf_object__next_program(object, NULL), *program;
	struct bpf_object *replacing = open_object(argv[3]);
	bpf_object__for_each_program(program, replacing)
	{
		if (bpf_program__set_attach_target(program, bpf_program__fd(target), NULL))
			err(1, "%s", bpf_program__name(program));
	}
	load(replacing, argv[3], argv[1]);
	return 0;
}
