/* file.h — whole files and folders, with errors as values. Any thread. */
#ifndef SHANHAI_BASE_FILE_H
#define SHANHAI_BASE_FILE_H

#include "base/arena.h"
#include "base/error.h"

/* The file's bytes in the arena (and a NUL after them, not counted); ERROR_TOO_LARGE over bytes_max. */
bool file_read_whole(struct arena *arena, const char *path, size_t bytes_max, struct str *out,
                     struct error *error) MUST_CHECK;

/* Writes beside `path`, syncs, renames over it and syncs the folder: after a crash the old or the new file is whole. */
bool file_write_atomically(const char *path, struct str content, unsigned mode,
                           struct error *error) MUST_CHECK;

/* All of `len` bytes at `fd`, over short writes and EINTR. */
bool file_write_all(int fd, const void *bytes, size_t len, struct error *error) MUST_CHECK;

/* Makes the folder and its missing parents (mode 0700). An existing folder is fine. */
bool folder_create(const char *path, struct error *error) MUST_CHECK;

/* Syncs a folder, so that a name made in it survives a power cut. */
bool folder_sync(const char *path, struct error *error) MUST_CHECK;

#endif
