/* worker_child.c — the inside of a decode worker: lock in, then read a frame, decode, answer. */
#include "dicom/worker.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/limits.h"
#include "dicom/worker_wire.h"

#if defined(__SANITIZE_ADDRESS__)
enum { IS_SANITIZED = 1 }; /* the sanitizer needs more memory and calls than a worker may have */
#else
enum { IS_SANITIZED = 0 };
#endif

#if defined(__x86_64__)
#define SECCOMP_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SECCOMP_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

enum { WORKER_MEMORY_BYTES = 1 << 30, WORKER_CPU_S = 3600 };

static bool limit(int resource, rlim_t value)
{
    struct rlimit limits = { .rlim_cur = value, .rlim_max = value };
    return setrlimit((__rlimit_resource_t)resource, &limits) == 0;
}

/* Only what reading the socket, memory and ending need; all else kills the process. */
static bool filter_system_calls(void)
{
#ifdef SECCOMP_ARCHITECTURE
#define ALLOW(name)                                                                                          \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (name), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SECCOMP_ARCHITECTURE, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_read),
        ALLOW(SYS_write),
        ALLOW(SYS_brk),
        ALLOW(SYS_mmap),
        ALLOW(SYS_munmap),
        ALLOW(SYS_mremap),
        ALLOW(SYS_mprotect),
        ALLOW(SYS_madvise),
        ALLOW(SYS_futex),
        ALLOW(SYS_getrandom),
        ALLOW(SYS_clock_gettime),
        ALLOW(SYS_rt_sigreturn),
        ALLOW(SYS_restart_syscall),
        ALLOW(SYS_exit),
        ALLOW(SYS_exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
#undef ALLOW
    const struct sock_fprog program = { .len = sizeof rules / sizeof rules[0], .filter = rules };
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
#else
    return true;
#endif
}

static bool lock_in(void)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_DUMPABLE, 0) != 0 || close_range(STDERR_FILENO + 1, ~0U, 0) != 0) {
        return false;
    }
    if (!limit(RLIMIT_CORE, 0) || !limit(RLIMIT_FSIZE, 0) || !limit(RLIMIT_NPROC, 0) ||
        !limit(RLIMIT_CPU, WORKER_CPU_S)) {
        return false;
    }
    return IS_SANITIZED || (limit(RLIMIT_AS, WORKER_MEMORY_BYTES) && filter_system_calls());
}

static bool read_all(void *to, size_t len)
{
    char *at = to;
    while (len > 0) {
        ssize_t got = read(STDIN_FILENO, at, len);
        if (got <= 0 && !(got < 0 && errno == EINTR)) {
            return false;
        }
        at += got < 0 ? 0 : got;
        len -= got < 0 ? 0 : (size_t)got;
    }
    return true;
}

static bool write_all(const void *from, size_t len)
{
    const char *at = from;
    while (len > 0) {
        ssize_t written = write(STDIN_FILENO, at, len);
        if (written <= 0 && !(written < 0 && errno == EINTR)) {
            return false;
        }
        at += written < 0 ? 0 : written;
        len -= written < 0 ? 0 : (size_t)written;
    }
    return true;
}

struct work {
    struct buf in;
    struct buf samples;
    struct buf out;
};

static bool work_on(struct work *work, const struct worker_request *request, struct str *result,
                    struct error *error)
{
    size_t samples_bytes = dicom_image_frame_bytes(&request->image);
    struct str in = buf_str(&work->in);
    struct str frame = str_slice(in, 0, (size_t)request->frame_bytes);
    char *samples = buf_reserve(&work->samples, samples_bytes);
    if (samples == NULL) {
        return FAIL(error, ERROR_TOO_LARGE, "no memory left to decode a frame");
    }
    if (!dicom_frame_decode(&request->image, frame, samples, samples_bytes, error)) {
        return false;
    }
    if (request->operation == WORKER_DECODE) {
        *result = (struct str){ samples, samples_bytes };
        return true;
    }
    struct str overlay = str_skip(in, (size_t)request->frame_bytes);
    if (!dicom_render_frame(&request->image, samples, overlay, &request->render, &work->out, error)) {
        return false;
    }
    *result = buf_str(&work->out);
    return true;
}

static bool serve_one(struct work *work)
{
    struct worker_request request;
    struct worker_answer answer = { .magic = WORKER_MAGIC };
    struct str result = STR_NONE;
    struct error error = { 0 };
    if (!read_all(&request, sizeof request) || request.magic != WORKER_MAGIC ||
        request.frame_bytes > LIMIT_DICOM_INSTANCE_BYTES || request.overlay_bytes > LIMIT_DICOM_FRAME_BYTES) {
        return false;
    }
    buf_clear(&work->in);
    buf_clear(&work->samples);
    buf_clear(&work->out);
    size_t len = (size_t)(request.frame_bytes + request.overlay_bytes);
    char *room = buf_reserve(&work->in, len);
    if (room == NULL || !read_all(room, len)) {
        return false;
    }
    work->in.len = len;
    if (!work_on(work, &request, &result, &error)) {
        answer.kind = error.kind;
        (void)snprintf(answer.text, sizeof answer.text, "%s", error.text);
    }
    answer.bytes = result.len;
    return write_all(&answer, sizeof answer) && write_all(result.at, result.len);
}

int worker_decode_main(void)
{
    if (!lock_in()) {
        return 1;
    }
    struct work work = {
        .in = { .bytes_max = (size_t)LIMIT_DICOM_INSTANCE_BYTES + LIMIT_DICOM_FRAME_BYTES },
        .samples = { .bytes_max = LIMIT_DICOM_FRAME_BYTES },
        .out = { .bytes_max = LIMIT_DICOM_FRAME_BYTES },
    };
    while (serve_one(&work)) {}
    buf_deinit(&work.in);
    buf_deinit(&work.samples);
    buf_deinit(&work.out);
    return 0;
}
