/* Han to pinyin by ICU, a character at a time and remembered, so that a name costs a look-up a character. */
#include <pthread.h>

#include <unicode/utrans.h>
#include <unicode/ustring.h>

#include "fhir/index_internal.h"
#include "fhir/pinyin_surnames.h"

enum {
    HAN_FIRST = 0x4E00,
    HAN_COUNT = 0x9FFF - 0x4E00 + 1,
    SYLLABLE_BYTES = 8, /* "zhuang" and NUL */
    NAME_CHARACTERS_MAX = 16,
};

struct pinyin {
    pthread_mutex_t lock; /* guards all below */
    UTransliterator *transliterator;
    bool tried;
    char syllables[HAN_COUNT][SYLLABLE_BYTES]; /* "" = not asked for yet; "?" = has none */
};

struct pinyin *pinyin_create(struct arena *arena)
{
    struct pinyin *pinyin = ARENA_NEW(arena, struct pinyin);
    if (pinyin != NULL && pthread_mutex_init(&pinyin->lock, NULL) != 0) {
        return NULL;
    }
    return pinyin;
}

void pinyin_destroy(struct pinyin *pinyin)
{
    if (pinyin == NULL) {
        return;
    }
    if (pinyin->transliterator != NULL) {
        utrans_close(pinyin->transliterator);
    }
    (void)pthread_mutex_destroy(&pinyin->lock);
}

static void open_transliterator(struct pinyin *pinyin)
{
    pinyin->tried = true;
    UErrorCode status = U_ZERO_ERROR;
    UChar id[64];
    u_uastrcpy(id, "Han-Latin; Latin-ASCII; Any-Lower");
    UTransliterator *opened = utrans_openU(id, -1, UTRANS_FORWARD, NULL, 0, NULL, &status);
    pinyin->transliterator = U_SUCCESS(status) ? opened : NULL;
}

/* Under the lock. NULL when the character has no reading. */
static const char *syllable_of(struct pinyin *pinyin, uint32_t character)
{
    char *kept = pinyin->syllables[character - HAN_FIRST];
    if (kept[0] != '\0') {
        return kept[0] == '?' ? NULL : kept;
    }
    if (!pinyin->tried) {
        open_transliterator(pinyin);
    }
    UErrorCode status = U_ZERO_ERROR;
    UChar text[16] = { (UChar)character };
    int32_t len = 1;
    int32_t limit = 1;
    if (pinyin->transliterator != NULL) {
        utrans_transUChars(pinyin->transliterator, text, &len, 16, 0, &limit, &status);
    }
    size_t bytes = 0;
    for (int32_t i = 0; U_SUCCESS(status) && i < limit && bytes + 1 < SYLLABLE_BYTES; i++) {
        if (text[i] >= 'a' && text[i] <= 'z') {
            kept[bytes++] = (char)text[i];
        }
    }
    if (bytes == 0) {
        kept[bytes++] = '?';
    }
    kept[bytes] = '\0';
    return kept[0] == '?' ? NULL : kept;
}

/* Code points of a text that is all common Han; 0 when it is not, or too long to be a name. */
static size_t han_of(struct str text, uint32_t characters[NAME_CHARACTERS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i + 2 < text.len; i += 3) {
        const unsigned char *at = (const unsigned char *)text.at + i;
        uint32_t code = ((at[0] & 0x0Fu) << 12) | ((at[1] & 0x3Fu) << 6) | (at[2] & 0x3Fu);
        if (count == NAME_CHARACTERS_MAX || (at[0] & 0xF0) != 0xE0 || code < HAN_FIRST ||
            code >= HAN_FIRST + HAN_COUNT) {
            return 0;
        }
        characters[count++] = code;
    }
    return text.len % 3 == 0 ? count : 0;
}

static struct pinyin_reading reading_of(struct arena *arena, const char *const *syllables, size_t count)
{
    char letters[NAME_CHARACTERS_MAX * SYLLABLE_BYTES];
    char initials[NAME_CHARACTERS_MAX];
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        size_t bytes = strlen(syllables[i]);
        memcpy(letters + len, syllables[i], bytes);
        len += bytes;
        initials[i] = syllables[i][0];
    }
    return (struct pinyin_reading){ .letters = arena_dup(arena, (struct str){ letters, len }),
                                    .initials = arena_dup(arena, (struct str){ initials, count }) };
}

size_t pinyin_read(struct pinyin *pinyin, struct arena *arena, struct str text,
                   struct pinyin_reading readings[PINYIN_READINGS_MAX])
{
    uint32_t characters[NAME_CHARACTERS_MAX];
    const char *syllables[NAME_CHARACTERS_MAX] = { NULL };
    size_t count = han_of(text, characters);
    bool known = count > 0;
    if (pinyin == NULL || !known) {
        return 0;
    }
    (void)pthread_mutex_lock(&pinyin->lock);
    for (size_t i = 0; i < count && known; i++) {
        syllables[i] = syllable_of(pinyin, characters[i]);
        known = syllables[i] != NULL;
    }
    (void)pthread_mutex_unlock(&pinyin->lock); /* a syllable once written never changes */
    if (!known) {
        return 0;
    }
    size_t made = 0;
    readings[made++] = reading_of(arena, syllables, count);
    const char *const second = syllables[1];
    for (size_t i = 0; i < pinyin_surnames_count && made < PINYIN_READINGS_MAX; i++) {
        const struct pinyin_surname *surname = &pinyin_surnames[i];
        bool two = surname->second != 0;
        if (surname->first != characters[0] || (two && (count < 2 || surname->second != characters[1]))) {
            continue;
        }
        syllables[0] = surname->syllables[0];
        syllables[1] = two ? surname->syllables[1] : second;
        struct pinyin_reading reading = reading_of(arena, syllables, count);
        bool known_already = false;
        for (size_t k = 0; k < made; k++) {
            known_already = known_already || str_equal(readings[k].letters, reading.letters);
        }
        if (!known_already) {
            readings[made++] = reading;
        }
    }
    return made;
}
