/* backup_stream.h — the file of a backup: an encrypted, authenticated stream of named files (docs/operations.md).
 *
 *   file   = header chunk*
 *   header = "SHANHAI BACKUP1\n" salt:16 passes:u32 memory_kb:u32 start:24
 *   chunk  = length:u32 ciphertext                XChaCha20-Poly1305 (libsodium's secretstream), the last one marked
 *   inside = file* end
 *   file   = name_length:u16 bytes:u64 name content      end = 0:u16 files:u64
 *
 * The key is derived from a passphrase by Argon2id. A byte that was changed, a part that is missing, moved or cut off is
 * found at its chunk. Numbers are little endian. One thread. */
#ifndef SHANHAI_CLI_BACKUP_STREAM_H
#define SHANHAI_CLI_BACKUP_STREAM_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum { BACKUP_NAME_BYTES = 256 };

struct backup_stream;

/* A new file (it must not exist, mode 0600). */
bool backup_stream_create(const char *path, struct str passphrase, struct backup_stream **stream,
                          struct error *error) MUST_CHECK;
bool backup_stream_open(const char *path, struct str passphrase, struct backup_stream **stream,
                        struct error *error) MUST_CHECK;
void backup_stream_close(struct backup_stream *stream); /* NULL is allowed */

/* Writing: a file is begun with its length, then gets exactly so many bytes. */
bool backup_stream_begin_file(struct backup_stream *stream, struct str name, uint64_t bytes,
                              struct error *error) MUST_CHECK;
bool backup_stream_add(struct backup_stream *stream, struct str bytes, struct error *error) MUST_CHECK;
/* The end; synced to disk when it returns. */
bool backup_stream_finish(struct backup_stream *stream, struct error *error) MUST_CHECK;

/* Reading: *more is false at the end of a whole backup. Then the content in pieces, empty at the file's end. Fails naming
 * the place where the backup is damaged. A name is relative, of harmless characters, without "..". */
bool backup_stream_next_file(struct backup_stream *stream, char name[BACKUP_NAME_BYTES], uint64_t *bytes,
                             bool *more, struct error *error) MUST_CHECK;
bool backup_stream_read(struct backup_stream *stream, struct str *piece, struct error *error) MUST_CHECK;

/* Bytes of the backup file read or written so far, and files in it. */
uint64_t backup_stream_bytes(const struct backup_stream *stream);
uint64_t backup_stream_files(const struct backup_stream *stream);

#endif
