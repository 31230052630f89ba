/* What happens around every call: it is counted, it may be hidden, delayed, hung, failed or crash. */
#define _GNU_SOURCE
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * The counts: a file named by MLTOP_FAKE_NVML_CALLS, mapped and shared, so they outlive a SIGKILL and add up over all
 * processes. A header of 4 uint32 (magic, functions, columns, size of a name), the names, then for each function
 * `columns` uint32 of calls begun and as many of calls ended; column 0 is calls without a GPU, column n+1 is GPU n.
 */
enum { MAGIC = 0x4c564d46, NAME_SIZE = 64, COLUMNS = MAX_GPUS + 1 };

extern struct function __start_nvml_functions[], __stop_nvml_functions[];

static uint32_t *counters(void)
{
    static uint32_t *table;
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    const char *path = getenv("MLTOP_FAKE_NVML_CALLS");
    if (table || !path)
        return table;
    pthread_mutex_lock(&mutex);
    uint32_t count = (uint32_t)(__stop_nvml_functions - __start_nvml_functions);
    size_t size = 16 + (size_t)count * (NAME_SIZE + 8 * COLUMNS);
    int fd = table ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0) {
        char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED) {
            uint32_t header[] = {MAGIC, count, COLUMNS, NAME_SIZE};
            for (uint32_t i = 0; i < count; i++)
                strncpy(map + 16 + i * NAME_SIZE, __start_nvml_functions[i].name, NAME_SIZE - 1);
            memcpy(map, header, sizeof header);
            table = (uint32_t *)(map + 16 + (size_t)count * NAME_SIZE);
        }
    }
    if (fd >= 0)
        close(fd);
    pthread_mutex_unlock(&mutex);
    return table;
}

static void count(const struct call *c, int ended)
{
    uint32_t *table = counters();
    if (table)
        __atomic_fetch_add(&table[((c->function - __start_nvml_functions) * 2 + ended) * COLUMNS + c->gpu + 1], 1,
                           __ATOMIC_RELAXED);
}

static bool names_gpu(const char *spec, int gpu, int mig)
{
    char copy[64];
    if (!strcmp(spec, "*"))
        return true;
    snprintf(copy, sizeof copy, "%s", spec);
    for (char *save, *item = strtok_r(copy, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
        int low, high, child;
        char star;
        if (!strcmp(item, "-") && gpu < 0)
            return true;
        if (mig >= 0) {
            if (sscanf(item, "%d.%d", &low, &child) == 2 && low == gpu && child == mig)
                return true;
            if (sscanf(item, "%d.%c", &low, &star) == 2 && star == '*' && low == gpu)
                return true;
        } else if (!strchr(item, '.')) {
            int got = sscanf(item, "%d-%d", &low, &high);
            if ((got == 1 && gpu == low) || (got == 2 && gpu >= low && gpu <= high))
                return true;
        }
    }
    return false;
}

static const struct fault *fault_for(const struct call *c, int from)
{
    for (int i = from; i < c->scenario->fault_count; i++) {
        const struct fault *f = &c->scenario->faults[i];
        if (c->t >= f->from_s && c->t < f->until_s && !fnmatch(f->function, c->function->name, 0) &&
            names_gpu(f->gpus, c->gpu, c->mig))
            return f;
    }
    return NULL;
}

static void pause_for(double seconds)
{
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    while (nanosleep(&left, &left) && errno == EINTR)
        ;
}

static void refresh(struct call *c)
{
    c->scenario = scenario_now();
    c->t = scenario_clock(c->scenario);
}

/* Waits until the scenario has no such fault of this call any more, or `f->seconds` have passed. */
static void hang(struct call *c, const struct fault *f, bool is_hard)
{
    enum action action = f->action;
    double limit = f->seconds, waited = 0;
    sigset_t all, before;
    sigfillset(&all);
    if (is_hard)
        pthread_sigmask(SIG_BLOCK, &all, &before);
    while (f && f->action == action && (limit == 0 || waited < limit)) {
        pause_for(0.05);
        waited += 0.05;
        refresh(c);
        for (f = fault_for(c, 0); f && f->action != action; f = fault_for(c, (int)(f - c->scenario->faults) + 1))
            ;
    }
    if (is_hard)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void read_one(const char *path)
{
    char byte;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    while (read(fd, &byte, 1) < 0 && errno == EINTR)
        ;
    close(fd);
}

static void *stay(void *nothing)
{
    for (;;)
        pause();
    return nothing;
}

static void start_threads(void)
{
    pthread_t thread;
    for (int i = 0; i < 3; i++)
        if (pthread_create(&thread, NULL, stay, NULL) == 0)
            pthread_detach(thread);
}

static void print_noise(const struct call *c)
{
    for (int fd = 1; fd <= 2; fd++)
        dprintf(fd, "NVRM: a driver that talks, in %s\n{\"schema\": 1}\n", c->function->name);
}

/* Plays the faults of this call in the file's order; returns the code of the first that fails it. */
static int play_faults(struct call *c)
{
    int next = 0;
    for (const struct fault *f; (f = fault_for(c, next));) {
        next = (int)(f - c->scenario->faults) + 1;
        switch (f->action) {
        case ACT_FAIL:
            return f->code;
        case ACT_DELAY:
            pause_for(f->seconds);
            break;
        case ACT_HANG:
        case ACT_HANG_HARD:
            hang(c, f, f->action == ACT_HANG_HARD);
            break;
        case ACT_HANG_FILE:
            read_one(f->path);
            break;
        case ACT_CRASH:
            signal(SIGSEGV, SIG_DFL);
            raise(SIGSEGV);
            break;
        case ACT_ABORT:
            abort();
        case ACT_EXIT:
            exit(7);
        case ACT_PRINT:
            print_noise(c);
            break;
        case ACT_THREADS:
            start_threads();
        }
    }
    return NVML_SUCCESS;
}

static pthread_mutex_t process_lock = PTHREAD_MUTEX_INITIALIZER;

static void lock_driver(struct call *c)
{
    c->lock_fd = -1;
    c->holds_mutex = c->scenario->lock == LOCK_PROCESS;
    if (c->holds_mutex)
        pthread_mutex_lock(&process_lock);
    if (c->scenario->lock == LOCK_DRIVER && scenario_path()) {
        c->lock_fd = open(scenario_path(), O_RDONLY | O_CLOEXEC);
        while (c->lock_fd >= 0 && flock(c->lock_fd, LOCK_EX) && errno == EINTR)
            ;
    }
}

int call_begin(struct call *c, const struct function *f, int gpu, int mig)
{
    memset(c, 0, sizeof *c);
    c->function = f;
    c->gpu = gpu;
    c->mig = mig;
    c->lock_fd = -1;
    refresh(c);
    for (int i = 0; i < c->scenario->hide_count; i++)
        if (!fnmatch(c->scenario->hides[i], f->name, 0)) {
            c->function = NULL; /* a function that is not there is not counted */
            return NVML_ERROR_FUNCTION_NOT_FOUND;
        }
    count(c, 0);
    if (c->scenario->error[0])
        return NVML_ERROR_UNKNOWN;
    lock_driver(c);
    int code = play_faults(c);
    if (gpu >= 0 && gpu < c->scenario->gpu_count) {
        const struct device *d = c->scenario->gpus[gpu];
        c->device = mig >= 0 ? d->migs[mig] : d;
    }
    if (!code && gpu >= 0 && (!c->device || !c->device->present))
        code = NVML_ERROR_GPU_IS_LOST; /* the scenario has fewer GPUs than when the handle was made */
    return code;
}

int call_end(struct call *c, int code)
{
    if (c->lock_fd >= 0)
        close(c->lock_fd);
    if (c->holds_mutex)
        pthread_mutex_unlock(&process_lock);
    if (c->function)
        count(c, 1);
    return code;
}
