// SPDX-License-Identifier: BSD-2-Clause
/*
 * libcurl's own functions, those that attest/client.c calls: libcurl is loaded when the first of them
 * is, and not with the program. It brings some thirty libraries, which take longer to load than most
 * of what the program is asked for takes to do.
 */
#include <assert.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <threads.h>

#include <curl/curl.h>

#undef curl_easy_getinfo
#undef curl_easy_setopt

static struct {
	typeof(curl_easy_init) *easy_init;
	typeof(curl_easy_cleanup) *easy_cleanup;
	typeof(curl_easy_perform) *easy_perform;
	typeof(curl_easy_setopt) *easy_setopt;
	typeof(curl_easy_getinfo) *easy_getinfo;
	typeof(curl_easy_strerror) *easy_strerror;
	typeof(curl_slist_append) *slist_append;
	typeof(curl_slist_free_all) *slist_free_all;
	bool is_there;
} libcurl;

static void load(void)
{
	const struct {
		const char *name;
		void *at;
	} functions[] = {
		{ "curl_easy_init", &libcurl.easy_init },
		{ "curl_easy_cleanup", &libcurl.easy_cleanup },
		{ "curl_easy_perform", &libcurl.easy_perform },
		{ "curl_easy_setopt", &libcurl.easy_setopt },
		{ "curl_easy_getinfo", &libcurl.easy_getinfo },
		{ "curl_easy_strerror", &libcurl.easy_strerror },
		{ "curl_slist_append", &libcurl.slist_append },
		{ "curl_slist_free_all", &libcurl.slist_free_all },
	};
	void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);

	libcurl.is_there = library != NULL;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]) && library; i++) {
		void *function = dlsym(library, functions[i].name);

		memcpy(functions[i].at, &function, sizeof(function));
		if (!function)
			libcurl.is_there = false;
	}
}

static bool is_there(void)
{
	static once_flag once = ONCE_FLAG_INIT;

	call_once(&once, load);
	return libcurl.is_there;
}

/* NULL also where there is no libcurl; the others are only called with what this returned. */
CURL *curl_easy_init(void)
{
	return is_there() ? libcurl.easy_init() : NULL;
}

void curl_easy_cleanup(CURL *curl)
{
	if (curl)
		libcurl.easy_cleanup(curl);
}

CURLcode curl_easy_perform(CURL *curl)
{
	return libcurl.easy_perform(curl);
}

/* One more argument, a long, a pointer or a curl_off_t: here they are passed alike. */
static_assert(sizeof(long) == sizeof(void *) && sizeof(curl_off_t) == sizeof(void *), "LP64");

CURLcode curl_easy_setopt(CURL *curl, CURLoption option, ...)
{
	va_list args;

	va_start(args, option);
	void *value = va_arg(args, void *);
	va_end(args);
	return libcurl.easy_setopt(curl, option, value);
}

CURLcode curl_easy_getinfo(CURL *curl, CURLINFO info, ...)
{
	va_list args;

	va_start(args, info);
	void *value = va_arg(args, void *);
	va_end(args);
	return libcurl.easy_getinfo(curl, info, value);
}

const char *curl_easy_strerror(CURLcode code)
{
	return libcurl.easy_strerror(code);
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *text)
{
	return is_there() ? libcurl.slist_append(list, text) : NULL;
}

void curl_slist_free_all(struct curl_slist *list)
{
	if (list)
		libcurl.slist_free_all(list);
}
