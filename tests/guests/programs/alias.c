// Code in one frame of memory that is mapped twice: written through one address, run through the other.
// QEMU's user emulation does not see such stores (its system emulation does), so this one is judged by its own checks alone.
#include <sys/mman.h>
#include <unistd.h>
#include "common.h"

typedef long (*code_t)(long);

int main(int argc, char **argv)
{
    long n = iterations(argc, argv, 200);
    int fd = memfd_create("code", 0);
    check(fd >= 0 && ftruncate(fd, 4096) == 0);
    uint32_t *rw = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    uint32_t *rx = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    check((void *)rw != MAP_FAILED && (void *)rx != MAP_FAILED);
    for (long i = 0; i < n; i++) {
        rw[0] = (uint32_t)(i % 2000) << 20 | 10 << 15 | 10 << 7 | 0x13; // addi a0, a0, i
        rw[1] = 0x00008067;                                             // ret
        __builtin___clear_cache((char *)rx, (char *)(rx + 2));
        check(((code_t)rx)(0) == i % 2000);
        check(((code_t)rx)(i) == i + i % 2000);
    }
    puts("alias ok");
    return 0;
}
