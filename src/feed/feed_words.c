/* What is said in passing: it waits here for the followers' thread and is gone when it was told. */
#include <string.h>

#include "base/log.h"
#include "feed/feed_internal.h"

static bool is_same(const char *kept, size_t kept_len, struct str text)
{
    return kept_len == text.len && memcmp(kept, text.at, text.len) == 0;
}

static void keep(char *into, size_t *into_len, struct str text)
{
    memcpy(into, text.at, text.len);
    *into_len = text.len;
}

/* The place of what this speaker last said about this resource, or a new one; NULL when all are taken. */
static struct feed_waiting_word *place_of(struct feed *feed, const struct feed_word *word)
{
    for (size_t i = 0; i < feed->words_count; i++) {
        struct feed_waiting_word *waiting = &feed->words[i];
        if (is_same(waiting->id, waiting->id_len, word->id) &&
            is_same(waiting->type, waiting->type_len, word->type) &&
            is_same(waiting->speaker, waiting->speaker_len, word->speaker)) {
            return waiting;
        }
    }
    return feed->words_count < LIMIT_FEED_WORDS ? &feed->words[feed->words_count++] : NULL;
}

bool feed_say(struct feed *feed, const struct feed_word *word, struct error *error)
{
    if (word->type.len > FEED_NAME_BYTES || word->id.len > FEED_NAME_BYTES ||
        word->speaker.len > FEED_NAME_BYTES || word->text.len > LIMIT_FEED_WORD_BYTES) {
        return FAIL(error, ERROR_TOO_LARGE, "what is said in passing is short");
    }
    (void)pthread_mutex_lock(&feed->lock);
    struct feed_waiting_word *waiting = place_of(feed, word);
    if (waiting != NULL) {
        keep(waiting->type, &waiting->type_len, word->type);
        keep(waiting->id, &waiting->id_len, word->id);
        keep(waiting->speaker, &waiting->speaker_len, word->speaker);
        keep(waiting->text, &waiting->text_len, word->text);
        (void)pthread_cond_signal(&feed->followed);
    }
    (void)pthread_mutex_unlock(&feed->lock);
    return waiting != NULL || FAIL(error, ERROR_BUSY, "too much is said at once; try again");
}

static bool tell(struct feed *feed, struct feed_follower *first, const struct feed_waiting_word *word,
                 struct error *error)
{
    struct arena arena = { .bytes_max = LIMIT_REQUEST_ARENA_BYTES };
    struct store_reader *reader = NULL;
    struct store_version subject = { 0 };
    if (!store_reader_begin(feed->options.store, &reader, error)) {
        return false;
    }
    bool ok = store_read(reader, &arena, (struct str){ word->type, word->type_len },
                         (struct str){ word->id, word->id_len }, &subject, error);
    for (struct feed_follower *follower = first; ok && follower != NULL; follower = follower->next) {
        struct str text = { word->text, word->text_len };
        bool wanted = follower->hear == NULL || follower->hear(follower->data, reader, &subject, text);
        (void)pthread_mutex_lock(&feed->lock);
        follower->leaving |= !wanted;
        (void)pthread_mutex_unlock(&feed->lock);
    }
    store_reader_end(reader);
    arena_deinit(&arena);
    return ok;
}

void feed_tell_word(struct feed *feed)
{
    struct error error = { 0 };
    struct feed_waiting_word word = feed->words[0];
    struct feed_follower *first = feed->followers;
    feed->words_count--;
    memmove(feed->words, feed->words + 1, feed->words_count * sizeof feed->words[0]);
    (void)pthread_mutex_unlock(&feed->lock);
    if (!tell(feed, first, &word, &error)) {
        LOG_WARNING("feed: %s", error.text); /* the next word comes soon */
    }
    (void)pthread_mutex_lock(&feed->lock);
}
