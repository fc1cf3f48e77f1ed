/* Han to pinyin by ICU, a character at a time and remembered, so that a name costs a look-up a character. */
#include <pthread.h>

#include <unicode/utrans.h>
#include <unicode/ustring.h>

#include "fhir/index_internal.h"

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

/* Surnames that are read otherwise than the character elsewhere, and a second common reading. */
static const struct {
    uint32_t character;
    const char *reading;
} surnames[] = {
    { 0x5355, "shan" },  /* 单 */
    { 0x66FE, "zeng" },  /* 曾 */
    { 0x4EC7, "qiu" },   /* 仇 */
    { 0x533A, "ou" },    /* 区 */
    { 0x89E3, "xie" },   /* 解 */
    { 0x67E5, "zha" },   /* 查 */
    { 0x4EFB, "ren" },   /* 任 */
    { 0x6734, "piao" },  /* 朴 */
    { 0x76D6, "ge" },    /* 盖 */
    { 0x7F2A, "miao" },  /* 缪 */
    { 0x7FDF, "zhai" },  /* 翟 */
    { 0x5C09, "yu" },    /* 尉(迟) */
    { 0x4E07, "mo" },    /* 万(俟) */
    { 0x957F, "zhang" }, /* 长(孙) */
    { 0x4E50, "yue" },   /* 乐 */
    { 0x79CD, "chong" }, /* 种 */
    { 0x79D8, "bi" },    /* 秘 */
    { 0x51BC, "xian" },  /* 冼 */
    { 0x5458, "yun" },   /* 员 */
    { 0x8D32, "ben" },   /* 贲 */
    { 0x6298, "she" },   /* 折 */
    { 0x9ED1, "he" },    /* 黑 */
    { 0x8983, "qin" },   /* 覃: also tan */
    { 0x5BB3, "hai" },   /* 害 */
    { 0x90AA, "ya" },    /* 邪 */
    { 0x7E41, "po" },    /* 繁 */
    { 0x5B93, "fu" },    /* 宓 */
    { 0x5E96, "bao" },   /* 庖 */
    { 0x64A9, "liao" },  /* 撩 */
    { 0x6C88, "shen" },  /* 沈 */
    { 0x5415, "lv" },    /* 吕: people type lv and lu */
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
    for (size_t i = 0; i < sizeof surnames / sizeof surnames[0] && made < PINYIN_READINGS_MAX; i++) {
        if (surnames[i].character == characters[0] && strcmp(surnames[i].reading, syllables[0]) != 0) {
            syllables[0] = surnames[i].reading;
            readings[made++] = reading_of(arena, syllables, count);
        }
    }
    return made;
}
