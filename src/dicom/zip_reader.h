/* zip_reader.h — reads a ZIP (APPNOTE.TXT 6.3) piece by piece as it comes, without writing it anywhere: images on a CD or
 * in a folder arrive as one. Goes by the local headers, in order; the directory at the end is not needed and not
 * believed. Feed it the bytes, cut anywhere; it calls back for each file. Names are only told, never used as paths.
 *
 * Hard bounds, since a ZIP may be made to harm: number of files, bytes of one file and of all, a ratio that no image
 * reaches, length of a name. Over one of them the whole is refused; a file that is encrypted, packed in another way than
 * deflate, damaged or named to climb out of its folder is refused alone, as far as its end is known.
 *
 *     struct zip_reader *zip = NULL;
 *     if (!zip_reader_create(&handler, &zip, error)) …
 *     while (more) if (!zip_reader_feed(zip, piece, error)) …
 *     if (!zip_reader_finish(zip, error)) …
 *     zip_reader_destroy(zip);
 *
 * One thread at a time. */
#ifndef SHANHAI_DICOM_ZIP_READER_H
#define SHANHAI_DICOM_ZIP_READER_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum {
    ZIP_FILES_MAX = 50000,
    ZIP_NAME_BYTES_MAX = 4096,
    ZIP_RATIO_MAX = 200,            /* of a file that is larger than … */
    ZIP_RATIO_FROM_BYTES = 64 << 20 /* … this, inflated */
};
#define ZIP_BYTES_MAX ((uint64_t)64 << 30) /* of all files, inflated */

enum zip_problem { ZIP_FINE, ZIP_ENCRYPTED, ZIP_METHOD, ZIP_PATH, ZIP_DAMAGED };

struct zip_handler {
    void *data;
    /* A file begins. With a problem no bytes follow, only `end`. The name is valid during the call: bytes as they
     * stand in the ZIP. Folders are not told. */
    bool (*begin)(void *data, struct str name, enum zip_problem problem, struct error *error);
    bool (*bytes)(void *data, struct str bytes, struct error *error);
    /* ZIP_FINE, or ZIP_DAMAGED when length or checksum are not what the ZIP says; or the problem of `begin`. */
    bool (*end)(void *data, enum zip_problem problem, struct error *error);
};

struct zip_reader;

bool zip_reader_create(const struct zip_handler *handler, struct zip_reader **zip,
                       struct error *error) MUST_CHECK;
bool zip_reader_feed(struct zip_reader *zip, struct str piece, struct error *error) MUST_CHECK;

/* ERROR_STRUCTURE when the bytes are no ZIP or end too early. */
bool zip_reader_finish(struct zip_reader *zip, struct error *error) MUST_CHECK;
void zip_reader_destroy(struct zip_reader *zip); /* NULL is allowed */

#endif
