#pragma once
#include <mongoc/mongoc.h>

/* Debian's libbson aligns bson_t to 128 bytes, which Swift can't lay out (reference/mongodb.md §5.4). So every bson_t
   lives here, on the C stack; Swift gives and gets plain bytes. */

/* Runs one command on the server with id `server` (0: any), in `session` (may be NULL). `*reply` is set in every
   case to a BSON buffer of `*length` bytes that the caller frees with bson_free, also when the command failed. */
static inline bool nebula_mongo_command(mongoc_client_t *client, const char *database, const uint8_t *command,
                                        size_t command_length, uint32_t server,
                                        const mongoc_client_session_t *session, uint8_t **reply, uint32_t *length,
                                        bson_error_t *error) {
  bson_t body, options = BSON_INITIALIZER, answer = BSON_INITIALIZER;
  bool ok = false;
  if (!bson_init_static(&body, command, command_length)) {
    bson_set_error(error, MONGOC_ERROR_BSON, MONGOC_ERROR_BSON_INVALID, "the command is not a BSON document");
  } else if ((!server || BSON_APPEND_INT32(&options, "serverId", (int32_t)server)) &&
             (!session || mongoc_client_session_append(session, &options, error))) {
    bson_destroy(&answer);
    ok = mongoc_client_command_with_opts(client, database, &body, mongoc_client_get_read_prefs(client), &options,
                                         &answer, error);
  }
  bson_destroy(&options);
  *reply = bson_destroy_with_steal(&answer, true, length);
  return ok;
}

/* The server's own answer to hello, copied; NULL when it has none. Free it with bson_free. */
static inline uint8_t *nebula_mongo_hello(const mongoc_server_description_t *server, uint32_t *length) {
  const bson_t *hello = mongoc_server_description_hello_response(server);
  bson_t copy;
  if (!hello) return NULL;
  bson_copy_to(hello, &copy);
  return bson_destroy_with_steal(&copy, true, length);
}

/* Extended JSON as BSON bytes; NULL and `error` when it is no JSON object. Free it with bson_free. */
static inline uint8_t *nebula_bson_from_json(const uint8_t *json, size_t count, uint32_t *length,
                                             bson_error_t *error) {
  bson_t *document = bson_new_from_json(json, (ssize_t)count, error);
  return document ? bson_destroy_with_steal(document, true, length) : NULL;
}

/* A session without causal consistency: what must be causal says so itself (afterClusterTime). */
static inline mongoc_client_session_t *nebula_mongo_session(mongoc_client_t *client, bson_error_t *error) {
  mongoc_session_opt_t *options = mongoc_session_opts_new();
  mongoc_client_session_t *session;
  mongoc_session_opts_set_causal_consistency(options, false);
  session = mongoc_client_start_session(client, options, error);
  mongoc_session_opts_destroy(options);
  return session;
}
