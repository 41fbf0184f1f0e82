#pragma once
// The type checks are macros around the variadic calls; the wrappers below are the checks here.
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

// Swift can't call C functions with variable arguments: one wrapper for each type of value.
static inline CURLcode nebula_curl_set_long(CURL *handle, CURLoption option, long value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode nebula_curl_set_offset(CURL *handle, CURLoption option, curl_off_t value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode nebula_curl_set_string(CURL *handle, CURLoption option, const char *value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode nebula_curl_set_pointer(CURL *handle, CURLoption option, void *value) {
  return curl_easy_setopt(handle, option, value);
}
static inline CURLcode nebula_curl_set_list(CURL *handle, CURLoption option, struct curl_slist *value) {
  return curl_easy_setopt(handle, option, value);
}

typedef size_t (*nebula_curl_data_callback)(char *bytes, size_t size, size_t count, void *context);
typedef int (*nebula_curl_seek_callback)(void *context, curl_off_t offset, int origin);
typedef int (*nebula_curl_prerequest_callback)(
    void *context, char *primary_ip, char *local_ip, int primary_port, int local_port);

static inline CURLcode nebula_curl_on_data(CURL *handle, CURLoption option, nebula_curl_data_callback callback) {
  return curl_easy_setopt(handle, option, callback);
}
static inline CURLcode nebula_curl_on_seek(CURL *handle, nebula_curl_seek_callback callback) {
  return curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, callback);
}
static inline CURLcode nebula_curl_on_prerequest(CURL *handle, nebula_curl_prerequest_callback callback) {
  return curl_easy_setopt(handle, CURLOPT_PREREQFUNCTION, callback);
}

static inline long nebula_curl_get_long(CURL *handle, CURLINFO info) {
  long value = 0;
  curl_easy_getinfo(handle, info, &value);
  return value;
}
static inline void *nebula_curl_get_private(CURL *handle) {
  char *value = NULL;
  curl_easy_getinfo(handle, CURLINFO_PRIVATE, &value);
  return value;
}

// CURLMsg keeps its result in a union.
static inline CURLcode nebula_curl_message_result(const CURLMsg *message) { return message->data.result; }
static inline CURLcode nebula_curl_global_init(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }
