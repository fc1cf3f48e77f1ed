/* Kills a process that receives images with SIGKILL at random moments and looks whether every instance that it had
 * acknowledged is there whole, and no pack file has a fault.
 *
 *     images_crash [ROUNDS] [SEED]
 *
 * The child stores small CT slices in batches of one to eight, a new series now and then, and reports each
 * acknowledged one through a pipe. The parent kills it, opens the archive again, checks it, and goes on in the same
 * folder; every third round the index is thrown away too and must come back from the packs. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../unit/dicom_build.h"
#include "base/clock.h"
#include "base/parse.h"
#include "dicom/archive.h"

enum { NUMBERS_MAX = 1000000, SLICES_A_SERIES = 40, FILLER_SIDE = 64 };

static uint32_t noise(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static void name_sop(uint32_t number, char sop[ARCHIVE_UID_BYTES])
{
    (void)snprintf(sop, ARCHIVE_UID_BYTES, "2.25.7%07" PRIu32, number);
}

/* ---- the child ---- */

static void told(void *context, const struct archive_result *result)
{
    uint64_t number = 0;
    if (result->outcome == ARCHIVE_REFUSED ||
        !parse_uint64(str_skip(str_from_cstr(result->sop), strlen("2.25.7")), NUMBERS_MAX, &number)) {
        _exit(3);
    }
    uint32_t said = (uint32_t)number;
    if (write(*(int *)context, &said, sizeof said) != (ssize_t)sizeof said) {
        _exit(4);
    }
}

static void add(struct archive_batch *batch, uint32_t number)
{
    struct build build = { .buf = { .bytes_max = 1u << 20 } };
    char sop[ARCHIVE_UID_BYTES];
    char series[ARCHIVE_UID_BYTES];
    name_sop(number, sop);
    (void)snprintf(series, sizeof series, "2.25.8%" PRIu32, number / SLICES_A_SERIES);
    const struct build_image image = { .study = "2.25.100",
                                       .series = series,
                                       .sop = sop,
                                       .rows = FILLER_SIDE,
                                       .columns = FILLER_SIDE,
                                       .bits = 16,
                                       .number = (uint16_t)(number % 4096) };
    struct archive_incoming incoming = { .syntax = dicom_syntax_find(STR(DICOM_EXPLICIT_LE)) };
    build_ct(&build, &image);
    incoming.bytes = buf_str(&build.buf);
    archive_batch_add(batch, &incoming);
    buf_deinit(&build.buf);
}

static void receive(const char *folder, uint32_t first, uint64_t seed, int out)
{
    struct arena arena = { .bytes_max = 64u << 20 };
    struct archive *archive = NULL;
    struct archive_batch *batch = NULL;
    struct error error = { 0 };
    const struct archive_options options = { .folder = folder, .silence_ms = 50 };
    const struct archive_batch_options batch_options = { .organization = STR("org"),
                                                         .told = told,
                                                         .context = &out };
    if (!archive_open(&arena, &options, &archive, &error) ||
        !archive_batch_create(&arena, archive, &batch_options, &batch, &error)) {
        _exit(2);
    }
    for (uint32_t number = first; number < NUMBERS_MAX; number++) {
        add(batch, number);
        if (noise(&seed) % 8 == 0) {
            archive_batch_flush(batch);
        }
        if (noise(&seed) % 100 == 0) {
            archive_batch_end(batch);
        }
    }
    _exit(0);
}

/* ---- the parent ---- */

struct ledger {
    uint8_t *acknowledged; /* by number */
    uint32_t next;         /* first number of the next round */
    uint64_t count;
    uint64_t lost;
    uint64_t faults;
};

static void count_fault(void *data, const char *text)
{
    ((struct ledger *)data)->faults++;
    (void)printf("%s\n", text);
}

static bool look(const char *folder, struct ledger *ledger)
{
    struct arena arena = { .bytes_max = 512u << 20 };
    struct archive *archive = NULL;
    struct error error = { 0 };
    struct archive_check_report report = { .finding = count_fault, .data = ledger };
    const struct archive_options options = { .folder = folder };
    bool ok = archive_open(&arena, &options, &archive, &error) && archive_check(archive, &report, &error);
    for (uint32_t number = 0; ok && number < ledger->next; number++) {
        char sop[ARCHIVE_UID_BYTES];
        struct archive_instance instance;
        name_sop(number, sop);
        if (ledger->acknowledged[number] != 0 &&
            !archive_find_instance(archive, STR_NONE, STR_NONE, str_from_cstr(sop), &instance, &error)) {
            ledger->lost++;
        }
    }
    if (!ok) {
        (void)printf("%s\n", error.text);
    }
    archive_close(archive);
    arena_deinit(&arena);
    return ok && ledger->lost == 0 && ledger->faults == 0;
}

static bool one_round(const char *folder, struct ledger *ledger, uint64_t *seed, bool lose_index)
{
    int ends[2];
    uint32_t said = 0;
    uint32_t highest = ledger->next;
    if (pipe(ends) != 0) {
        return false;
    }
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        receive(folder, ledger->next, *seed, ends[1]);
    }
    (void)close(ends[1]);
    const struct timespec wait = { .tv_nsec = (long)(20 + noise(seed) % 180) * 1000000 };
    (void)nanosleep(&wait, NULL);
    (void)kill(child, SIGKILL);
    while (read(ends[0], &said, sizeof said) == (ssize_t)sizeof said) {
        ledger->acknowledged[said] = 1;
        ledger->count++;
        highest = said >= highest ? said + 1 : highest;
    }
    (void)close(ends[0]);
    int status = 0;
    (void)waitpid(child, &status, 0);
    /* What was in flight has unknown fate: the next round takes numbers of its own. */
    ledger->next = highest + 100;
    if (lose_index) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/index.sqlite", folder);
        (void)unlink(path);
        (void)snprintf(path, sizeof path, "%s/index.sqlite-wal", folder);
        (void)unlink(path);
        (void)snprintf(path, sizeof path, "%s/index.sqlite-shm", folder);
        (void)unlink(path);
    }
    return WIFSIGNALED(status) && look(folder, ledger);
}

int main(int count, char **arguments)
{
    uint64_t rounds = 20;
    uint64_t seed = (uint64_t)clock_now_ms();
    char folder[] = "/tmp/images-crash-XXXXXX";
    if ((count > 1 && !parse_uint64(str_from_cstr(arguments[1]), 100000, &rounds)) ||
        (count > 2 && !parse_uint64(str_from_cstr(arguments[2]), UINT64_MAX, &seed)) ||
        mkdtemp(folder) == NULL) {
        (void)fprintf(stderr, "images_crash [ROUNDS] [SEED]\n");
        return 2;
    }
    struct ledger ledger = { .acknowledged = calloc(NUMBERS_MAX + 1, 1) };
    bool ok = ledger.acknowledged != NULL;
    (void)printf("seed %" PRIu64 "\n", seed);
    uint64_t done = 0;
    while (ok && done < rounds && ledger.next < NUMBERS_MAX / 2) {
        ok = one_round(folder, &ledger, &seed, done % 3 == 2);
        done++;
    }
    (void)printf("%" PRIu64 " rounds, %" PRIu64 " acknowledged, %" PRIu64 " lost, %" PRIu64 " faults\n", done,
                 ledger.count, ledger.lost, ledger.faults);
    free(ledger.acknowledged);
    pid_t remover = ok ? fork() : -1;
    if (remover == 0) {
        (void)execlp("rm", "rm", "-rf", folder, (char *)NULL);
        _exit(127);
    }
    if (remover > 0) {
        (void)waitpid(remover, NULL, 0);
    }
    return ok && ledger.count > 0 ? 0 : 1;
}
