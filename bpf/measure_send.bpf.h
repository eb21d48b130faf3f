/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A part of measure.bpf.c: what is kept between hooks, and how events get on the ring.
 */
#ifndef BPF_MEASURE_SEND_BPF_H
#define BPF_MEASURE_SEND_BPF_H

enum {
	PATH_LEN = EVENT_PATH_MAX,
	PATH_DEPTH = 48,
	PATH_NAME_LEN = 256,
	PIECES_MAX = 4096, /* of EVENT_BYTES_LARGE: 32 MiB, four times the largest program */
	DYNPTR_SIZE_MASK = 0xffffff,
	PROGRAMS_MAX = 1 << 20,
	EXES_MAX = 4096,
	ENDS_MAX = 1 << 20,
};

/* Events that belong together. */
struct series {
	__u64 number; /* 0: nothing sent yet */
	__u32 events;
	__u32 dropped;
	char path[PATH_LEN]; /* made here before it is sent */
};

struct load_state {
	struct series series;
	__u64 aux; /* struct bpf_prog_aux of the program under way: it stays while the prog moves */
	__u32 inside;
	__u32 hooks;
	__u32 parent_id;
	__u32 signature_len;
	__s32 keyring_id;
	__u8 kernel_origin;
	__u8 described; /* EVENT_LOAD was sent */
	__u8 identified; /* HOOK_IDENTITY ran for the load that begins next */
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct load_state);
} tasks SEC(".maps");

/* Programs whose end is worth an event: struct bpf_prog_aux -> id. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, PROGRAMS_MAX);
	__type(key, __u64);
	__type(value, __u64);
} programs SEC(".maps");

/*
 * Executables looked at before, so that a load costs a look-up and not a file's hash. The last three
 * tell one process's run of a program from another's; they are zero where the rest tells what is in
 * the file.
 */
struct exe_key {
	__u64 inode;
	__s64 size;
	__s64 ctime_sec;
	__u64 version;
	__u32 ctime_nsec;
	__u32 dev;
	__u32 generation;
	__u32 tgid;
	__u64 start;
	__u64 exec;
};

struct exe_digests {
	__u8 sha256[EVENT_DIGEST_LEN];
	__u8 fsverity[EVENT_DIGEST_LEN];
	__u8 sha256_known;
	__u8 fsverity_known;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, EXES_MAX);
	__type(key, struct exe_key);
	__type(value, struct exe_digests);
} exes SEC(".maps");

/* Ends of series that the ring had no room for, by their numbers. The reader empties it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ENDS_MAX);
	__type(key, __u64);
	__type(value, struct event_end);
} ends SEC(".maps");

struct event_state state = {};

extern struct file *bpf_get_task_exe_file(struct task_struct *task) __ksym __weak;
extern void bpf_put_file(struct file *file) __ksym __weak;
extern int bpf_get_fsverity_digest(struct file *file, struct bpf_dynptr *digest) __ksym __weak;

static __always_inline struct load_state *load_state(void)
{
	return bpf_task_storage_get(
		&tasks, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* The state of the load that this task is in, or NULL. */
static __always_inline struct load_state *load_current(enum event_hook hook)
{
	struct load_state *load = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 0);

	if (!load || !load->inside)
		return NULL;
	load->hooks |= 1U << hook;
	return load;
}

/* ---- sending ---- */

/* Room for one event; NULL where the ring is full: its ticket stays a hole for the reader
 * to see. */
static __always_inline void *event_reserve(__u64 load, __u32 type, const __u32 size)
{
	__u64 ticket = __sync_fetch_and_add(&state.ticket, 1);
	struct event *event = bpf_ringbuf_reserve(&ring, size, 0);

	if (!event) {
		__sync_fetch_and_add(&state.dropped_events, 1);
		return NULL;
	}
	event->ticket = ticket;
	event->load = load;
	event->type = type;
	event->size = size;
	return event;
}

static __always_inline void *series_reserve(struct series *series, __u32 type, const __u32 size)
{
	void *event;

	if (!series->number)
		series->number = __sync_fetch_and_add(&state.load, 1) + 1;
	event = event_reserve(series->number, type, size);
	if (event)
		series->events++;
	else
		series->dropped++;
	return event;
}

struct bytes {
	struct series *series;
	const void *from;
	__u64 len;
	__u32 stream;
};

static __always_inline long bytes_send_piece(struct bytes *bytes, __u64 offset, const __u32 room)
{
	struct event_bytes *event;
	__u64 len = bytes->len - offset;

	if (len > room)
		len = room;
	event = series_reserve(bytes->series, EVENT_BYTES, sizeof(*event) + room);
	if (!event)
		return 1;
	event->offset = offset;
	event->len = len;
	event->stream = bytes->stream;
	/* The bound once more, on the very register that the helper gets: the compiler may have
	 * spilt it. */
	asm volatile("if %[len] <= %[room] goto +1\n"
		     "%[len] = %[room]\n"
		     : [len] "+r"(len)
		     : [room] "i"(room));
	if (bpf_probe_read_kernel(event->data, len, bytes->from + offset))
		event->len = 0;
	bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
	return 0;
}

static long bytes_send_large(__u32 i, struct bytes *bytes)
{
	__u64 offset = (__u64)i * EVENT_BYTES_LARGE;

	if (offset >= bytes->len)
		return 1;
	if (bytes->len - offset <= EVENT_BYTES_SMALL)
		return bytes_send_piece(bytes, offset, EVENT_BYTES_SMALL);
	return bytes_send_piece(bytes, offset, EVENT_BYTES_LARGE);
}

static __always_inline void bytes_send(
	struct series *series, enum event_stream stream, const void *from, __u64 len)
{
	struct bytes bytes = { .series = series, .from = from, .len = len, .stream = stream };

	if (len <= EVENT_BYTES_SMALL)
		bytes_send_piece(&bytes, 0, EVENT_BYTES_SMALL);
	else
		bpf_loop(PIECES_MAX, bytes_send_large, &bytes, 0);
}

/* A process id comes round again; with the time of its start it does not. */
static __always_inline bool is_agent(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 start = task->group_leader->start_boottime;

	if (bpf_get_current_pid_tgid() >> 32 != state.agent_tgid)
		return 0;
	if (!state.agent_start)
		state.agent_start = start;
	return state.agent_start == start;
}

/* The last event of a series. */
static __always_inline void series_end(struct series *series, struct event_end *end)
{
	if (!series->number) /* a hook of ours did not run: that it was is known all the same */
		series->number = __sync_fetch_and_add(&state.load, 1) + 1;
	end->event.ticket = __sync_fetch_and_add(&state.ticket, 1);
	end->event.load = series->number;
	end->event.type = EVENT_END;
	end->event.size = sizeof(*end);
	end->boottime_ns = bpf_ktime_get_boot_ns();
	end->events = series->events;
	end->dropped = series->dropped;
	end->tgid = bpf_get_current_pid_tgid() >> 32;
	end->self = is_agent();
	/* It wakes the reader, always: the kernel's own choice loses wake-ups when pieces before it
	 * asked for none. Where the ring is full it goes another way: that a load was, and how it
	 * ended, is never lost. */
	if (!bpf_ringbuf_output(&ring, end, sizeof(*end), BPF_RB_FORCE_WAKEUP))
		return;
	/* Of which something arrived, the reader finds that no end will come. */
	if (bpf_map_update_elem(&ends, &end->event.load, end, BPF_ANY) && !series->events)
		__sync_fetch_and_add(end->series == SERIES_LOAD ? &state.untracked
								: &state.untracked_attachments,
			1);
	__sync_fetch_and_add(
		&state.dropped_events, 1); /* last: the reader looks into ends for it */
}

static __always_inline void load_end(struct load_state *load, __s32 error)
{
	struct event_end end = {
		.series = SERIES_LOAD,
		.error = error,
		.hooks = load->hooks | (load->parent_id ? 1U << HOOK_RUN : 0),
		.parent_id = load->parent_id,
		.signature_len = load->signature_len,
		.keyring_id = load->keyring_id,
	};

	series_end(&load->series, &end);
}

/* ---- a load begins ---- */

/* The load before is over. Where its last hook did not run, how it ended is not known; and where its program was,
 * another may be by now. */
static __always_inline void load_forget(struct load_state *load)
{
	if (load->inside && load->series.number) {
		load->series.dropped++;
		load_end(load, 0);
	}
	load->inside = 0;
	load->aux = 0;
}

static __always_inline void load_begin(
	struct load_state *load, enum event_hook hook, union bpf_attr *attr, __u8 kernel_origin)
{
	load_forget(load);
	load->series.number = 0;
	load->series.events = 0;
	load->series.dropped = 0;
	load->inside = 1;
	load->hooks = 1U << hook | load->identified << HOOK_IDENTITY;
	load->identified = 0;
	load->described = 0;
	load->kernel_origin = kernel_origin;
	load->signature_len = 0;
	load->keyring_id = 0;
	if (bpf_core_field_exists(attr->signature) && attr->signature) {
		load->signature_len = attr->signature_size;
		load->keyring_id = attr->keyring_id;
	}
}

/*
 * The state of the load that this task is in, at a hook that only a load comes by; NULL where it is
 * described already. The first hook may not have run: then the state is of the load before, or of none.
 * origin: NULL where the hook is not told.
 */
static __always_inline struct load_state *load_checking(
	union bpf_attr *attr, __u64 aux, const __u64 *origin)
{
	struct load_state *load = load_state();

	if (!load || (load->inside && load->described && load->aux == aux))
		return NULL;
	if (!load->inside || load->described)
		load_begin(load, HOOK_LOAD, attr, origin ? *origin & 1 : load->parent_id != 0);
	load->hooks |= 1U << HOOK_LOAD;
	return load;
}

#endif
