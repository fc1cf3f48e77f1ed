/* codec.c — compressed bodies. A frame names the dictionary it needs, so old rows stay readable whatever new
 * dictionaries come; none is ever deleted. A dictionary trained on patients' records holds their text: it lies in
 * the database and is guarded as they are. */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_createCDict_advanced: tables no larger than small documents need */
#include <zdict.h>
#include <zstd.h>

#include "base/memory.h"
#include "store/internal.h"

enum { TRAINED_BYTES = 32 * 1024, TRAINED_SAMPLES_BYTES = 8 * 1024 * 1024 };
enum { LEVEL = 3 }; /* limits.md section 4: 1 equals 3, 9 is useless */
/* Of a dictionary's tables. Left to the library they take 420 KB a dictionary; so 140 KB, for frames of the same size
 * (1,074 resources: 196.8 KB instead of 197.1), made as fast. */
enum { HASH_LOG = 14, CHAIN_LOG = 13, TYPICAL_BODY_BYTES = 4096 };

struct codec_dictionary {
    struct codec_dictionary *next;
    uint32_t id;
    struct str type; /* absent: for all */
    struct str bytes;
    _Atomic(ZSTD_CDict *) pack; /* made when it is first needed: most dictionaries of a large store rest */
    _Atomic(ZSTD_DDict *) unpack;
};

struct codec_context {
    struct codec_context *next;
    ZSTD_CCtx *pack;
    ZSTD_DCtx *unpack;
};

bool codec_init(struct codec *codec, struct error *error)
{
    *codec = (struct codec){ 0 };
    if (pthread_mutex_init(&codec->contexts_lock, NULL) != 0) {
        return FAIL(error, ERROR_INTERNAL, "a lock could not be made");
    }
    return true;
}

static void context_free(struct codec_context *context)
{
    (void)ZSTD_freeCCtx(context->pack);
    (void)ZSTD_freeDCtx(context->unpack);
    memory_free(context);
}

void codec_deinit(struct codec *codec)
{
    while (codec->contexts != NULL) {
        struct codec_context *context = codec->contexts;
        codec->contexts = context->next;
        context_free(context);
    }
    while (codec->dictionaries != NULL) {
        struct codec_dictionary *dictionary = codec->dictionaries;
        codec->dictionaries = dictionary->next;
        (void)ZSTD_freeCDict(dictionary->pack);
        (void)ZSTD_freeDDict(dictionary->unpack);
        memory_free(dictionary); /* with its texts */
    }
    (void)pthread_mutex_destroy(&codec->contexts_lock);
}

bool codec_add_dictionary(struct codec *codec, uint32_t id, struct str type, struct str bytes,
                          struct error *error)
{
    if (bytes.at == NULL || ZSTD_getDictID_fromDict(bytes.at, bytes.len) != id || id == 0) {
        return FAIL(error, ERROR_INTERNAL, "dictionary %u is damaged", id);
    }
    size_t name_len = type.at == NULL ? 0 : type.len;
    struct codec_dictionary *dictionary = memory_new(sizeof *dictionary + bytes.len + name_len);
    if (dictionary == NULL) {
        return FAIL(error, ERROR_BUSY, "out of memory; try again");
    }
    char *copy = (char *)(dictionary + 1);
    *dictionary = (struct codec_dictionary){ .id = id, .bytes = { copy, bytes.len } };
    memcpy(copy, bytes.at, bytes.len);
    if (type.at != NULL) {
        memcpy(copy + bytes.len, type.at, name_len);
        dictionary->type = (struct str){ copy + bytes.len, name_len };
    }
    (void)pthread_mutex_lock(&codec->contexts_lock);
    dictionary->next = codec->dictionaries;
    codec->dictionaries = dictionary;
    (void)pthread_mutex_unlock(&codec->contexts_lock);
    return true;
}

static ZSTD_CDict *tables_make(struct str bytes)
{
    ZSTD_compressionParameters parameters = ZSTD_getCParams(LEVEL, TYPICAL_BODY_BYTES, bytes.len);
    parameters.hashLog = HASH_LOG;
    parameters.chainLog = CHAIN_LOG;
    return ZSTD_createCDict_advanced(bytes.at, bytes.len, ZSTD_dlm_byRef, ZSTD_dct_fullDict, parameters,
                                     (ZSTD_customMem){ 0 });
}

/* NULL when there is no memory for them. */
static ZSTD_CDict *dictionary_pack(struct codec *codec, struct codec_dictionary *dictionary)
{
    if (dictionary->pack == NULL) {
        (void)pthread_mutex_lock(&codec->contexts_lock);
        if (dictionary->pack == NULL) {
            dictionary->pack = tables_make(dictionary->bytes);
        }
        (void)pthread_mutex_unlock(&codec->contexts_lock);
    }
    return dictionary->pack;
}

static ZSTD_DDict *dictionary_unpack(struct codec *codec, struct codec_dictionary *dictionary)
{
    if (dictionary->unpack == NULL) {
        (void)pthread_mutex_lock(&codec->contexts_lock);
        if (dictionary->unpack == NULL) {
            dictionary->unpack = ZSTD_createDDict_byReference(dictionary->bytes.at, dictionary->bytes.len);
        }
        (void)pthread_mutex_unlock(&codec->contexts_lock);
    }
    return dictionary->unpack;
}

static struct codec_context *context_take(struct codec *codec, struct error *error)
{
    (void)pthread_mutex_lock(&codec->contexts_lock);
    struct codec_context *context = codec->contexts;
    if (context != NULL) {
        codec->contexts = context->next;
    }
    (void)pthread_mutex_unlock(&codec->contexts_lock);
    if (context == NULL) {
        context = MEMORY_NEW(struct codec_context);
        if (context != NULL) {
            context->pack = ZSTD_createCCtx();
            context->unpack = ZSTD_createDCtx();
            /* Four bytes a body: a page that the disk turned over is found, not served. */
            (void)ZSTD_CCtx_setParameter(context->pack, ZSTD_c_checksumFlag, 1);
            (void)ZSTD_CCtx_setParameter(context->pack, ZSTD_c_compressionLevel, LEVEL);
        }
        if (context == NULL || context->pack == NULL || context->unpack == NULL) {
            if (context != NULL) {
                context_free(context);
            }
            (void)FAIL(error, ERROR_BUSY, "out of memory; try again");
            return NULL;
        }
    }
    return context;
}

static void context_give(struct codec *codec, struct codec_context *context)
{
    (void)pthread_mutex_lock(&codec->contexts_lock);
    context->next = codec->contexts;
    codec->contexts = context;
    (void)pthread_mutex_unlock(&codec->contexts_lock);
}

/* The newest dictionary of the type, else the newest for all. Entries are never removed, so the list may be walked
 * outside the lock once its head was read. */
static struct codec_dictionary *dictionary_for(struct codec *codec, struct str type)
{
    (void)pthread_mutex_lock(&codec->contexts_lock);
    struct codec_dictionary *dictionary = codec->dictionaries;
    (void)pthread_mutex_unlock(&codec->contexts_lock);
    struct codec_dictionary *general = NULL;
    for (; dictionary != NULL; dictionary = dictionary->next) {
        if (dictionary->type.at == NULL) {
            general = general == NULL ? dictionary : general;
        } else if (str_equal(dictionary->type, type)) {
            return dictionary;
        }
    }
    return general;
}

static struct codec_dictionary *dictionary_by_id(struct codec *codec, uint32_t id)
{
    (void)pthread_mutex_lock(&codec->contexts_lock);
    struct codec_dictionary *dictionary = codec->dictionaries;
    (void)pthread_mutex_unlock(&codec->contexts_lock);
    while (dictionary != NULL && dictionary->id != id) {
        dictionary = dictionary->next;
    }
    return dictionary;
}

bool codec_pack(struct codec *codec, struct arena *arena, struct str type, struct str body,
                struct str *packed, struct error *error)
{
    assert(body.at != NULL);
    struct codec_context *context = context_take(codec, error);
    if (context == NULL) {
        return false;
    }
    size_t room = ZSTD_compressBound(body.len);
    char *out = arena_alloc(arena, room);
    struct codec_dictionary *dictionary = dictionary_for(codec, type);
    ZSTD_CDict *tables = dictionary == NULL ? NULL : dictionary_pack(codec, dictionary);
    size_t len = 0;
    if (out == NULL || (dictionary != NULL && tables == NULL)) {
        out = NULL;
        (void)FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    } else {
        len = ZSTD_CCtx_refCDict(context->pack, tables);
        len = ZSTD_isError(len) != 0 ? len : ZSTD_compress2(context->pack, out, room, body.at, body.len);
    }
    context_give(codec, context);
    if (out == NULL) {
        return false;
    }
    if (ZSTD_isError(len) != 0) {
        return FAIL(error, ERROR_INTERNAL, "a body could not be compressed");
    }
    *packed = (struct str){ out, len };
    return true;
}

bool codec_unpack(struct codec *codec, struct arena *arena, struct str packed, struct str *body,
                  struct error *error)
{
    unsigned long long size = ZSTD_getFrameContentSize(packed.at, packed.len);
    if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN || size > LIMIT_BUNDLE_BYTES) {
        return FAIL(error, ERROR_INTERNAL, "a stored body is damaged: run `shanhai check`");
    }
    uint32_t id = ZSTD_getDictID_fromFrame(packed.at, packed.len);
    struct codec_dictionary *dictionary = id == 0 ? NULL : dictionary_by_id(codec, id);
    if (id != 0 && dictionary == NULL) {
        return FAIL(error, ERROR_INTERNAL, "dictionary %u of a stored body is missing: run `shanhai check`",
                    id);
    }
    ZSTD_DDict *tables = dictionary == NULL ? NULL : dictionary_unpack(codec, dictionary);
    char *out = arena_alloc(arena, (size_t)size);
    if (out == NULL || (dictionary != NULL && tables == NULL)) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    struct codec_context *context = context_take(codec, error);
    if (context == NULL) {
        return false;
    }
    size_t len =
        dictionary == NULL
            ? ZSTD_decompressDCtx(context->unpack, out, (size_t)size, packed.at, packed.len)
            : ZSTD_decompress_usingDDict(context->unpack, out, (size_t)size, packed.at, packed.len, tables);
    context_give(codec, context);
    if (ZSTD_isError(len) != 0 || len != size) {
        return FAIL(error, ERROR_INTERNAL, "a stored body is damaged: run `shanhai check`");
    }
    *body = (struct str){ out, len };
    return true;
}

/* ---- training ---- */

uint32_t codec_next_id(struct codec *codec)
{
    uint32_t highest = 0;
    (void)pthread_mutex_lock(&codec->contexts_lock);
    for (const struct codec_dictionary *d = codec->dictionaries; d != NULL; d = d->next) {
        highest = d->id > highest ? d->id : highest;
    }
    (void)pthread_mutex_unlock(&codec->contexts_lock);
    return highest + 1;
}

/* What every fourth sample takes with a dictionary given by its bytes. SIZE_MAX when it cannot be used. */
static size_t packed_with(struct str dictionary, const struct str *samples, size_t count, char *out,
                          size_t room)
{
    ZSTD_CDict *pack = tables_make(dictionary);
    ZSTD_CCtx *context = ZSTD_createCCtx();
    size_t sum = pack == NULL || context == NULL ? SIZE_MAX : 0;
    for (size_t i = 0; sum != SIZE_MAX && i < count; i += 4) {
        size_t len = ZSTD_compress_usingCDict(context, out, room, samples[i].at, samples[i].len, pack);
        sum = ZSTD_isError(len) != 0 ? SIZE_MAX : sum + len;
    }
    (void)ZSTD_freeCCtx(context);
    (void)ZSTD_freeCDict(pack);
    return sum;
}

static bool packed_now(struct codec *codec, struct arena *arena, struct str type, const struct str *samples,
                       size_t count, size_t *sum, struct error *error)
{
    *sum = 0;
    for (size_t i = 0; i < count; i += 4) {
        struct str packed = STR_NONE;
        if (!codec_pack(codec, arena, type, samples[i], &packed, error)) {
            return false;
        }
        *sum += packed.len;
    }
    return true;
}

bool codec_train(struct codec *codec, struct arena *arena, uint32_t id, struct str type,
                 const struct str *samples, size_t samples_count, struct str *bytes, struct error *error)
{
    char *all = arena_alloc(arena, TRAINED_SAMPLES_BYTES);
    char *trained = arena_alloc(arena, TRAINED_BYTES);
    char *made = arena_alloc(arena, TRAINED_BYTES);
    size_t *sizes = ARENA_ARRAY(arena, size_t, samples_count + 1);
    size_t count = 0;
    size_t len = 0;
    size_t now = 0;
    if (all == NULL || trained == NULL || made == NULL || sizes == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "request memory used up");
    }
    for (size_t i = 0; i < samples_count; i++) {
        if (i % 4 != 0 && samples[i].len <= TRAINED_SAMPLES_BYTES - len) {
            memcpy(all + len, samples[i].at, samples[i].len);
            len += samples[i].len;
            sizes[count] = samples[i].len;
            count++;
        }
    }
    *bytes = STR_NONE;
    size_t raw = ZDICT_trainFromBuffer(trained, TRAINED_BYTES, all, sizes, (unsigned)count);
    if (ZDICT_isError(raw) != 0) {
        return true; /* too few, or too much alike: the present one stays */
    }
    /* The same content under the number that frames will name. */
    const ZDICT_params_t parameters = { .compressionLevel = LEVEL, .dictID = id };
    size_t final =
        ZDICT_finalizeDictionary(made, TRAINED_BYTES, trained, raw, all, sizes, (unsigned)count, parameters);
    if (ZDICT_isError(final) != 0 || !packed_now(codec, arena, type, samples, samples_count, &now, error)) {
        return ZDICT_isError(final) != 0;
    }
    /* `all` has room for the largest sample packed: it held more than that. */
    size_t then =
        packed_with((struct str){ made, final }, samples, samples_count, all, TRAINED_SAMPLES_BYTES);
    if (then != SIZE_MAX && then < now - now / 10) {
        *bytes = (struct str){ made, final };
    }
    return true;
}
