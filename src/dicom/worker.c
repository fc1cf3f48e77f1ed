#include "dicom/worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "dicom/worker_wire.h"

struct worker {
    pid_t pid; /* 0: not running */
    int fd;
    bool is_taken;
};

struct decode_pool {
    pthread_mutex_t workers_lock; /* guards all below */
    pthread_cond_t worker_free;
    struct worker workers[DECODE_WORKERS_MAX];
    struct decode_pool_options options;
    uint64_t frames;
    uint64_t replaced;
};

bool decode_pool_create(struct arena *arena, const struct decode_pool_options *options,
                        struct decode_pool **pool, struct error *error)
{
    struct decode_pool *made = ARENA_NEW(arena, struct decode_pool);
    if (made == NULL || pthread_mutex_init(&made->workers_lock, NULL) != 0 ||
        pthread_cond_init(&made->worker_free, NULL) != 0) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory for the decode workers");
    }
    made->options = *options;
    made->options.program = options->program == NULL ? "/proc/self/exe" : options->program;
    made->options.timeout_ms = options->timeout_ms == 0 ? 10000 : options->timeout_ms;
    made->options.wait_ms = options->wait_ms == 0 ? 5000 : options->wait_ms;
    made->options.workers_count = options->workers_count == 0 ? 2 : options->workers_count;
    if (made->options.workers_count > DECODE_WORKERS_MAX) {
        made->options.workers_count = DECODE_WORKERS_MAX;
    }
    for (size_t i = 0; i < DECODE_WORKERS_MAX; i++) {
        made->workers[i].fd = -1;
    }
    *pool = made;
    return true;
}

static void end_worker(struct worker *worker)
{
    if (worker->fd >= 0) {
        (void)close(worker->fd);
    }
    if (worker->pid > 0) {
        (void)kill(worker->pid, SIGKILL);
        while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR) {}
    }
    worker->fd = -1;
    worker->pid = 0;
}

void decode_pool_destroy(struct decode_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    for (size_t i = 0; i < DECODE_WORKERS_MAX; i++) {
        assert(!pool->workers[i].is_taken);
        end_worker(&pool->workers[i]);
    }
    (void)pthread_cond_destroy(&pool->worker_free);
    (void)pthread_mutex_destroy(&pool->workers_lock);
}

void decode_pool_counts(struct decode_pool *pool, uint64_t *frames, uint64_t *replaced)
{
    (void)pthread_mutex_lock(&pool->workers_lock);
    *frames = pool->frames;
    *replaced = pool->replaced;
    (void)pthread_mutex_unlock(&pool->workers_lock);
}

/* exec, not fork alone: the worker shares no memory with the server. Its environment is empty. */
static bool start_worker(struct worker *worker, const char *program, struct error *error)
{
    int ends[2];
    char *arguments[] = { (char *)(uintptr_t)program, (char *)(uintptr_t) "worker",
                          (char *)(uintptr_t) "decode", NULL };
    char *environment[] = { NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;
    pid_t pid = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return FAIL_OS(error, ERROR_BUSY, "no socket for a decode worker");
    }
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int failed = posix_spawn(&pid, program, &actions, &attributes, arguments, environment);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    (void)close(ends[1]);
    if (failed != 0) {
        (void)close(ends[0]);
        errno = failed;
        return FAIL_OS(error, ERROR_BUSY, "cannot start a decode worker");
    }
    worker->fd = ends[0];
    worker->pid = pid;
    return true;
}

/* A free worker, a running one first; waits for one. */
static bool take_worker(struct decode_pool *pool, struct worker **taken, struct error *error)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += pool->options.wait_ms / 1000;
    until.tv_nsec += (long)(pool->options.wait_ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    struct worker *free_worker = NULL;
    int waited = 0;
    (void)pthread_mutex_lock(&pool->workers_lock);
    for (;;) {
        for (size_t i = 0; i < pool->options.workers_count; i++) {
            struct worker *worker = &pool->workers[i];
            if (!worker->is_taken && (free_worker == NULL || worker->pid > 0)) {
                free_worker = worker;
            }
        }
        if (free_worker != NULL || waited == ETIMEDOUT) {
            break;
        }
        waited = pthread_cond_timedwait(&pool->worker_free, &pool->workers_lock, &until);
    }
    if (free_worker != NULL) {
        free_worker->is_taken = true;
        pool->frames++;
    }
    (void)pthread_mutex_unlock(&pool->workers_lock);
    *taken = free_worker;
    return free_worker != NULL || FAIL(error, ERROR_BUSY, "all decode workers are busy");
}

static void give_back(struct decode_pool *pool, struct worker *worker, bool is_fit)
{
    if (!is_fit) {
        end_worker(worker);
    }
    (void)pthread_mutex_lock(&pool->workers_lock);
    worker->is_taken = false;
    pool->replaced += is_fit ? 0 : 1;
    (void)pthread_cond_signal(&pool->worker_free);
    (void)pthread_mutex_unlock(&pool->workers_lock);
}

/* Moves all bytes before the deadline. False: the worker is gone, silent or stuck. */
static bool move(int fd, char *at, size_t len, bool is_write, int64_t deadline_us)
{
    while (len > 0) {
        ssize_t moved =
            is_write ? send(fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT) : recv(fd, at, len, MSG_DONTWAIT);
        if (moved > 0) {
            at += moved;
            len -= (size_t)moved;
            continue;
        }
        if (moved == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
            return false;
        }
        int64_t left_us = deadline_us - clock_monotonic_us();
        struct pollfd waiting = { .fd = fd, .events = is_write ? POLLOUT : POLLIN };
        if (left_us <= 0 || (poll(&waiting, 1, (int)(left_us / 1000) + 1) == 0)) {
            return false;
        }
    }
    return true;
}

static bool move_out(int fd, const void *at, size_t len, int64_t deadline_us)
{
    return move(fd, (char *)(uintptr_t)at, len, true, deadline_us);
}

enum exchange_result { EXCHANGE_DONE, EXCHANGE_REFUSED, EXCHANGE_BROKEN };

static enum exchange_result exchange(struct decode_pool *pool, struct worker *worker,
                                     const struct worker_request *request, struct str frame,
                                     struct str overlay, struct buf *out, struct error *error)
{
    int64_t deadline_us = clock_monotonic_us() + (int64_t)pool->options.timeout_ms * 1000;
    struct worker_answer answer;
    if (!move_out(worker->fd, request, sizeof *request, deadline_us) ||
        !move_out(worker->fd, frame.at, frame.len, deadline_us) ||
        !move_out(worker->fd, overlay.at, overlay.len, deadline_us) ||
        !move(worker->fd, (char *)&answer, sizeof answer, false, deadline_us)) {
        return EXCHANGE_BROKEN;
    }
    if (answer.magic != WORKER_MAGIC || answer.kind >= ERROR_KINDS_COUNT ||
        answer.bytes > LIMIT_DICOM_FRAME_BYTES) {
        return EXCHANGE_BROKEN;
    }
    if (answer.kind != ERROR_NONE) {
        answer.text[sizeof answer.text - 1] = '\0';
        (void)FAIL(error, (enum error_kind)answer.kind, "%s", answer.text);
        return EXCHANGE_REFUSED;
    }
    bool is_expected =
        request->operation == WORKER_RENDER || answer.bytes == dicom_image_frame_bytes(&request->image);
    char *room = is_expected ? buf_reserve(out, (size_t)answer.bytes) : NULL;
    if (room == NULL || !move(worker->fd, room, (size_t)answer.bytes, false, deadline_us)) {
        return EXCHANGE_BROKEN;
    }
    out->len += (size_t)answer.bytes;
    return EXCHANGE_DONE;
}

static bool ask(struct decode_pool *pool, const struct worker_request *request, struct str frame,
                struct str overlay, struct buf *out, struct error *error)
{
    struct worker *worker = NULL;
    if (!take_worker(pool, &worker, error)) {
        return false;
    }
    if (worker->pid == 0 && !start_worker(worker, pool->options.program, error)) {
        give_back(pool, worker, true);
        return false;
    }
    enum exchange_result result = exchange(pool, worker, request, frame, overlay, out, error);
    give_back(pool, worker, result != EXCHANGE_BROKEN);
    if (result == EXCHANGE_BROKEN) {
        return FAIL(error, ERROR_STRUCTURE, "the frame cannot be decoded: it is damaged or takes too long");
    }
    return result == EXCHANGE_DONE;
}

bool decode_pool_frame(struct decode_pool *pool, const struct dicom_image *image, struct str frame,
                       struct buf *out, struct error *error)
{
    struct worker_request request = { .magic = WORKER_MAGIC, .operation = WORKER_DECODE };
    request.image = *image;
    request.frame_bytes = frame.len;
    return ask(pool, &request, frame, STR_NONE, out, error);
}

bool decode_pool_render(struct decode_pool *pool, const struct dicom_image *image, struct str frame,
                        struct str overlay, const struct dicom_render *render, struct buf *out,
                        struct error *error)
{
    struct worker_request request = { .magic = WORKER_MAGIC, .operation = WORKER_RENDER };
    request.image = *image;
    request.render = *render;
    request.frame_bytes = frame.len;
    request.overlay_bytes = overlay.len;
    return ask(pool, &request, frame, overlay, out, error);
}
