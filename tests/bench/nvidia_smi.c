/*
 * What nvidia-smi does for `--query-gpu=count` and for temperature, memory, ECC and throttling: starts NVML, asks each
 * GPU, prints a line of CSV, and lets NVML go. For comparisons over the fake driver, which both sides then start.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

struct memory {
    unsigned long long total, free, used;
};

static void *library;

static int call(const char *name, void *first, void *second, void *third, void *fourth)
{
    int (*function)(void *, void *, void *, void *) = (int (*)(void *, void *, void *, void *))dlsym(library, name);
    return function ? function(first, second, third, fourth) : 13; /* NVML_ERROR_FUNCTION_NOT_FOUND */
}

static void print_gpu(unsigned index)
{
    void *handle = NULL;
    unsigned temperature = 0;
    struct memory memory = {0};
    unsigned long long errors = 0, reasons = 0;

    call("nvmlDeviceGetHandleByIndex_v2", (void *)(unsigned long)index, &handle, NULL, NULL);
    call("nvmlDeviceGetTemperature", handle, (void *)0UL, &temperature, NULL);
    call("nvmlDeviceGetMemoryInfo", handle, &memory, NULL, NULL);
    call("nvmlDeviceGetTotalEccErrors", handle, (void *)1UL, (void *)0UL, &errors);
    call("nvmlDeviceGetCurrentClocksThrottleReasons", handle, &reasons, NULL, NULL);
    printf("%u, %u, %llu, %llu, %llu, %s\n", index, temperature, memory.used >> 20, memory.total >> 20, errors,
           reasons & ~1ULL ? "Active" : "Not"); /* 1: idle */
}

int main(int count, char **words)
{
    unsigned gpus = 0;

    library = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    if (!library || call("nvmlInit_v2", NULL, NULL, NULL, NULL)) {
        fputs("no NVML\n", stderr);
        return 9;
    }
    call("nvmlDeviceGetCount_v2", &gpus, NULL, NULL, NULL);
    for (unsigned index = 0; index < gpus; index++) {
        if (count > 1 && strstr(words[1], "=count"))
            printf("%u\n", gpus);
        else
            print_gpu(index);
    }
    call("nvmlShutdown", NULL, NULL, NULL, NULL);
    return 0;
}
